"""The pages about tracking logs: the tables they name, and their commands, with logs and a bucket beside them."""

import re
import runpy

import pytest

from completion_aggregator.tracking import tables, views
from completion_aggregator.tracking.refresh.tables import REFRESHED
from tests.docs.desk import REPOSITORY
from tests.tracking.builders import new_store

TABLES_PAGE = REPOSITORY / "docs" / "reference" / "tracking-tables.md"
LEDGER = ("load", "source", "field")
written = runpy.run_path(str(REPOSITORY / "scripts" / "tables_page.py"))["written"]


def test_the_page_of_tables_is_what_is_written_from_the_code():
    page = TABLES_PAGE.read_text()
    assert page == written(page), "run `make tables`"


def test_the_page_of_tables_has_a_section_for_each_table_and_no_other():
    sections = re.findall(r"^### `(\w+)`$", TABLES_PAGE.read_text(), re.MULTILINE)
    assert sorted(sections) == sorted([*tables.TABLES, *REFRESHED, *LEDGER])


def test_a_page_without_a_place_for_the_tables_is_refused():
    with pytest.raises(SystemExit, match="no place"):
        written("# Tables\n")


@pytest.mark.parametrize("name", LEDGER)
def test_the_page_has_the_columns_that_the_ledger_shows(name, tmp_path):
    section = TABLES_PAGE.read_text().split(f"### `{name}`\n")[1].partition("\n### ")[0]
    told = [each for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for each in re.findall(r"`(\w+)`", row)]
    with views.connected(new_store(tmp_path)) as connection:
        shown = [row[0] for row in connection.execute(f"DESCRIBE {name}").fetchall()]
    assert sorted(told) == sorted(shown)
