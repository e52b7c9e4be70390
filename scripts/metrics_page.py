"""Write the tables of ``docs/reference/metrics.md`` from the table of metrics: see ``make metrics``."""

import sys
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[1]
PAGE: Final = REPOSITORY / "docs" / "reference" / "metrics.md"
BEGIN: Final = "<!-- what `make metrics` writes -->\n"
END: Final = "<!-- end of what `make metrics` writes -->\n"
HEAD: Final = "| metric | kind | labels | meaning |\n|---|---|---|---|\n"

sys.path.insert(0, str(REPOSITORY))

from completion_aggregator.instruments import INSTRUMENTS, PREFIX, Instrument  # noqa: E402


def written(page: str) -> str:
    """Return the page with its tables as they are to be."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{PAGE.name} has no place for the tables: {BEGIN.strip()} ... {END.strip()}")
    parts = (("Counted by processes", "process"), ("Read from the database", "database"))
    return before + BEGIN + "".join(_part(title, source) for title, source in parts) + END + after


def _part(title: str, source: str) -> str:
    rows = [_row(name, each) for name, each in INSTRUMENTS.items() if each.source == source]
    return f"\n## {title}\n\n{HEAD}{''.join(rows)}\n"


def _row(name: str, each: Instrument) -> str:
    labels = "; ".join(f"`{label}`: {', '.join(values)}" for label, values in each.labels.items())
    return f"| `{PREFIX}{name}` | {each.kind} | {labels} | {each.help} |\n"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{PAGE.relative_to(REPOSITORY)}\n")
