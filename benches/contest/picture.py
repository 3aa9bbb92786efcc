"""The results as a picture: one panel for each case, bars on a logarithmic scale."""

import math
from xml.sax.saxutils import escape

import table

KINDS = [("tput", "rate", "throughput, one reader: thousand events/s"),
         ("fan", "rate", "fan-out to 8 readers: thousand deliveries/s"),
         ("rtt1", "p50_us", "round trip on one CPU: us, p50 (shorter is better)")]
COLOURS = {"ours": "#d9480f", "limit": "#adb5bd", "peer": "#4c7fb0"}
PANEL, GAP, NAMES = 300, 24, 190
BAR, STEP, HEAD = 14, 20, 56


def rectangle(x, y, width, height, colour):
    """One bar."""
    return '<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>' % (x, y, width, height,
                                                                            colour)


def label(x, y, text, **attributes):
    """A line of text; the attributes are those of SVG with _ for -."""
    more = "".join(' %s="%s"' % (name.replace("_", "-"), value)
                   for name, value in attributes.items())
    return '<text x="%.1f" y="%.1f"%s>%s</text>' % (x, y, more, escape(text))


def bars(x, y, case, key, contestants, cells):
    """The bars of one case; their length is the logarithm above a tenth of the smallest."""
    values = {}
    for contestant in contestants:
        cell = cells.get((contestant.name, case.name))
        if cell and cell.used:
            values[contestant.name] = cell.median(key)
    values = {name: value for name, value in values.items() if value}
    if not values:
        return []
    floor = math.log10(min(values.values()) / 10)
    reach = math.log10(max(values.values())) - floor
    parts = []
    for row, contestant in enumerate(contestants):
        value = values.get(contestant.name)
        if not value:
            continue
        top = y + row * STEP
        length = (math.log10(value) - floor) / reach * (PANEL - 70)
        text = table.thousands(value) if key == "rate" else table.microseconds(value)
        parts.append(rectangle(x, top, length, BAR, COLOURS[contestant.role]))
        parts.append(label(x + length + 4, top + 11, text))
    return parts


def block(y, kind, key, title, contestants, cases, cells):
    """A title, the names, and one panel for each size."""
    parts = [label(16, y + 16, title, font_weight="bold", font_size="14")]
    for row, contestant in enumerate(contestants):
        parts.append(label(NAMES, y + HEAD + row * STEP + 11, contestant.title,
                           text_anchor="end"))
    for column, case in enumerate(case for case in cases if case.kind == kind):
        x = NAMES + 10 + column * (PANEL + GAP)
        parts.append(label(x, y + 42, "%d bytes" % case.bytes, fill="#555"))
        parts += bars(x, y + HEAD, case, key, contestants, cells)
    return parts


def draw(contestants, cases, cells, machine, kinds=None,
         title="Publish and subscribe on one host"):
    """The text of an SVG file."""
    kinds = [entry for entry in kinds or KINDS if any(case.kind == entry[0] for case in cases)]
    height_of_block = HEAD + len(contestants) * STEP + 16
    columns = max((sum(case.kind == kind for case in cases) for kind, _, _ in kinds), default=1)
    width = NAMES + 10 + columns * (PANEL + GAP)
    height = 60 + len(kinds) * height_of_block
    place = "%s, %d CPUs, Linux %s, %s" % (machine["cpu"], machine["cpus"], machine["kernel"],
                                           machine["date"][:10])
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-size="12" '
             'font-family="sans-serif">' % (width, height),
             rectangle(0, 0, width, height, "#ffffff"),
             label(16, 24, title, font_size="17", font_weight="bold"),
             label(16, 44, place + "; medians; logarithmic scale", fill="#555")]
    for number, (kind, key, text) in enumerate(kinds):
        parts += block(60 + number * height_of_block, kind, key, text, contestants, cases, cells)
    return "\n".join(parts + ["</svg>", ""])
