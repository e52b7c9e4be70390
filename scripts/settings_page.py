"""Write the tables of ``docs/reference/settings.md`` anew, from the table of settings: ``make settings``."""

import os
import sys
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "test_settings")

from completion_aggregator.conf import PREFIX, SETTINGS, Setting  # noqa: E402
from completion_aggregator.settings.common import plugin_settings  # noqa: E402

PAGE: Final = ROOT / "docs" / "reference" / "settings.md"
BEGIN: Final = "<!-- written by `make settings` from completion_aggregator/conf.py -->\n"
END: Final = "<!-- end of what `make settings` writes -->\n"
HEAD: Final = "| setting | default | in the LMS | meaning |\n|---|---|---|---|\n"


def written(page: str) -> str:
    """Return *page* with the tables as they must be."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{PAGE.name} has no place for the tables")
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


def tables() -> str:
    """Return a section for each part, with a row for each setting."""
    lms = SimpleNamespace()
    plugin_settings(lms)
    parts = groupby(SETTINGS.items(), key=lambda item: item[1].part)
    return "\n".join(
        f"## {part}\n\n{HEAD}{''.join(_row(name, each, lms) for name, each in rows)}" for part, rows in parts
    )


def shown(value: object) -> str:
    """Return a value as the page writes it: sets in the order of the alphabet."""
    if isinstance(value, frozenset):
        return "{" + ", ".join(map(repr, sorted(value))) + "}" if value else "set()"
    return repr(value).replace("'", '"') if isinstance(value, str) else repr(value)


def _row(name: str, setting: Setting, lms: SimpleNamespace) -> str:
    given = getattr(lms, PREFIX + name, None)
    parts = [""] if given is None else [shown(each) for each in (given if isinstance(given, list) else [given])]
    in_lms = ", ".join(f"`{each}`" for each in parts if each)
    return f"| `{PREFIX}{name}` | `{shown(setting.default)}` | {in_lms} | {setting.meaning} |\n"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
