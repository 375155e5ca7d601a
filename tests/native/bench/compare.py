#!/usr/bin/env python3
"""NativeGen beside llama.cpp: the same file, tokens, threads and instruction set, taking turns round by round.

    compare.py table MODEL...   prefill, decode, opening and memory
    compare.py curve MODEL      tokens/s by the rows of a step
    compare.py depth MODEL      decode speed by the tokens in the cache
    compare.py all              the three, as docs/performance.md has them

MODEL is a file or SHAPE:TYPE (1b:Q4_K_M: random weights). --write FILE replaces the part between the markers of that name in a document.
README.md says where llama.cpp's libraries come from.
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import sys

import chart
from engines import ENGINES, LLAMA_LIBRARIES, MOST_ROWS, Bench, Unavailable, check_same, commit, machine, turns

MODELS = ["1b:Q4_0", "1b:Q4_K_M", "1b:Q8_0", "1b:F16", "1b:IQ4_XS", "1b:Q6_K"]
ROWS = [1, 2, 3, 4, 8, 16, 32, 64, 128, 512]
ALL_OUTPUTS = 32  # up to so many rows are measured as a batch of chats, too: every row's logits
DEPTHS = [0, 4096, 16384, 32768]


def say(text=""):
    print(text, file=sys.stderr, flush=True)


def spread(values):
    digits = 1 if statistics.median(values) < 100 else 0
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def ratio(values):
    return f"{statistics.median(values['nativegen']) / statistics.median(values['llama']):.2f}"


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |\n"


def head(*cells):
    return row(*cells) + "|" + "---|" * len(cells) + "\n"


def preamble(options, what, records):
    """What a reader must know to judge figures."""
    load = min(100 * sum(record.others_ms for record in records) / sum(record.ms for record in records), 100 * os.cpu_count())
    quiet = "nothing else ran" if load < 5 else f"other processes took {load:.0f} % of a processor meanwhile, so trust ratios only"
    commits = ", ".join(dict.fromkeys(record.commit for record in records))
    return (f"{machine()}; {quiet}. {datetime.date.today()}, commit {commits}, llama.cpp of {options.peer_name}. "
            f"{what} Medians (min-max) of {options.rounds} rounds in turns.\n\n")


class Record:
    """Figures of one engine pair: rounds by what was measured, by engine."""

    def __init__(self, names, values=None, ms=0, others_ms=0, commit="", **more):
        self.names, self.values = names, values or {}
        self.ms, self.others_ms = ms, others_ms  # measured, and CPU time that other processes took meanwhile
        self.commit, self.more = commit or globals()["commit"](), more

    def add(self, what, engine, value):
        self.values.setdefault(what, {name: [] for name in ENGINES})[engine].append(value)

    def add_step(self, what, engine, result):
        self.add(what, engine, result["rate"])
        self.add(what + " per CPU second", engine, result["rate"] * result["ms"] / max(result["cpu_ms"], 1e-3))
        self.ms += result["ms"]
        self.others_ms += result["others_ms"]

    def json(self):
        return {"names": self.names, "values": self.values, "ms": self.ms, "others_ms": self.others_ms, "commit": self.commit, **self.more}


# ---- table ----

def measure_table(bench, options, isa, name, threads, meter):
    model = bench.model(name)
    record = Record({"isa": isa, "model": name, "threads": threads})
    engines = bench.both(isa, model, threads)
    say(f"{isa} {model.name} {threads} threads: {engines['llama'].about}")
    check_same(engines, say)
    record.more = {"weight_bytes": engines["nativegen"].start["weight_bytes"], "bandwidth": []}
    for i in range(options.rounds + 1):  # the first one warms up
        for engine_name in turns(i):
            engine = engines[engine_name]
            engine.cut(0)
            steps = {options.pp: engine.step(options.prompt, 1), options.tg: engine.step(1, options.decoded)}
            if i > 0:
                for what, result in steps.items():
                    record.add_step(what, engine_name, result)
        if i > 0:
            record.more['bandwidth'].append(float(meter.ask().split("=")[1]))
    for engine_name, engine in engines.items():
        record.add("peak memory, MiB", engine_name, engine.memory())
        engine.close()
    for i in range(options.starts):
        for engine_name in turns(i):
            engine = bench.engine(engine_name, isa, model, threads)
            record.add("open, ms", engine_name, engine.start["open_ms"])
            record.add("open to first token, ms", engine_name, engine.start["open_to_first_ms"])
            engine.close()
    for what, values in record.values.items():
        say(f"  {what}: {spread(values['nativegen'])} | {spread(values['llama'])} | {ratio(values)}")
    say(f"  memory read, GB/s: {spread(record.more['bandwidth'])}; others took {100 * record.others_ms / record.ms:.0f} % of a processor")
    return record


def table(bench, options):
    records, skipped = [], []
    for threads in options.threads:
        meter = bench.meter(threads)
        for isa in options.isa:
            why = bench.why_not(isa)
            for name in options.models if not why else []:
                names = {"isa": isa, "model": name, "threads": threads}
                if kept := next((record for record in recorded(options, "table") if record.names == names), None):
                    say(f"{isa} {name} {threads} threads: taken from {options.json}")
                    records.append(kept)
                    continue
                try:
                    records.append(measure_table(bench, options, isa, name, threads, meter))
                    keep(options, "table", records[-1])
                except Unavailable as error:
                    why = f"{isa}, {name}: skipped, {error}"
                    break
            if why:
                say(why)
                skipped.append(why)
        meter.close()
    if not records:
        raise SystemExit("nothing was measured")

    reads = "; ".join(f"{threads} threads read {spread([b for r in records if r.names['threads'] == threads for b in r.more['bandwidth']])} GB/s" for threads in options.threads
                      if any(r.names["threads"] == threads for r in records))
    text = preamble(options, f"{options.pp}: prefill of {options.prompt} tokens into an empty cache, {options.tg}: {options.decoded} single decodes after it, tokens/s; F16 cache. "
                    f"Memory: {reads}. Its share: {options.tg} times the bytes of all weights read for a token.", records)
    text += head("ISA", "threads", "model", "", *ENGINES.values(), "ratio", *(f"{name}, of bandwidth" for name in ENGINES.values()))
    for record in records:
        for what in (options.pp, options.tg):
            values = record.values[what]
            shares = ["", ""]
            if what.startswith("tg"):
                limit = statistics.median(record.more['bandwidth']) * 1e9 / record.more['weight_bytes']
                shares = [f"{100 * statistics.median(values[name]) / limit:.0f} %" for name in ENGINES]
            text += row(record.names["isa"], record.names["threads"], record.names["model"], what, *(spread(values[name]) for name in ENGINES), ratio(values), *shares)
    text += "\nOpening with the file in the page cache, and most memory resident until the end of a run:\n\n"
    text += head("ISA", "threads", "model", "", *ENGINES.values(), "ratio")
    for record in records:
        for what in ("open, ms", "open to first token, ms", "peak memory, MiB"):
            if what in record.values:
                values = record.values[what]
                text += row(record.names["isa"], record.names["threads"], record.names["model"], what, *(spread(values[name]) for name in ENGINES), ratio(values))
    if skipped:
        text += "\n" + "".join(f"- {why}\n" for why in skipped)
    finish(options, "table", text)


# ---- curve ----

def curve(bench, options):
    isa, threads, name = options.isa[0], options.threads[-1], options.models[0]
    if why := bench.why_not(isa):
        raise SystemExit(why)
    engines = bench.both(isa, bench.model(name), threads)
    check_same(engines, say)
    record = Record({"isa": isa, "model": name, "threads": threads})
    for i in range(options.rounds + 1):
        for rows in ROWS:
            for outputs in ("all", "last") if rows <= ALL_OUTPUTS else ("last",):
                for engine_name in turns(i):
                    engines[engine_name].cut(0)
                    result = engines[engine_name].step(rows, max(1, 32 // rows), outputs)
                    if i > 0:
                        record.add_step(f"{rows} {outputs}", engine_name, result)
        say(f"curve: round {i} of {options.rounds}")
    for engine in engines.values():
        engine.close()

    text = preamble(options, f"{name}, {isa}, {threads} threads: tokens/s by the number of rows in a step. "
                    "'Chats': logits of every row, as a batch of conversations needs them; 'prompt': of the last row only.", [record])
    if options.svg:
        link = os.path.relpath(options.svg, pathlib.Path(options.write).parent) if options.write else options.svg
        text += f"![tokens/s by rows of a step]({link})\n\n"
    text += head("rows", *(f"{engine}, {what}" for what in ("chats", "prompt") for engine in ENGINES.values()), "ratio, chats", "ratio, prompt")
    for rows in ROWS:
        kinds = [record.values.get(f"{rows} {outputs}") for outputs in ("all", "last")]
        cells = [spread(kind[engine]) if kind else "" for kind in kinds for engine in ENGINES]
        text += row(rows, *cells, *(ratio(kind) if kind else "" for kind in kinds))
    dips = [f"{rows} rows ({outputs})" for outputs in ("all", "last") for before, rows in zip(ROWS, ROWS[1:]) if f"{rows} {outputs}" in record.values
            and statistics.median(record.values[f"{rows} {outputs}"]["nativegen"]) < 0.97 * statistics.median(record.values[f"{before} {outputs}"]["nativegen"])]
    text += f"\nNativeGen's dips, steps slower than the next smaller one: {', '.join(dips) or 'none'}.\n"
    if options.svg:
        lines = {f"{ENGINES[engine]}, {label}": [(rows, statistics.median(record.values[f"{rows} {outputs}"][engine])) for rows in ROWS if f"{rows} {outputs}" in record.values]
                 for engine in ENGINES for outputs, label in (("all", "chats"), ("last", "prompt"))}
        chart.write(options.svg, f"{name}, {isa}, {threads} threads", "rows in a step", "tokens/s", lines)
    keep(options, "curve", record)
    finish(options, "curve", text)


# ---- depth ----

def measure_depth(bench, options, kv, record):
    isa, threads, name = options.isa[0], options.threads[-1], options.models[0]
    engines = bench.both(isa, bench.model(name), threads, max(options.depths) + MOST_ROWS, kv)
    filled = 0
    for engine in engines.values():
        engine.cut(0)
    for depth in sorted(options.depths):
        for engine in engines.values():
            if (rows := depth - filled) > 0:
                if rows >= MOST_ROWS:
                    engine.step(MOST_ROWS, rows // MOST_ROWS)
                if rows % MOST_ROWS:
                    engine.step(rows % MOST_ROWS, 1)
        for engine in engines.values():  # warms up
            engine.step(1, 2)
            engine.cut(depth)
        filled = depth
        for i in range(options.rounds):
            for engine_name in turns(i):
                record.add_step(f"{depth} {kv}", engine_name, engines[engine_name].step(1, options.decoded // 2))
                engines[engine_name].cut(depth)
        say(f"depth {depth} {kv}: {' | '.join(spread(record.values[f'{depth} {kv}'][engine]) for engine in ENGINES)}")
    for engine in engines.values():
        engine.close()


def depth(bench, options):
    isa, threads, name = options.isa[0], options.threads[-1], options.models[0]
    if why := bench.why_not(isa):
        raise SystemExit(why)
    record, skipped = Record({"isa": isa, "model": name, "threads": threads}), []
    for kv in options.kv:
        try:
            measure_depth(bench, options, kv, record)
        except Unavailable as error:
            skipped.append(f"{kv}: skipped, {error}")
            say(skipped[-1])
    if not record.values:
        raise SystemExit("nothing was measured")
    text = preamble(options, f"{name}, {isa}, {threads} threads: tokens/s of {options.decoded // 2} single decodes after so many tokens in the cache.", [record])
    text += head("tokens before", "KV cache", *ENGINES.values(), "ratio")
    for key, values in record.values.items():
        if not key.endswith("second"):
            text += row(*key.split(), *(spread(values[engine]) for engine in ENGINES), ratio(values))
    if skipped:
        text += "\n" + "".join(f"- {why}\n" for why in skipped)
    keep(options, "depth", record)
    finish(options, "depth", text)


# ---- results ----

def keep(options, part, record):
    """The figures of all rounds, as soon as they are there: a table that was interrupted goes on from them."""
    if options.json:
        with open(options.json, "a") as file:
            file.write(json.dumps({"part": part, "machine": machine(), **record.json()}) + "\n")


def recorded(options, part):
    """What this machine has measured of a part before."""
    if not options.json or not os.path.exists(options.json):
        return
    for line in open(options.json):
        found = json.loads(line)
        if found.pop("part") == part and found.pop("machine") == machine():
            yield Record(**found)


def finish(options, part, text):
    """Prints the part, and puts it between its markers in a document."""
    print(text, flush=True)
    if options.write:
        path = pathlib.Path(options.write)
        begin, end = f"<!-- compare.py {part} -->\n", f"<!-- end of {part} -->\n"
        before, found, rest = path.read_text().partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise SystemExit(f"{path} has no lines '{begin.strip()}' and '{end.strip()}'")
        path.write_text(before + begin + "\n" + text + "\n" + end + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["table", "curve", "depth", "all"])
    parser.add_argument("models", nargs="*", help="files, or SHAPE:TYPE; default: " + " ".join(MODELS) + "; curve and depth take the first")
    parser.add_argument("--llama", default=os.environ.get("LLAMA_DIR"), help="folder of llama.cpp's libraries (default: $LLAMA_DIR)")
    parser.add_argument("--bin", default="build/release/tests/native", help="folder of ng_bench and the others")
    parser.add_argument("--made", default="build/models", help="where models with random weights are kept")
    parser.add_argument("--isa", nargs="+", choices=LLAMA_LIBRARIES, default=None, help="default: all but scalar for the table, the best one for curve and depth")
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("-p", dest="prompt", type=int, default=512, help="tokens of the prompt, at most 512")
    parser.add_argument("-n", dest="decoded", type=int, default=64, help="tokens decoded after it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--starts", type=int, default=5, help="processes started to measure opening")
    parser.add_argument("--kv", nargs="+", default=["f16"], help="depth: types of the KV cache")
    parser.add_argument("--depths", type=int, nargs="+", default=DEPTHS)
    parser.add_argument("--svg", help="curve: draw it into this file")
    parser.add_argument("--write", metavar="FILE", help="a Markdown document with markers, e.g. docs/performance.md")
    parser.add_argument("--json", metavar="FILE", help="the figures of all rounds; what it has of the table is not measured again")
    parser.add_argument("--peer-name", default="npm's node-llama-cpp 3.22.1", help="what the table calls the source of llama.cpp")
    options = parser.parse_args()
    if not options.llama:
        parser.error("--llama FOLDER or LLAMA_DIR is needed")

    options.models = options.models or MODELS
    options.pp, options.tg = f"pp{options.prompt}", f"tg{options.decoded}"
    bench = Bench(options.bin, options.llama, options.made)
    asked = options.isa
    for part in ["table", "curve", "depth"] if options.part == "all" else [options.part]:
        options.isa = asked or ([i for i in LLAMA_LIBRARIES if i != "scalar"] if part == "table" else [next((i for i in reversed(LLAMA_LIBRARIES) if i in bench.isas), "scalar")])
        {"table": table, "curve": curve, "depth": depth}[part](bench, options)


if __name__ == "__main__":
    main()
