#!/usr/bin/env python3
"""Writes the manual pages of the C functions from the comments in the public headers.

    generate.py            writes one page per function beside this file
    generate.py --check    compares instead; exit status 1 and a list if anything differs

The headers are the only source: a page is never edited by hand. libSaEvt.3 is written by hand;
--check also verifies that it names every function and every code that all functions share.
"""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = HERE.parent.parent / "include"
STANDARDS = "Service Availability Forum, Application Interface Specification, "
OVERVIEW = "libSaEvt"

PLAIN_NAMES = r"""
A program that defines
.B SA_EXTENDED_NAME_SOURCE
sees an opaque
.BR SaNameT ,
for
.BR saAisNameLend (3)
and
.BR saAisNameBorrow (3).
"""


class Function:
    """One function as a header declares and documents it."""

    def __init__(self, header, comment, prototype):
        self.header = header
        self.prototype = prototype
        self.name = re.search(r"(\w+)\(", prototype).group(1)
        text, *tags = re.split(r"^@", comment, flags=re.MULTILINE)
        self.paragraphs = [" ".join(part.split()) for part in text.strip().split("\n\n")]
        self.parameters, self.codes, self.result = [], [], None
        for tag in tags:
            kind, rest = tag.split(None, 1)
            if kind == "return":
                self.result = " ".join(rest.split())
                continue
            name, meaning = rest.split(None, 1)
            entry = (name, " ".join(meaning.split()))
            {"param": self.parameters, "retval": self.codes}[kind].append(entry)

    def summary(self):
        """The first sentence, as the NAME line wants it."""
        first = re.split(r"(?<=[.:])\s", self.paragraphs[0])[0].rstrip(".:")
        return first[0].lower() + first[1:]


def bare(comment):
    """A comment without its stars."""
    lines = [re.sub(r"^\s*\* ?", "", line) for line in comment.strip().splitlines()]
    return "\n".join(lines).strip()


def functions():
    """All documented functions, in the order of the headers."""
    found = []
    for header in ("saAis.h", "saEvt.h"):
        text = (INCLUDE / header).read_text()
        pattern = r"/\*\*((?:(?!\*/).)*)\*/\s*extern\s+([^;{\"]*;)"
        for comment, prototype in re.findall(pattern, text, re.DOTALL):
            found.append(Function(header, bare(comment), " ".join(prototype.split())))
    return found


def common_codes():
    """The codes of all functions: (name, meaning, functions that do not return it)."""
    top = bare(re.search(r"/\*(.*?)\*/", (INCLUDE / "saEvt.h").read_text(), re.DOTALL).group(1))
    codes, unless = [], set()
    for item in re.split(r"^- ", top.split("Codes of all functions")[1], flags=re.MULTILINE)[1:]:
        name, meaning = " ".join(item.split()).split(": ", 1)
        meaning, *exceptions = re.split(r"[.,]? (?:and not|Not) from ", meaning)
        if exceptions != ["the same functions."]:
            unless = set(re.findall(r"sa\w+", " ".join(exceptions)))
        meaning = meaning[0].upper() + meaning[1:].rstrip(".") + "."
        codes.append((name, meaning, unless))
    return codes


def marked(text):
    """Running text as roff: names set in their fonts, nothing taken for a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"`(\w+)\\->(\w+)`", r"\\fI\1\\->\2\\fP", text)
    text = re.sub(r"`(\w+)`", r"\\fI\1\\fP", text)
    text = re.sub(r"\b(SA_\w+|Sa[A-Z]\w+T)\b", r"\\fB\1\\fP", text)
    text = re.sub(r"\b(sa[A-Z]\w+)\(\)", r"\\fB\1\\fP(3)", text)
    text = re.sub(r"\bfree\(\)", r"\\fBfree\\fP(3)", text)
    text = re.sub(r"\bfork\(\)", r"\\fBfork\\fP(2)", text)
    sentences = re.split(r"(?<=[.:;])\s+", text)
    return "\n".join(re.sub(r"^([.'])", r"\\&\1", line) for line in sentences)


def listed(entries):
    """A tagged list."""
    return "".join(f".TP\n{tag}\n{marked(text)}\n" for tag, text in entries)


def synopsis(function):
    """How to include and call it."""
    lines = [".nf"]
    if function.header == "saAis.h":
        lines.append(".B #define SA_EXTENDED_NAME_SOURCE")
    lines += [f".B #include <{function.header}>", ".PP"]
    head, rest = function.prototype.split("(", 1)
    arguments = rest.rstrip(");").split(", ")
    indent = " " * len(head + "(")
    for index, argument in enumerate(arguments):
        start = head + "(" if index == 0 else indent
        end = ");" if index == len(arguments) - 1 else ","
        kind, name = re.match(r"(.*[ *])(\w+)$", argument).groups()
        lines.append(f'.BI "{start}{kind}" {name} "{end}"')
    return "\n".join(lines + [".fi"]) + "\n"


def returned(function):
    """The RETURN VALUE section: own codes first, then those of all functions."""
    if function.result or function.header == "saAis.h":
        return marked(function.result or "None.") + "\n"
    own = {name for name, _ in function.codes}
    entries = function.codes + [
        (name, meaning)
        for name, meaning, unless in common_codes()
        if name not in own and function.name not in unless
    ]
    entries.sort(key=lambda entry: entry[0] != "SA_AIS_OK")
    return listed((f".B {name}", text) for name, text in entries)


def related(function):
    """The functions that the comment mentions, and the page on the whole."""
    texts = function.paragraphs + [text for _, text in function.parameters + function.codes]
    names = set(re.findall(r"\b(sa[A-Z]\w+)\(\)", " ".join(texts))) - {function.name}
    return " (3),\n.BR ".join(sorted(names) + [OVERVIEW]) + " (3)\n"


def page(function):
    """The whole page."""
    release = "SAI\\-AIS\\-EVT\\-B.03.01" if function.header == "saEvt.h" else None
    parts = [
        '.\\" Made by generate.py from the comments in the headers. Do not edit.\n',
        f'.TH {function.name} 3 "" saevt "AIS Event Service"\n',
        f".SH NAME\n{function.name} \\- {marked(function.summary())}\n",
        ".SH LIBRARY\nAIS Event Service (\\fBlibSaEvt\\fP, \\fI\\-lSaEvt\\fP)\n",
        ".SH SYNOPSIS\n" + synopsis(function),
        ".SH DESCRIPTION\n" + "\n.PP\n".join(map(marked, function.paragraphs)) + "\n",
        listed((f".I {name}", text) for name, text in function.parameters),
        ".SH RETURN VALUE\n" + returned(function),
    ]
    if release:
        parts.append(
            ".SH ATTRIBUTES\nMT\\-Safe, also inside callbacks; not async\\-signal\\-safe.\n"
            f".SH STANDARDS\n{marked(STANDARDS)}{release}.\n"
        )
        if "SaNameT" in function.prototype:
            parts.append(".SH NOTES" + PLAIN_NAMES)
    parts.append(".SH SEE ALSO\n.BR " + related(function))
    return "".join(parts)


def missing_in_overview(names):
    """What the page that is written by hand does not mention."""
    text = (HERE / f"{OVERVIEW}.3").read_text()
    wanted = names + [name for name, _, _ in common_codes()]
    return [name for name in wanted if not re.search(rf"\b{name}\b", text)]


def main(arguments):
    """Writes or checks; gives the exit status."""
    found = functions()
    pages = {f"{function.name}.3": page(function) for function in found}
    if arguments != ["--check"]:
        for name, text in pages.items():
            (HERE / name).write_text(text)
        return 0
    present = {path.name for path in HERE.glob("*.3")} - {f"{OVERVIEW}.3"}
    wrong = [f"{name}: no such function" for name in sorted(present - pages.keys())]
    for name, text in pages.items():
        path = HERE / name
        if not path.exists() or path.read_text() != text:
            wrong.append(f"{name}: differs from the header, run generate.py")
    names = [function.name for function in found]
    wrong += [f"{OVERVIEW}.3: does not mention {name}" for name in missing_in_overview(names)]
    print("\n".join(wrong + [f"{len(pages)} pages"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
