"""The processes that compare.py lets take turns: both engines on one file and instruction set, and the memory meter."""
import os
import pathlib
import platform
import re
import shutil
import subprocess
import tempfile

# Which of llama.cpp's processor libraries stand for an instruction set of ours; it loads the best of those that it finds.
LLAMA_LIBRARIES = {
    "scalar": ["x64"],
    "avx2": ["haswell"],
    "avxvnni": ["alderlake"],
    "avx512": ["skylakex"],
    "avx512vnni": ["icelake", "zen4"],
    "amx": ["sapphirerapids"],
}
ENGINES = {"nativegen": "NativeGen", "llama": "llama.cpp"}
MOST_ROWS = 512  # of a step, as in loop.h


class Unavailable(Exception):
    """An engine lacks what was asked for; the text says what."""


def numbers(line):
    return {key: float(value) for key, value in re.findall(r"(\w+)=(-?[\d.]+)(?=\s|$)", line)}


class Process:
    """Answers a line with a line."""

    def __init__(self, *command, **environment):
        self.process = subprocess.Popen([str(part) for part in command], env=os.environ | environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            name = pathlib.Path(self.process.args[0]).name
            raise Unavailable(self.process.stderr.read().strip() or f"{name} ended with {self.process.wait()}")
        return line

    def ask(self, order=""):
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()
        self.process.wait()


class Engine(Process):
    """One engine with one model open: see loop.h. `start` has its times of opening, and what it says of itself."""

    def __init__(self, *command, **environment):
        super().__init__(*command, **environment)
        line = self.read()
        self.start = numbers(line)
        self.about = line.strip()

    def step(self, rows, count, outputs="last"):
        """Tokens a second of `count` steps of `rows` rows each, and the raw times."""
        times = numbers(self.ask(f"step {rows} {count} {outputs}"))
        return {"rate": rows * count * 1e3 / times["ms"], **times}

    def cut(self, length):
        self.ask(f"cut {length}")

    def greedy(self, count):
        return [int(token) for token in self.ask(f"greedy {count}").split()]

    def memory(self):
        return numbers(self.ask("memory"))["max_rss_MiB"]


class Bench:
    """Programs, libraries and models of one run."""

    def __init__(self, programs, llama, models):
        self.programs, self.llama, self.models = map(pathlib.Path, (programs, llama, models))
        self.isas = subprocess.run([self.programs / "ng_bench", "isas"], text=True, stdout=subprocess.PIPE, check=True).stdout.strip().split(",")
        self.folder = tempfile.TemporaryDirectory()

    def llama_folder(self, isa):
        """A copy of llama.cpp's libraries with one instruction set's alone."""
        folder = pathlib.Path(self.folder.name) / isa
        if not folder.exists():
            folder.mkdir()
            kept = {f"libggml-cpu-{name}.so" for name in LLAMA_LIBRARIES[isa]}
            for file in self.llama.glob("*.so"):
                if not file.name.startswith("libggml-cpu-") or file.name in kept:
                    shutil.copy(file, folder)
        return folder

    def why_not(self, isa):
        """None if our side has the instruction set, else a sentence."""
        return None if isa in self.isas else f"{isa}: skipped, this build or machine of NativeGen has {', '.join(self.isas)}"

    def engine(self, name, isa, model, threads, n_ctx=1024, kv="f16"):
        if name == "nativegen":
            return Engine(self.programs / "ng_bench", model, threads, n_ctx, kv, NATIVEGEN_ISA=isa)
        return Engine(self.programs / "llama_bench", model, threads, n_ctx, kv, LLAMA_DIR=str(self.llama_folder(isa)))

    def both(self, isa, model, threads, n_ctx=1024, kv="f16"):
        engines = {}
        try:
            for name in ENGINES:
                engines[name] = self.engine(name, isa, model, threads, n_ctx, kv)
        except Unavailable:
            for engine in engines.values():
                engine.close()
            raise
        return engines

    def meter(self, threads):
        return Process(self.programs / "memory_bandwidth", threads)

    def model(self, name):
        """A file, or SHAPE:TYPE such as 1b:Q4_K_M, which is written if it is not there."""
        if ":" not in name:
            return pathlib.Path(name)
        shape, kind = name.split(":")
        path = self.models / f"random-{shape}-{kind}.gguf"
        if not path.exists():
            self.models.mkdir(parents=True, exist_ok=True)
            subprocess.run([self.programs / "random_model", shape, kind, path], check=True)
        return path


def turns(i):
    """The order of the engines in round i: first one begins, then the other."""
    return sorted(ENGINES, reverse=i % 2 == 1)


def check_same(engines, say):
    """Both must see the same vocabulary; random weights may lead to another best token, which is told."""
    sizes = {engine.start["n_vocab"] for engine in engines.values()}
    if len(sizes) != 1:
        raise SystemExit(f"the engines disagree on the size of the vocabulary: {sizes}")
    ours, theirs = (engines[name].greedy(8) for name in ("nativegen", "llama"))
    if ours != theirs:
        same = next(i for i, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1])
        say(f"  best tokens part after {same} of 8: {ours} and {theirs}")


def machine():
    found = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return f"{found[1] if found else platform.processor()}, {os.cpu_count()} processors"


def commit():
    run = subprocess.run(["git", "-C", str(pathlib.Path(__file__).parent), "describe", "--always", "--dirty"], text=True, stdout=subprocess.PIPE)
    return run.stdout.strip() or "unknown"
