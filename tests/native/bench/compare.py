#!/usr/bin/env python3
"""NativeGen beside llama.cpp: the same file, tokens, threads and instruction set, taking turns round by round. Prints Markdown.

Tokens per CPU second are the figures of one thread that other load on the machine changes least; with two threads they also count
waiting at barriers. README.md says where llama.cpp's libraries come from.
"""
import argparse
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import tempfile

# llama.cpp loads the best processor library that it finds: those above the asked instruction set are left out of its copy.
LLAMA_CPU_LIBRARIES = {"scalar": ["x64"], "avx2": ["x64", "haswell"]}
NAMES = {"nativegen": "NativeGen", "llama": "llama.cpp"}


def numbers(line):
    return {key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", line)}


class Engine:
    """One process: it opens the model, tells how long that took, and runs a round for every line it is sent."""

    def __init__(self, program, environment, model, threads):
        self.process = subprocess.Popen([program, model, str(threads)], env=os.environ | environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.start = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[0]} ended with {self.process.wait()}")
        return numbers(line)

    def round(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        end = self.read()
        self.process.wait()
        return end


def spread(values, digits=0):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def cpu_rates(rounds):
    return {"pp512": [512e3 / r["pp512_cpu_ms"] for r in rounds], "tg64": [64e3 / r["tg64_cpu_ms"] for r in rounds]}


def measure(make, threads, n_rounds):
    """Rounds of both engines in turns, after one of each that is not counted."""
    engines = {name: make(name, threads) for name in NAMES}
    rounds = {name: [] for name in NAMES}
    for i in range(n_rounds + 1):
        for name in sorted(NAMES, reverse=i % 2 == 1):
            result = engines[name].round()
            if i > 0:
                rounds[name].append(result)
    checks = {(e.start["n_vocab"], e.start["greedy"]) for e in engines.values()}
    if len(checks) != 1:
        raise SystemExit(f"the engines disagree on n_vocab and the first greedy token: {checks}")
    return rounds, {name: engine.close()["max_rss_MiB"] for name, engine in engines.items()}


def measure_start(make, threads, n_starts):
    starts = {name: [] for name in NAMES}
    for i in range(n_starts):
        for name in sorted(NAMES, reverse=i % 2 == 1):
            engine = make(name, threads)
            starts[name].append(engine.start)
            engine.close()
    return starts


def processor():
    found = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a GGUF file")
    parser.add_argument("--llama", default=os.environ.get("LLAMA_DIR"), help="folder of llama.cpp's libraries (default: $LLAMA_DIR)")
    parser.add_argument("--bin", default="build/release/tests/native", help="folder of ng_bench and llama_bench")
    parser.add_argument("--isa", default="avx2", choices=LLAMA_CPU_LIBRARIES)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--starts", type=int, default=5)
    options = parser.parse_args()
    if not options.llama:
        parser.error("--llama FOLDER or LLAMA_DIR is needed")

    with tempfile.TemporaryDirectory() as folder:
        kept = {f"libggml-cpu-{name}.so" for name in LLAMA_CPU_LIBRARIES[options.isa]}
        for file in pathlib.Path(options.llama).glob("*.so"):
            if not file.name.startswith("libggml-cpu-") or file.name in kept:
                shutil.copy(file, folder)
        programs = {"nativegen": ("ng_bench", {"NATIVEGEN_ISA": options.isa}), "llama": ("llama_bench", {"LLAMA_DIR": folder})}

        def make(name, threads):
            program, environment = programs[name]
            return Engine(pathlib.Path(options.bin) / program, environment, options.model, threads)

        print(f"{pathlib.Path(options.model).name}, {options.isa}, {processor()}, {os.cpu_count()} processors, "
              f"{options.rounds} rounds in turns: median (min-max), tokens/s", flush=True)
        print("\n| threads | | NativeGen | llama.cpp | ratio of medians |\n|---|---|---|---|---|")
        for threads in options.threads:
            rounds, memory = measure(make, threads, options.rounds)
            for what in ("pp512", "tg64"):
                rows = [(what, {name: [r[what] for r in rounds[name]] for name in NAMES})]
                if threads == 1:
                    rows.append((f"{what} per CPU second", {name: cpu_rates(rounds[name])[what] for name in NAMES}))
                for label, values in rows:
                    ours, theirs = values["nativegen"], values["llama"]
                    ratio = statistics.median(ours) / statistics.median(theirs)
                    print(f"| {threads} | {label} | {spread(ours)} | {spread(theirs)} | {ratio:.2f} |", flush=True)
            print(f"| {threads} | peak memory, MiB | {memory['nativegen']:.0f} | {memory['llama']:.0f} | {memory['nativegen'] / memory['llama']:.2f} |")
            others = [r["other_cpu_pct"] for name in NAMES for r in rounds[name]]
            print(f"| {threads} | others' load meanwhile, % of a processor | {spread([r['other_cpu_pct'] for r in rounds['nativegen']])} "
                  f"| {spread([r['other_cpu_pct'] for r in rounds['llama']])} | {statistics.median(others):.0f} in all |", flush=True)
        threads = options.threads[-1]
        starts = measure_start(make, threads, options.starts)
        for key, label in (("open_ms", "open, ms"), ("open_to_first_ms", "open to first token (8-token prompt), ms")):
            ours, theirs = ([s[key] for s in starts[name]] for name in ("nativegen", "llama"))
            print(f"| {threads} | {label} | {spread(ours)} | {spread(theirs)} | {statistics.median(ours) / statistics.median(theirs):.2f} |")


if __name__ == "__main__":
    main()
