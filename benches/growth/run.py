#!/usr/bin/env python3
"""Benches of the product alone: what it costs, and that the cost does not grow.

    run.py [--repetitions N] [--only WORD] [LINE...]

Lines: growth memory start overload counts calls allocations; default all. Needs `make`; every
daemon is started here, in a directory of its own. Prints a table with a verdict for each target and
writes JSON to benches/results. The exit status is 1 if a target was missed.
"""

import argparse
import sys

import allocations
import calls
import counts
import growth
import memory
import overload
import start
from bench import Report, build_driver

LINES = {"growth": growth.run, "memory": memory.run, "start": start.run,
         "overload": overload.run, "counts": counts.run, "calls": calls.run,
         "allocations": allocations.run}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("lines", nargs="*", help=" ".join(LINES))
    parser.add_argument("--repetitions", type=int, default=5, help="runs of each variant")
    parser.add_argument("--seconds", type=float, default=60, help="how long the overload lasts")
    parser.add_argument("--only", help="growth lines with this word in their names")
    options = parser.parse_args()
    unknown = set(options.lines) - set(LINES)
    if unknown:
        parser.error(f"no line is called {', '.join(sorted(unknown))}: {' '.join(LINES)}")
    report = Report("growth")
    driver = build_driver()
    for line in options.lines or LINES:
        LINES[line](driver, report, options)
    return 1 if report.close() else 0


if __name__ == "__main__":
    sys.exit(main())
