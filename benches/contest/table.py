"""Medians of the samples, and the tables that are printed."""

import statistics

import targets

FEWEST_CALM = 3


class Cell:
    """What the samples of one contestant in one case say together.

    Samples during which others used the processors are left out if enough remain without them;
    the choice never looks at the result.
    """

    def __init__(self, samples):
        self.errors = [sample["error"] for sample in samples if "error" in sample]
        good = [sample for sample in samples if "error" not in sample]
        calm = [sample for sample in good if sample["calm"]]
        self.samples = len(good)
        self.calm = len(calm)
        self.used = calm if len(calm) >= FEWEST_CALM else good
        self.lost = sum(sample["lost"] + sample["damaged"] for sample in good)

    def median(self, key):
        """The median of what the samples say of `key`, or None."""
        values = [sample[key] for sample in self.used if key in sample]
        return statistics.median(values) if values else None

    def range(self, key):
        """Smallest and largest value, or None."""
        values = [sample[key] for sample in self.used if key in sample]
        return (min(values), max(values)) if values else None

    def mark(self):
        """`!`: messages were lost; `~`: too few calm samples, so all are used."""
        return ("!" if self.lost else "") + ("~" if self.calm < FEWEST_CALM else "")


def cells_of(taken):
    """A dictionary of Cell by (contestant, case)."""
    groups = {}
    for sample in taken:
        groups.setdefault((sample["of"], sample["case"]), []).append(sample)
    return {key: Cell(group) for key, group in groups.items()}


def thousands(rate):
    """Events in a second as thousands with three digits at least."""
    value = rate / 1000
    return "{:,.0f}".format(value) if value >= 100 else "%.3g" % value


def microseconds(value):
    """With three digits at least."""
    return "%.0f" % value if value >= 100 else "%.3g" % value


def rate_text(cell):
    """Median and range."""
    low, high = cell.range("rate")
    return "%s%s (%s..%s)" % (thousands(cell.median("rate")), cell.mark(), thousands(low),
                              thousands(high))


def round_trip_text(cell):
    """Median of p50 and p99, and the range of p50."""
    low, high = cell.range("p50_us")
    return "%s / %s%s (%s..%s)" % (microseconds(cell.median("p50_us")),
                                   microseconds(cell.median("p99_us")), cell.mark(),
                                   microseconds(low), microseconds(high))


def volume_text(cell):
    """Megabytes in a second."""
    return "{:,.0f}{}".format(cell.median("mb_per_s"), cell.mark())


def processor_text(cell):
    """For one delivery: all processes, and the daemon's part."""
    return "%.3g (%.2g)%s" % (cell.median("cpu_us"), cell.median("broker_us"), cell.mark())


def text_of(cell, form):
    """What a table shows for a cell that may be missing."""
    if cell is None:
        return "-"
    return form(cell) if cell.used else "failed"


def print_rows(rows):
    """Columns as wide as they must be; the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [text.rjust(width) for text, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip())


def print_block(title, contestants, cases, cells, form):
    """One row for each contestant that took part."""
    if not cases:
        return
    print("\n" + title)
    rows = [["contestant"] + [case.name for case in cases]]
    for contestant in contestants:
        found = [cells.get((contestant.name, case.name)) for case in cases]
        if any(found):
            rows.append([contestant.title] + [text_of(cell, form) for cell in found])
    print_rows(rows)


def print_table(contestants, cases, cells):
    """One block for each thing that is measured."""
    def of(*kinds):
        return [case for case in cases if case.kind in kinds]

    print_block("Throughput to one reader, thousand events/s: median (smallest..largest)",
                contestants, of("tput"), cells, rate_text)
    print_block("Fan-out to 8 readers, thousand deliveries/s: median (smallest..largest)",
                contestants, of("fan"), cells, rate_text)
    print_block("Data delivered, MB/s", contestants, of("tput", "fan"), cells, volume_text)
    print_block("Processor time for one delivery, us: all processes (the daemon's part)",
                contestants, of("tput", "fan"), cells, processor_text)
    print_block("Round trip, all processes on one CPU, us: p50 / p99 (range of p50)",
                contestants, of("rtt1"), cells, round_trip_text)
    print_block("Round trip, not pinned, us: p50 / p99 (range of p50)",
                contestants, of("rtt"), cells, round_trip_text)


def value_text(key, value):
    """A measured value with its unit."""
    if value is None:
        return "-"
    return thousands(value) + " k" if key == "rate" else "%.3g us" % value


def print_verdicts(verdicts):
    """One line for each target, and how many hold."""
    print("\nTargets")
    rows = [["target", "saevt", "beside", "ratio", ""]]
    for verdict in verdicts:
        ratio = "-" if verdict.ratio is None else "%.2f" % verdict.ratio
        key = verdict.target.key
        rows.append([targets.text_of(verdict.target), value_text(key, verdict.value),
                     value_text(key, verdict.reference), ratio, verdict.verdict])
    print_rows(rows)
    counts = {word: sum(verdict.verdict == word for verdict in verdicts)
              for word in ("pass", "miss", "not measured")}
    print(", ".join("%d %s" % (number, word) for word, number in counts.items()))
