"""The table of settings, its page, and what may stand in a file of the LMS."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import override_settings

from completion_aggregator import conf
from completion_aggregator.checks import settings_can_work
from completion_aggregator.conf import DEFAULTS, PREFIX, SETTINGS

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "reference" / "settings.md"
written = runpy.run_path(str(REPOSITORY / "scripts" / "settings_page.py"))["written"]

SECRET = "0123456789abcdef"
# As an operator writes them, and what we read.
IN_YAML: dict[str, tuple[str, object]] = {
    "BLOCK_TYPES": ("[course, chapter]", ["course", "chapter"]),
    "PROJECTED_BLOCK_TYPES": ("[course]", ["course"]),
    "AGGREGATE_UNRELEASED_BLOCKS": ("true", True),
    "COMPLETION_MODES": ("{poll: completable}", {"poll": "completable"}),
    "ASYNC_AGGREGATION": ("true", True),
    "BATCH_SIZE": ("500", 500),
    "MAX_ATTEMPTS": ("3", 3),
    "RECONCILE_LEARNERS": ("0", 0),
    "RECONCILE_HOURS": ("48", 48),
    "TRACKING_EVENT_TYPES": ("[course]", ["course"]),
    "THRESHOLDS": ("{course: [0.5, 1], chapter: []}", {"course": [0.5, 1], "chapter": []}),
    "WEBHOOKS": (
        f"[{{url: 'https://example.org/in', secret: {SECRET}}}]",
        [{"url": "https://example.org/in", "secret": SECRET}],
    ),
    "MAX_PAGE_SIZE": ("50", 50),
    "MEAN_CACHE_SECONDS": ("60", 60),
    "API_AUTHENTICATION_CLASSES": (
        "[rest_framework.authentication.SessionAuthentication]",
        ["rest_framework.authentication.SessionAuthentication"],
    ),
    "PLATFORM": ("tests.fakes.platform.FakePlatform", "tests.fakes.platform.FakePlatform"),
    "GRAPH_CACHE_SIZE": ("8", 8),
    "METRICS_TOKEN": (SECRET, SECRET),
    "METRICS_FOR_STAFF": ("true", True),
    "WORKER_METRICS_PORT": ("9101", 9101),
    "WORKER_METRICS_ADDRESS": ("0.0.0.0", "0.0.0.0"),
    "TRACKING_STORE": ("/srv/tracking", "/srv/tracking"),
    "TRACKING_PRIVATE_STORE": ("/srv/private", "/srv/private"),
    "TRACKING_KEYS": ("/etc/keys.json", "/etc/keys.json"),
    "TRACKING_COUNTRIES": ("/srv/countries.mmdb", "/srv/countries.mmdb"),
    "TRACKING_KEEP_TEXT": ("true", True),
    "TRACKING_KEEP_RAW": ("true", True),
    "TRACKING_CLICKHOUSE_PASSWORD": ("secret", "secret"),
}


def test_the_settings_page_is_what_is_written_from_the_table():
    page = PAGE.read_text()
    assert page == written(page), "run `make settings`"


def test_the_settings_page_has_a_row_for_each_setting_and_no_other():
    rows = re.findall(rf"^\| `{PREFIX}(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    # Where a standalone site keeps its files is known before there are settings.
    assert sorted(set(rows) - {"HOME"}) == sorted(SETTINGS)
    assert len(rows) == len(set(rows))


def test_a_page_without_a_place_for_the_tables_is_refused():
    with pytest.raises(SystemExit, match="no place"):
        written("# Settings\n")


def test_every_setting_is_tried_in_yaml():
    assert sorted(IN_YAML) == sorted(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_value_from_yaml_works(name):
    text, expected = IN_YAML[name]
    with given(name, text):
        assert conf.setting(name) == expected
        assert errors() == []
        conf.projected_block_types(), conf.thresholds(), conf.webhooks()


@pytest.mark.parametrize("name", SETTINGS)
def test_null_in_yaml_is_the_default(name):
    with given(name, "null"):
        assert conf.setting(name) == DEFAULTS[name]
        assert errors() == []


def test_lists_from_yaml_are_read_as_the_sets_that_they_stand_for():
    with given("BLOCK_TYPES", "[course, chapter]"), given("PROJECTED_BLOCK_TYPES", "[chapter, vertical]"):
        assert conf.block_types() == {"course", "chapter"}
        assert conf.projected_block_types() == {"chapter"}


def test_an_unknown_setting_fails_at_once():
    with pytest.raises(KeyError, match="NO_SUCH"):
        conf.setting("NO_SUCH")


def given(name: str, text: str) -> Any:
    return override_settings(**yaml.safe_load(f"{PREFIX}{name}: {text}"))


def errors() -> list[str]:
    return [str(each) for each in settings_can_work(None) if each.is_serious()]
