"""Commands that pages show for an LMS are not run, for there is none here; but each exists, with its options."""

import re
import shlex

import pytest
from django.core.management import load_command_class

from tests.docs.desk import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
SHOWN = re.compile(r"manage\.py lms ([a-z_]+)([^`\n|;\"]*)")
OURS = {path.stem for path in (REPOSITORY / "completion_aggregator" / "management" / "commands").glob("[a-z]*.py")}
DJANGO = {"check", "migrate"}
ALL = [
    pytest.param(page, found[1], found[2], id=f"{page.stem} {found[1]}{found[2]}")
    for page in PAGES
    for found in SHOWN.finditer(page.read_text())
]


def test_pages_show_commands_for_an_lms():
    assert {command for _, command, _ in (each.values for each in ALL)} >= {"run_aggregator_service", "migrate"}


@pytest.mark.parametrize(("page", "command", "options"), ALL)
def test_a_command_that_a_page_shows_takes_what_it_is_given(page, command, options):
    assert command in OURS | DJANGO
    if command in OURS:
        parser = load_command_class("completion_aggregator", command).create_parser("manage.py", command)
        parser.parse_args(shlex.split(options.rstrip(".,:")))
