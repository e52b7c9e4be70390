"""Pages of the documentation as scripts: what a reader would type, in the order of the page.

A block marked ``console`` holds commands after ``$ `` and, below each, what it prints (not compared). An HTML comment
in the line above a block says how it is meant:

    <!-- file: enrollments.csv -->   the block is the content of that file
    <!-- stays running: OPTIONS -->  the command runs until the page ends, in tests with these options added
    <!-- not run: the reason -->     only where running it would be wrong
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Fence:
    """One block of code, and the remark above it."""

    language: str
    remark: str
    body: str

    @property
    def commands(self) -> list[str]:
        """The commands, without their prompts; none in a block of another language."""
        return COMMAND.findall(self.body) if self.language == "console" else []

    @property
    def is_run(self) -> bool:
        return not self.remark.startswith("not run:")


def fences(page: str) -> Iterator[Fence]:
    """Yield the blocks of a page in their order."""
    for found in FENCE.finditer(page):
        yield Fence(found["language"], found["remark"] or "", found["body"])


def script(page: str) -> str:
    """Return the page as a script for bash; empty when it has no command to run."""
    steps = [step for fence in fences(page) if fence.is_run for step in _steps(fence)]
    return PROLOGUE + "\n".join(steps) + "\n" if any(fence.commands and fence.is_run for fence in fences(page)) else ""


def _steps(fence: Fence) -> Iterator[str]:
    if fence.remark.startswith("file: "):
        yield f"printf %s {shlex.quote(fence.body)} > {shlex.quote(fence.remark.removeprefix('file: '))}"
    for command in fence.commands:
        yield f"echo {shlex.quote('$ ' + command)}"
        _, stays_running, options = fence.remark.partition("stays running: ")
        yield BACKGROUND.format(command=f"{command} {options}") if stays_running else command


def all_pages(repository: Path) -> list[Path]:
    """Return the pages whose commands are run."""
    return [repository / "README.md", *sorted((repository / "docs" / "how-to").glob("*.md"))]
