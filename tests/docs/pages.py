"""Pages of the documentation as scripts: what a reader would type, in the order of the page.

A block marked ``console`` holds commands after ``$ `` and, below each, what it prints. An HTML comment in the line
above a block says how it is meant:

    <!-- compared -->               what stands below a command is what it prints; ``...`` stands for what is left out
    <!-- printed -->                the block is what the Python above it prints, with ``...`` in the same sense
    <!-- file: enrollments.csv -->  the block is the content of that file
    <!-- stays running: OPTIONS --> the command runs until the page ends, in tests with these options, if any, added
    <!-- not run: the reason -->    only where running it would be wrong
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path

FENCE = re.compile(
    r"^(?:<!-- (?P<remark>.*?) -->\n)?```(?P<language>[\w{}-]+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
COMMAND = re.compile(r"^\$ (.*(?:\\\n.*)*)$", re.MULTILINE)

PROLOGUE = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n"
# The log is asked for the line with which `serve` says that it listens.
BACKGROUND = (
    "{command} > background.log 2>&1 &\ntimeout 60 sh -c 'until grep -q http background.log; do sleep 0.1; done'"
)
#: Stands before each command in what a script prints.
MARK = "\x1e"
#: Where a reader's site is served.
READERS_SITE = "127.0.0.1:8000"
#: Pages that are about a site that is served already, and run against one.
SERVED_PAGES = ("use-the-api.md", "observe.md")


@dataclass(frozen=True, slots=True)
class Fence:
    """One block of code, and the remark above it."""

    language: str
    remark: str
    body: str

    @property
    def exchanges(self) -> list[tuple[str, str]]:
        """The commands, without their prompts, each with what stands below it; none in a block of another language."""
        if self.language != "console":
            return []
        found = list(COMMAND.finditer(self.body))
        ends = [*(each.start() for each in found[1:]), len(self.body)]
        return [(each[1], self.body[each.end() : end].strip()) for each, end in zip(found, ends, strict=True)]

    @property
    def is_run(self) -> bool:
        return not self.remark.startswith("not run:")

    @property
    def is_compared(self) -> bool:
        return self.remark == "compared"

    @property
    def file(self) -> str:
        """The name of the file that the block is the content of; empty where it is none."""
        return self.remark.removeprefix("file: ") if self.remark.startswith("file: ") else ""


def fences(page: str) -> Iterator[Fence]:
    """Yield the blocks of a page in their order."""
    for found in FENCE.finditer(page):
        yield Fence(found["language"], found["remark"] or "", found["body"])


def script(page: str) -> str:
    """Return the page as a script for bash; empty when it has no command to run."""
    steps = [step for fence in fences(page) if fence.is_run for step in _steps(fence)]
    return PROLOGUE + "\n".join(steps) + "\n" if _runs(page) else ""


def differences(page: str, output: str) -> str:
    """Return where *output*, of the script, is not what the page shows; empty where it is."""
    exchanges = [(fence, *exchange) for fence in _runs(page) for exchange in fence.exchanges]
    printed = output.split(MARK)[1:]
    assert len(printed) == len(exchanges), f"of {len(exchanges)} commands, {len(printed)} were run"
    wrong = (
        f"$ {command}\nis shown to print\n{shown}\nbut\n{text}"
        for (fence, command, shown), text in zip(exchanges, printed, strict=True)
        if fence.is_compared and not is_shown(text.partition(f"$ {command}\n")[2], shown)
    )
    return "\n".join(wrong)


def programs(page: str) -> list[tuple[str, str]]:
    """Return the Python of a page, each with what it is shown to print; files are none of it."""
    found = list(fences(page))
    following = [*found[1:], Fence("", "", "")]
    return [
        (fence.body, after.body if after.remark == "printed" else "")
        for fence, after in zip(found, following, strict=True)
        if fence.language == "python" and fence.is_run and not fence.file
    ]


def is_shown(text: str, shown: str) -> bool:
    """Return whether *text* is what is *shown*, where ``...`` stands for anything."""
    return OutputChecker().check_output(shown.strip() + "\n", text.strip() + "\n", ELLIPSIS)


def _runs(page: str) -> list[Fence]:
    return [fence for fence in fences(page) if fence.is_run and fence.exchanges]


def _steps(fence: Fence) -> Iterator[str]:
    if fence.file:
        yield f"printf %s {shlex.quote(fence.body)} > {shlex.quote(fence.file)}"
    for command, _ in fence.exchanges:
        yield f"echo {shlex.quote(f'{MARK}$ {command}')}"
        if fence.remark.startswith("stays running:"):
            options = fence.remark.removeprefix("stays running:").strip()
            yield BACKGROUND.format(command=f"{command} {options}".rstrip())
        else:
            yield command


def all_pages(repository: Path) -> list[Path]:
    """Return the pages whose commands are run."""
    return [repository / "README.md", *sorted((repository / "docs" / "how-to").glob("*.md"))]
