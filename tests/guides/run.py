"""Runs every command that README.md and the guides in docs show, and compares what it prints with
what they show.

    run.py PLACE GUIDE...

PLACE is `private`: a shell of the caller, with a home of its own, in the top of the tree; or
`system`: a Debian system with the packages, which GUIDE_MACHINE names (tests/packages/machine.sh).
A guide says before its blocks where they belong; those of the other place are passed over:

    <!-- guide: private -->         what follows runs there
    <!-- guide: system -->
    <!-- guide: log in again -->    what follows runs in a new shell of the user
    <!-- guide: not run: WHY -->    the next block alone is shown only
    <!-- guide: run: $ COMMAND -->  not shown: what readers have done before, or tidy up themselves

In a block of `console`, a line that begins with `$ ` is a command of an ordinary user, with `# `
one of root, with `> ` the rest of the line before. What follows is what it prints, if anything is
shown: `…` stands for any text within a line, a line of `...` for any lines. A command succeeds,
unless the next one is `echo $?`. A block of another language is the file that its first line names
in a comment, made where the shell is. A block of `text` is neither: something to look at.
"""

import os
import re
import signal
import subprocess
import sys
from typing import Dict, Iterator, List, NamedTuple, Optional

#: A command that waits for ever ends here; nothing is measured by it.
WATCHDOG = 600
MARK = "=== end of the command, status "
FILES = {"c", "python", "toml", "ini", "sh"}


class Step(NamedTuple):
    """One command with what it is to print, or a file that is to be made."""

    line: int
    user: str
    command: str
    expected: List[str]
    may_fail: bool = False


class Shell:
    """A shell that is told one command after the other."""

    def __init__(self, start: List[str], environment: Optional[Dict[str, str]]) -> None:
        self.process = subprocess.Popen(
            start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env=environment, start_new_session=True)

    def run(self, command: str) -> "tuple[int, List[str]]":
        self.process.stdin.write(f"{{ {command}\n}} < /dev/null\n"
                                 f"_status=$?; echo; echo '{MARK}'$_status; (exit $_status)\n")
        self.process.stdin.flush()
        printed: List[str] = []
        for line in self.process.stdout:
            if line.startswith(MARK):
                return int(line[len(MARK):]), "".join(printed)[:-1].splitlines()
            printed.append(line)
        raise SystemExit(f"the shell ended in: {command}\n{''.join(printed)}")

    def end(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        self.process.wait()


class Place:
    """The shells of a guide; each is started when it is first needed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.shells: Dict[str, Shell] = {}

    def run(self, step: Step) -> "tuple[int, List[str]]":
        if step.user not in self.shells:
            self.shells[step.user] = self.start(step.user)
        return self.shells[step.user].run(step.command)

    def start(self, user: str) -> Shell:
        if self.name == "private":
            return Shell(["bash", "--noprofile", "--norc"], None)
        machine = os.environ["GUIDE_MACHINE"]
        return Shell(["tests/packages/machine.sh", "shell", machine, user], None)

    def log_in_again(self) -> None:
        for shell in self.shells.values():
            shell.end()
        self.shells.clear()


def commands(first: int, lines: List[str], place: str) -> Iterator[Step]:
    """The commands of a block of `console`; `first` is the number of its first line."""
    steps: List[Step] = []
    for number, line in enumerate(lines, first):
        if line[:2] in ("$ ", "# "):
            user = "root" if line[0] == "#" else ("user" if place == "private" else "alice")
            if place == "private" and user == "root":
                raise SystemExit(f"line {number}: nothing private is done by root")
            steps.append(Step(number, user, line[2:], []))
        elif not steps:
            raise SystemExit(f"line {number}: a block begins with a command")
        elif line[:2] == "> " and not steps[-1].expected:
            steps[-1] = steps[-1]._replace(command=f"{steps[-1].command}\n{line[2:]}")
        else:
            steps[-1].expected.append(line)
    for step, following in zip(steps, steps[1:] + steps[-1:]):
        yield step._replace(may_fail=following.command == "echo $?")


def made_file(first: int, lines: List[str], place: str) -> Step:
    """The step that makes the file which the first line of a block names."""
    named = re.match(r"(?:/\*|#|;) (\S+)(?: \*/)?$", lines[0])
    if not named:
        raise SystemExit(f"line {first}: the first line of the block names no file")
    name = named.group(1)
    user = "user" if place == "private" else ("root" if name.startswith("/") else "alice")
    text = "\n".join(lines)
    return Step(first, user, f"cat > {name} <<'END OF THE FILE'\n{text}\nEND OF THE FILE", [])


def steps(path: str, wanted: str) -> Iterator["Step | None"]:
    """What a guide has for a place; None: log in again."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    place, skipped, number = "", False, 0
    while number < len(lines):
        line = lines[number]
        number += 1
        told = re.fullmatch(r"<!-- guide: (.*) -->", line)
        if told and told.group(1) in ("private", "system"):
            place = told.group(1)
        elif told and told.group(1) == "log in again":
            if place == wanted:
                yield None
        elif told and told.group(1).startswith("not run: "):
            skipped = True
            if place == wanted:
                print(f"note: {path}:{number}: {told.group(1)}")
        elif told and told.group(1).startswith("run: "):
            if place == wanted:
                yield from commands(number, [told.group(1)[len("run: "):]], place)
        elif told:
            raise SystemExit(f"{path}:{number}: what is {told.group(1)}?")
        elif line.startswith("    ") and not lines[number - 2]:
            raise SystemExit(f"{path}:{number}: commands belong into a block of console")
        elif line.startswith("```"):
            language, first = line[3:], number
            while lines[number] != "```":
                number += 1
            block = lines[first:number]
            number += 1
            if language not in FILES | {"console", "text"}:
                raise SystemExit(f"{path}:{first}: a block of {language or 'nothing'}")
            if not skipped and language != "text":
                if not place:
                    raise SystemExit(f"{path}:{first}: nothing says where this runs")
                if place == wanted and language == "console":
                    yield from commands(first + 1, block, place)
                elif place == wanted:
                    yield made_file(first + 1, block, place)
            skipped = False


def agrees(expected: List[str], printed: List[str]) -> bool:
    pattern = "".join(
        r"(?:.*\n)*?" if line == "..." else
        ".*".join(re.escape(part) for part in line.rstrip().split("…")) + r"\n"
        for line in expected)
    return re.fullmatch(pattern, "".join(line.rstrip() + "\n" for line in printed)) is not None


def run_guide(path: str, name: str) -> "tuple[int, int]":
    """Runs one guide; gives how many commands were run, and how many of them failed."""
    place, count, failures = Place(name), 0, 0
    for step in steps(path, name):
        if step is None:
            place.log_in_again()
            continue
        status, printed = place.run(step)
        while printed and not printed[-1].strip():
            printed.pop()
        expected = step.expected
        while expected and not expected[-1].strip():
            expected = expected[:-1]
        count += 1
        shown = f"{path}:{step.line}: {step.command.splitlines()[0]}"
        if status and not step.may_fail:
            problem = [f"status {status}"]
        elif expected and not agrees(expected, printed):
            problem = ["it prints something else than is shown"]
        else:
            print(f"ok - {shown}", flush=True)
            continue
        failures += 1
        print(f"not ok - {shown}", *problem, *printed, sep="\n    ", flush=True)
    place.log_in_again()
    return count, failures


def main() -> None:
    signal.alarm(WATCHDOG)
    name, count, failures = sys.argv[1], 0, 0
    for path in sys.argv[2:]:
        more, failed = run_guide(path, name)
        count, failures = count + more, failures + failed
    print(f"guides: {count - failures} of {count} steps in {name} are as shown")
    sys.exit(1 if failures or not count else 0)


if __name__ == "__main__":
    main()
