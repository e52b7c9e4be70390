"""Write the tables of ``docs/reference/tracking-tables.md`` anew, from those of the code: ``make tables``."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from completion_aggregator.tracking import tables as of_events  # noqa: E402
from completion_aggregator.tracking.refresh.tables import REFRESHED  # noqa: E402
from completion_aggregator.tracking.tables import COMMON, Column, Table  # noqa: E402

PAGE: Final = ROOT / "docs" / "reference" / "tracking-tables.md"
BEGIN: Final = "<!-- written by `make tables` from completion_aggregator/tracking/tables.py and refresh/tables.py -->\n"
END: Final = "<!-- end of what `make tables` writes -->\n"
HEAD: Final = "| column | holds | meaning |\n|---|---|---|\n"
SHARED: Final = "The four columns that all tables of events share, and:\n\n"


def written(page: str) -> str:
    """Return *page* with the tables as they must be."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{PAGE.name} has no place for the tables")
    return f"{before}{BEGIN}\n{sections()}\n{END}{after}"


def sections() -> str:
    """Return a section for each kind of tables."""
    of_platform = REFRESHED.values()
    return "\n".join(
        (
            f"## Events\n\nShared by all tables of events:\n\n{_rows(COMMON)}\n{_tables(of_events.OPEN)}",
            f"## Who they were (private)\n\n{_tables(of_events.PRIVATE)}",
            f"## The platform\n\n{_tables(each for each in of_platform if not each.is_private)}",
            f"## People of the platform (private)\n\n{_tables(each for each in of_platform if each.is_private)}",
        )
    )


def _tables(found: Iterable[Table]) -> str:
    return "\n".join(f"### `{each.name}`\n\nOne row per {each.row}.\n\n{_columns(each)}" for each in found)


def _columns(table: Table) -> str:
    # `copy` and the private tables have some of the shared columns, not all: there each is told.
    shares_all = table.columns[: len(COMMON)] == COMMON
    return SHARED + _rows(table.columns[len(COMMON) :]) if shares_all else _rows(table.columns)


def _rows(columns: Iterable[Column]) -> str:
    return HEAD + "".join(f"| `{each.name}` | {each.kind.value} | {each.meaning} |\n" for each in columns)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
