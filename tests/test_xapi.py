"""xAPI statements of progress: made by the real library from real events, and missed by nobody who lacks it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.apps import apps
from eventtracking import tracker
from eventtracking.backends.logger import DateTimeJSONEncoder

from completion_aggregator import xapi
from completion_aggregator.aggregation import api
from tests.aggregation.builders import KEY, complete, learner, small, usage
from tests.aggregation.conftest import nothing_kept, platform
from tests.conftest import skip_unless_required
from tests.fakes.platform import FakePlatform
from tests.fakes.statements import EXTERNAL_ID, LMS_ROOT_URL

__all__ = ["nothing_kept", "platform"]

REPOSITORY = Path(__file__).parents[1]
TRANSFORMERS = "completion_aggregator.xapi.transformers"
NAME = "openedx.completion_aggregator.progress."
FILTER = "completion_aggregator.xapi.progress.get_object"
CMI5_PROGRESS = "https://w3id.org/xapi/cmi5/result/extensions/progress"
ACTIVITY = "http://adlnet.gov/expapi/activities/"
TYPES = ("course", "chapter", "sequential", "vertical")

#: Everything of ours is imported while the extra cannot be, and the site starts.
WITHOUT = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"event_routing_backends", "tincan", "openedx_filters"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
import django
from django.core.management import call_command
django.setup()
call_command("check")
import pkgutil, completion_aggregator
from completion_aggregator import xapi
named = [each.name for each in pkgutil.walk_packages(completion_aggregator.__path__, "completion_aggregator.")]
wiring = ("completion_aggregator.platforms.standalone.wsgi", "completion_aggregator.xapi.transformers")
for name in named:
    if name not in wiring and ".platforms.standalone." not in name and ".rest_api" not in name:
        __import__(name)
print(xapi.register(), "completion_aggregator.xapi.transformers" in sys.modules)
"""

REGISTERED = """
from tests.fakes import statements
def ours(events):
    from event_routing_backends.processors.xapi.registry import XApiTransformersRegistry
    return sorted(name for name in XApiTransformersRegistry.mapping if "completion_aggregator" in name)
statements.statements = ours
statements.main()
"""


@pytest.fixture
def needs_router() -> None:
    if find_spec("event_routing_backends") is None:
        skip_unless_required("needs the extra xapi: pip install -r requirements/xapi.txt", "CI_REQUIRE_XAPI")


class Memory:
    """A tracking backend that keeps our events as the router of a site gets them."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def send(self, event: dict[str, Any]) -> None:
        if event["name"].startswith(NAME):
            self.events.append(json.loads(json.dumps(event, cls=DateTimeJSONEncoder)))


def run(*code: str, stdin: str = "[]", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *code],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done


def statements_of(events: list[Any], filters: dict[str, Any] | None = None) -> list[Any]:
    done = run("-m", "tests.fakes.statements", json.dumps(filters or {}), stdin=json.dumps(events))
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def events(platform: FakePlatform, settings: Any) -> Any:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    settings.COMPLETION_AGGREGATOR_TRACKING_EVENT_TYPES = list(TYPES)
    backends, memory = tracker.get_tracker().backends, Memory()
    backends["memory"] = memory
    small(platform)
    ana = learner(platform, "ana")
    for name in "ab":
        complete(ana, name)
    api.refresh_course(KEY)
    yield memory.events
    del backends["memory"]


def statement(event: Any, *, of: str, percent: float) -> dict[str, Any]:
    """Return the whole statement that an event is to become, less the id that the library makes up."""
    return {
        "version": "1.0.3",
        "timestamp": event["timestamp"],
        "actor": {
            "objectType": "Agent",
            "account": {"homePage": LMS_ROOT_URL, "name": EXTERNAL_ID.format(event["data"]["user_id"])},
        },
        "verb": {"id": "http://adlnet.gov/expapi/verbs/progressed", "display": {"en": "progressed"}},
        "object": {
            "objectType": "Activity",
            "id": f"{LMS_ROOT_URL}/xblock/{event['data']['block_id']}",
            "definition": {"type": ACTIVITY + ("course" if of == "course" else "module")},
        },
        "result": {"completion": percent == 1.0, "extensions": {CMI5_PROGRESS: percent * 100}},
        "context": {
            "contextActivities": {
                "parent": [
                    {
                        "objectType": "Activity",
                        "id": f"{LMS_ROOT_URL}/course/{KEY}",
                        "definition": {
                            "type": ACTIVITY + "course",
                            "name": {"en-US": f"The title of {KEY}"},
                        },
                    }
                ]
            },
            "extensions": {
                "https://w3id.org/xapi/openedx/extension/transformer-version": "event-routing-backends@1.1.1",
            },
        },
    }


@pytest.mark.django_db(transaction=True)
def test_each_event_becomes_a_whole_statement_with_its_course_as_parent(needs_router: None, events: list[Any]) -> None:
    percents = {
        "course": 2 / 5, "c1": 2 / 3, "s1": 2 / 3, "v1": 1.0, "v2": 0.0, "c2": 0.0, "s2": 0.0, "v3": 0.0,
    }  # fmt: skip
    found = statements_of(events)

    ids = [each.pop("id") for each in found]
    names = [event["data"]["block_id"].rpartition("@")[2] for event in events]
    assert found == [
        statement(event, of=event["data"]["type"], percent=percents[name])
        for event, name in zip(events, names, strict=True)
    ]
    assert sorted(names) == sorted(percents)
    assert len(set(ids)) == len(ids)


@pytest.mark.django_db(transaction=True)
def test_a_site_may_change_the_object_by_its_filter(needs_router: None, events: list[Any]) -> None:
    pipeline = {FILTER: {"pipeline": ["tests.fakes.filters.Mark"], "fail_silently": False}}
    (found,) = statements_of([event for event in events if event["data"]["type"] == "course"], pipeline)
    assert found["object"]["id"] == f"{LMS_ROOT_URL}/xblock/{usage('course', 'course')}#marked"


def test_four_names_are_registered(needs_router: None) -> None:
    assert json.loads(run("-c", REGISTERED, "{}").stdout) == sorted(NAME + each for each in TYPES)


def test_nobody_needs_the_extra() -> None:
    done = run("-c", WITHOUT, env={"DJANGO_SETTINGS_MODULE": "test_settings_core"})
    assert done.stdout.splitlines()[-1] == "False False"


class Written(MetaPathFinder, Loader):
    """Finds our transformers, and in the place of their code this."""

    def __init__(self, code: str) -> None:
        self.code = code

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name == TRANSFORMERS else None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.code, vars(module))


@pytest.fixture
def importing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], bool]:
    """Register on a site with the app of the library, where our transformers begin with this code."""

    def register(code: str) -> bool:
        monkeypatch.setattr(apps, "is_installed", lambda name: name == xapi.ROUTER)
        monkeypatch.setattr(sys, "meta_path", [Written(code), *sys.meta_path])
        monkeypatch.delitem(sys.modules, TRANSFORMERS, raising=False)
        monkeypatch.delattr(xapi, "transformers", raising=False)
        try:
            return xapi.register()
        finally:
            sys.modules.pop(TRANSFORMERS, None)
            vars(xapi).pop("transformers", None)

    return register


@pytest.mark.filterwarnings("ignore:Python 3.11 support is deprecated")  # by openedx_filters, where it is there
@pytest.mark.parametrize(
    "code",
    [
        "import event_routing_backends.moved",
        "from event_routing_backends import moved",
        "import tincan.moved",
        "from tincan import moved",
        "import openedx_filters.moved",
    ],
)
def test_a_site_whose_library_has_moved_starts_all_the_same_and_says_so(
    importing: Callable[[str], bool], caplog: pytest.LogCaptureFixture, code: str
) -> None:
    assert importing(code) is False
    assert [record.getMessage() for record in caplog.records] == ["no xAPI statements of progress"]


@pytest.mark.parametrize(
    "code", ["import completion_aggregator.moved", "from completion_aggregator.conf import moved", "import jsn"]
)
def test_an_import_of_ours_that_is_broken_is_not_hidden(importing: Callable[[str], bool], code: str) -> None:
    with pytest.raises(ImportError):
        importing(code)


def test_transformers_that_can_be_imported_are_registered(importing: Callable[[str], bool]) -> None:
    assert importing("") is True
