"""A short run that needs no peer and fails if anything is wrong: the benches must not rot."""

import json
import os
import shutil
import xml.dom.minidom

from contestants import TOP

CONTESTANTS = "saevt,seqpacket,pipe,ring,ring-broker"
KEYS = {"contestant", "task", "bytes", "readers", "seconds", "delivered", "rate", "mb_per_s",
        "lost", "damaged", "stalls", "cpu_us", "publisher_us", "readers_us", "broker_us", "foreign"}
ECHO_KEYS = {"round_trips", "p50_us", "p99_us", "min_us", "max_us"}


def choose(chosen):
    """Sets the arguments of such a run."""
    chosen.only, chosen.cases = CONTESTANTS, ""
    chosen.runs, chosen.seconds = 1, 0.05
    chosen.output = os.path.join(TOP, "build", "bench", "smoke")
    shutil.rmtree(chosen.output, ignore_errors=True)


def fault_of(sample, case):
    """What is wrong with a sample, or None."""
    if "error" in sample:
        return sample["error"]
    missing = (KEYS | (ECHO_KEYS if case.task == "echo" else set())) - set(sample)
    if missing:
        return "the driver does not tell " + ", ".join(sorted(missing))
    if sample["bytes"] != case.bytes or sample["readers"] != case.readers:
        return "the driver did something else"
    if sample["lost"] or sample["damaged"]:
        return "%(lost)d lost, %(damaged)d damaged" % sample
    return None if sample["delivered"] > 0 else "nothing was delivered"


def judge(contestants, cases, taken, path):
    """Prints a line for each sample; gives the exit status."""
    by_name = {case.name: case for case in cases}
    faults = 0
    for sample in taken:
        fault = fault_of(sample, by_name[sample["case"]])
        faults += fault is not None
        what = "%s %s" % (sample["of"], sample["case"])
        print("not ok - %s: %s" % (what, fault) if fault else
              "ok - %s: %d deliveries, none lost" % (what, sample["delivered"]))
    present = {contestant.name for contestant in contestants}
    absent = set(CONTESTANTS.split(",")) - present
    with open(path + ".json") as file:
        if len(json.load(file)["samples"]) != len(present) * len(cases):
            absent.add("samples in " + path + ".json")
    xml.dom.minidom.parse(path + ".svg")
    if absent:
        print("not ok - missing: " + ", ".join(sorted(absent)))
    return 1 if faults or absent else 0
