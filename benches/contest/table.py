"""Medians of the samples, and the table that is printed."""

import statistics

FEWEST_CALM = 3


class Cell:
    """What the samples of one contestant in one case say together."""

    def __init__(self, samples, unit):
        self.errors = [sample["error"] for sample in samples if "error" in sample]
        good = [sample for sample in samples if "error" not in sample]
        calm = [sample for sample in good if sample["calm"]]
        self.calm = len(calm)
        self.samples = good
        self.used = calm if len(calm) >= FEWEST_CALM else good
        self.unit = unit
        self.lost = sum(sample["lost"] + sample["damaged"] for sample in good)

    def median(self, key):
        """The median of what the samples say of `key`, or None."""
        values = [sample[key] for sample in self.used if key in sample]
        return statistics.median(values) if values else None

    def range(self, key):
        """Smallest and largest value, or None."""
        values = [sample[key] for sample in self.used if key in sample]
        return (min(values), max(values)) if values else None


def cells_of(samples, cases):
    """A dictionary of Cell by (contestant, case)."""
    groups = {}
    for sample in samples:
        groups.setdefault((sample["of"], sample["case"]), []).append(sample)
    units = {case.name: case.unit for case in cases}
    return {key: Cell(group, units[key[1]]) for key, group in groups.items()}


def rate_text(rate):
    """Events in a second, in thousands."""
    thousands = rate / 1000
    return "%.0f k" % thousands if thousands >= 100 else "%.3g k" % thousands


def cell_text(cell):
    """The value with its range; `!` after it: messages were lost."""
    if cell is None or not cell.used:
        return "failed" if cell and cell.errors else "-"
    mark = "!" if cell.lost else ""
    mark += "~" if cell.calm < FEWEST_CALM else ""
    if cell.unit == "rate":
        low, high = cell.range("rate")
        return "%s%s  (%s..%s)" % (rate_text(cell.median("rate")), mark, rate_text(low).rstrip(" k"),
                                   rate_text(high).rstrip(" k"))
    low, high = cell.range("p50_us")
    return "%.1f / %.1f%s  (%.1f..%.1f)" % (cell.median("p50_us"), cell.median("p99_us"), mark, low,
                                           high)


def print_rows(rows):
    """Columns as wide as they must be; the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [text.rjust(width) for text, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip())


def print_table(contestants, cases, cells):
    """One block for each kind of case."""
    for kind in dict.fromkeys(case.kind for case in cases):
        group = [case for case in cases if case.kind == kind]
        what = "deliveries/s" if group[0].unit == "rate" else "us, p50 / p99"
        print("\n%s: %s, median (smallest..largest)" % (group[0].title.rsplit(",", 1)[0], what))
        rows = [["contestant"] + ["%d B" % case.bytes for case in group]]
        for contestant in contestants:
            texts = [cell_text(cells.get((contestant.name, case.name))) for case in group]
            if any(text != "-" for text in texts):
                rows.append([contestant.title] + texts)
        print_rows(rows)
