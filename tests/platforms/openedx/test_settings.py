"""What the plug-in sets in an LMS: what the site does not say, before and after the site's own file is read."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from completion_aggregator.settings import common, devstack, production, studio
from completion_aggregator.settings import test as test_settings_of_the_lms
from tests.conftest import skip_unless_required

PLATFORM = "completion_aggregator.platforms.openedx.platform.OpenEdxPlatform"
AUTHENTICATION = [
    "edx_rest_framework_extensions.auth.jwt.authentication.JwtAuthentication",
    "openedx.core.lib.api.authentication.BearerAuthenticationAllowInactiveUser",
    "edx_rest_framework_extensions.auth.session.authentication.SessionAuthenticationAllowInactiveUser",
]
EVENTS = [
    "openedx.completion_aggregator.progress.course",
    "openedx.completion_aggregator.progress.chapter",
    "openedx.completion_aggregator.progress.sequential",
    "openedx.completion_aggregator.progress.vertical",
]
AFTER_THE_FILE = [production, devstack, test_settings_of_the_lms]


def started(text: str = "", *, before: Mapping[str, Any] | None = None, after: Any = production) -> dict[str, Any]:
    """Return the settings of an LMS whose file holds *text*, in the order in which it comes by them."""
    module = SimpleNamespace(**(before or {}))
    common.plugin_settings(module)
    vars(module).update(yaml.safe_load(text) or {})
    after.plugin_settings(module)
    return vars(module)


@pytest.mark.parametrize("after", AFTER_THE_FILE)
def test_a_site_that_says_nothing_gets_ours(after):
    assert started(after=after) == {
        "COMPLETION_AGGREGATOR_PLATFORM": PLATFORM,
        "COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES": ["course", "chapter", "sequential", "vertical"],
        "COMPLETION_AGGREGATOR_API_AUTHENTICATION_CLASSES": AUTHENTICATION,
        "EVENT_TRACKING_BACKENDS_ALLOWED_XAPI_EVENTS": EVENTS,
    }


@pytest.mark.parametrize("after", AFTER_THE_FILE)
def test_what_a_site_says_in_its_file_is_left_alone(after):
    text = """
    COMPLETION_AGGREGATOR_PLATFORM: site.Platform
    COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES: []
    COMPLETION_AGGREGATOR_API_AUTHENTICATION_CLASSES: null
    COMPLETION_AGGREGATOR_ASYNC_AGGREGATION: true
    """
    said = yaml.safe_load(text)
    found = started(text, after=after)
    assert {name: found[name] for name in said} == said


def test_what_a_site_says_in_python_is_left_alone():
    said = {"COMPLETION_AGGREGATOR_PLATFORM": "site.Platform", "COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES": None}
    found = started(before=said)
    assert {name: found[name] for name in said} == said


@pytest.mark.parametrize("null", ["COMPLETION_AGGREGATOR_PLATFORM: null", ""])
def test_the_platform_is_open_edx_even_where_a_file_says_null(null):
    assert started(null)["COMPLETION_AGGREGATOR_PLATFORM"] == PLATFORM


@pytest.mark.parametrize("listed", ["[a]", "[a, openedx.completion_aggregator.progress.chapter]", "[]", "null"])
def test_our_events_join_those_that_a_file_allows_once_each(listed):
    allowed = started(f"EVENT_TRACKING_BACKENDS_ALLOWED_XAPI_EVENTS: {listed}")[common.ALLOWED_EVENTS]
    assert len(allowed) == len(set(allowed))
    assert set(allowed) == {*EVENTS, *(yaml.safe_load(listed) or ())}


def test_a_list_that_is_in_use_elsewhere_is_added_to_in_place():
    names = ["a"]
    found = started(before={common.ALLOWED_EVENTS: names})
    assert found[common.ALLOWED_EVENTS] is names
    assert names == ["a", *EVENTS]


def test_the_backend_of_a_site_is_not_replaced():
    backend = {"ENGINE": "site.Backend", "OPTIONS": {"processors": [{"OPTIONS": {"whitelist": {"b"}}}]}}
    found = started(before={common.ALLOWED_EVENTS: ["a"], "EVENT_TRACKING_BACKENDS": {"event_transformer": backend}})
    assert found["EVENT_TRACKING_BACKENDS"] == {
        "event_transformer": {"ENGINE": "site.Backend", "OPTIONS": {"processors": [{"OPTIONS": {"whitelist": {"b"}}}]}}
    }


@pytest.mark.parametrize(
    "backend",
    [
        None,
        {"OPTIONS": None},
        {"OPTIONS": {"processors": None}},
        {"OPTIONS": {"processors": [None, {"OPTIONS": None}, {"ENGINE": "site.Processor"}]}},
    ],
)
def test_a_backend_that_a_site_has_emptied_is_passed_over(backend):
    door = {"a"}
    others = {"emptied": backend, "site": {"OPTIONS": {"processors": [{"OPTIONS": {"whitelist": door}}]}}}
    started(before={common.ALLOWED_EVENTS: ["a"], "EVENT_TRACKING_BACKENDS": others})
    assert door == {"a", *EVENTS}


@pytest.mark.parametrize("first", ["event_routing_backends", "completion_aggregator"])
def test_progress_is_let_through_whichever_plug_in_comes_first(first):
    if find_spec("event_routing_backends") is None:
        skip_unless_required("needs the extra xapi: pip install -r requirements/xapi.txt", "CI_REQUIRE_XAPI")
    module = SimpleNamespace(LMS_ROOT_URL="http://lms.example.org", ENV_TOKENS={})
    for package in sorted(["event_routing_backends", "completion_aggregator"], key=lambda name: name != first):
        import_module(f"{package}.settings.common").plugin_settings(module)
    transformer = module.EVENT_TRACKING_BACKENDS["event_transformer"]["OPTIONS"]
    doors = [transformer, transformer["backends"]["xapi"]["OPTIONS"], transformer["backends"]["caliper"]["OPTIONS"]]
    lists = [door["processors"][0]["OPTIONS"]["whitelist"] for door in doors]
    assert [set(EVENTS) <= set(names) for names in lists] == [True, True, False]
    assert set(EVENTS) <= set(module.EVENT_BUS_TRACKING_LOGS)
    assert transformer["backend_name"] == "event_transformer"


def test_studio_is_told_of_the_platform_and_of_nothing_else():
    module = SimpleNamespace()
    studio.plugin_settings(module)
    assert vars(module) == {"COMPLETION_AGGREGATOR_PLATFORM": PLATFORM}
