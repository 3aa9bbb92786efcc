"""Prints what was found and writes it to files."""

import json
import os
import time

import picture
import table
import targets


def cell_summary(cell):
    """The numbers of a cell for the file."""
    summary = {"samples": cell.samples, "calm": cell.calm, "lost": cell.lost,
               "failed": len(cell.errors)}
    for key in ("rate", "mb_per_s", "cpu_us", "publisher_us", "readers_us", "broker_us", "p50_us",
                "p99_us", "foreign"):
        if cell.range(key):
            low, high = cell.range(key)
            summary[key] = {"median": cell.median(key), "min": low, "max": high}
    return summary


def versions_of(contestants, taken):
    """Of the daemon and of the library, where there are such."""
    found = {}
    for contestant in contestants:
        texts = [contestant.version()]
        texts += {sample.get("version", "") for sample in taken
                  if sample["of"] == contestant.name}
        found[contestant.name] = ", ".join(text for text in texts if text)
    return found


def print_head(machine, chosen, versions, skipped):
    """Where, how and with what this was measured."""
    print("\n%(cpu)s, %(cpus)d CPUs, %(memory_gib)g GiB, Linux %(kernel)s" % machine)
    print("load %.2f before, %.2f after; %s" % (machine["load"][0], machine["load_after"][0],
                                                machine["date"]))
    print("command: %s" % machine["command"])
    print("%d samples of %g s in each cell, taken in turn; others may use 0.1 CPU in a calm one"
          % (chosen.runs, chosen.seconds))
    for name, version in versions.items():
        if version:
            print("  %s: %s" % (name, version))
    for name, reason in skipped.items():
        print("  skipped: %s: %s" % (name, reason))


def print_troubles(taken):
    """Losses and samples that failed."""
    for sample in taken:
        if "error" in sample:
            print("failed: %(of)s %(case)s: %(error)s" % sample)
        elif sample["lost"] or sample["damaged"]:
            print("lost: %(of)s %(case)s: %(lost)d lost, %(damaged)d damaged" % sample)
    foreign = sorted(sample["foreign"] for sample in taken if "foreign" in sample)
    if foreign:
        print("\nCPUs that others used during a sample: median %.2f, largest %.2f; %d of %d "
              "samples were calm" % (foreign[len(foreign) // 2], foreign[-1],
                             sum(sample["calm"] for sample in taken), len(taken)))
    print("marks: ~ fewer than %d calm samples, so all are used; ! messages were lost"
          % table.FEWEST_CALM)


def report(chosen, machine, contestants, skipped, cases, taken):
    """Prints the tables and writes JSON and SVG; gives the paths."""
    machine["load_after"] = os.getloadavg()
    cells = table.cells_of(taken)
    versions = versions_of(contestants, taken)
    verdicts = targets.all_verdicts(
        lambda name, case, key: cells[name, case].median(key) if (name, case) in cells else None)
    print_head(machine, chosen, versions, skipped)
    table.print_table(contestants, cases, cells)
    print_troubles(taken)
    table.print_verdicts(verdicts)
    os.makedirs(chosen.output, exist_ok=True)
    path = os.path.join(chosen.output, time.strftime("contest-%Y%m%d-%H%M%S", time.gmtime()))
    with open(path + ".json", "w") as file:
        json.dump({
            "machine": machine, "seconds": chosen.seconds, "runs": chosen.runs,
            "versions": versions, "skipped": skipped,
            "cells": [dict(cell_summary(cell), contestant=name, case=case)
                      for (name, case), cell in cells.items()],
            "targets": [dict(verdict._asdict(), target=targets.text_of(verdict.target))
                        for verdict in verdicts],
            "samples": taken,
        }, file, indent=1)
    with open(path + ".svg", "w") as file:
        file.write(picture.draw(contestants, cases, cells, machine))
    print("\nwritten: %s.json, %s.svg" % (path, path))
    return path
