#!/usr/bin/env python3
"""Where a step's time goes, from a file that NATIVEGEN_TRACE=FILE wrote: trace_summary.py FILE [--rows N]

Each operation's share of all steps of N rows (default 1: decoding), on the thread that runs the step; an operation that others help with ends when the
last of them does. What is left over are the moments between operations.
"""
import argparse
import collections
import json


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--rows", type=int, default=1)
    options = parser.parse_args()
    text = open(options.file).read().rstrip().rstrip(",")
    events = [event for event in json.loads(text + "]") if event["tid"] == 0]
    steps = [event for event in events if event["name"] == "step" and event["args"]["rows"] == options.rows]
    if not steps:
        raise SystemExit(f"{options.file} has no step of {options.rows} rows")

    times, inside = collections.Counter(), iter(sorted((event for event in events if event["name"] != "step"), key=lambda event: event["ts"]))
    event = next(inside, None)
    for step in sorted(steps, key=lambda step: step["ts"]):
        while event and event["ts"] < step["ts"]:
            event = next(inside, None)
        while event and event["ts"] < step["ts"] + step["dur"]:
            times[event["name"]] += event["dur"]
            event = next(inside, None)
    total = sum(step["dur"] for step in steps)
    times["between operations"] = total - sum(times.values())
    print(f"{len(steps)} steps of {options.rows} rows, {total / len(steps) / 1000:.3f} ms each\n\n| operation | share | microseconds a step |\n|---|---|---|")
    for name, time in times.most_common():
        print(f"| {name} | {100 * time / total:.2f} % | {time / len(steps):.1f} |")


if __name__ == "__main__":
    main()
