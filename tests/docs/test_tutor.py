"""The Tutor plug-in that we ship: what it adds to Tutor is what Tutor, and the LMS, can read."""

import json
import runpy
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from django.core.management import load_command_class
from django.test import override_settings
from jinja2 import Environment, StrictUndefined

from completion_aggregator.checks import settings_can_work
from completion_aggregator.conf import SETTINGS
from tests.docs.desk import REPOSITORY

PLUGIN = REPOSITORY / "docs" / "tutor" / "completion_aggregator.py"
# Of Tutor itself, in the settings that our templates may name.
TUTORS_OWN = {"DOCKER_IMAGE_OPENEDX": "docker.io/overhangio/openedx:22.0.3"}
PREFIX = "COMPLETION_AGGREGATOR_"


class Filter(list[Any]):
    """Stand for one of Tutor's: it keeps what a plug-in adds."""

    add_item = list.append
    add_items = list.extend


@pytest.fixture
def hooks(monkeypatch) -> SimpleNamespace:
    """Load the plug-in into a stand-in of Tutor; return what it added."""
    filters = SimpleNamespace(CONFIG_DEFAULTS=Filter(), CLI_DO_INIT_TASKS=Filter(), ENV_PATCHES=Filter())
    tutor = ModuleType("tutor")
    vars(tutor)["hooks"] = SimpleNamespace(Filters=filters)
    monkeypatch.setitem(sys.modules, "tutor", tutor)
    runpy.run_path(str(PLUGIN))
    return filters


def rendered(hooks: SimpleNamespace, patch: str, **config: Any) -> str:
    environment = Environment(undefined=StrictUndefined, autoescape=False)
    template = dict(hooks.ENV_PATCHES)[patch]
    return environment.from_string(template).render(TUTORS_OWN | dict(hooks.CONFIG_DEFAULTS) | config)


def command_of(arguments: list[str]) -> Any:
    """Return the options with which a command of ours is called; whatever it does not know is an error."""
    assert arguments[:2] == ["./manage.py", "lms"]
    command = load_command_class("completion_aggregator", arguments[2])
    return vars(command.create_parser("manage.py", arguments[2]).parse_args(arguments[3:]))


def test_it_adds_to_what_tutor_knows_and_to_nothing_twice(hooks):
    patches = [name for name, _ in hooks.ENV_PATCHES]
    assert patches == [
        "openedx-dockerfile-post-python-requirements",
        "lms-env",
        "local-docker-compose-prod-services",
        "k8s-deployments",
    ]
    assert all(name.startswith(PREFIX) for name, _ in hooks.CONFIG_DEFAULTS)


def test_the_tables_are_made_by_the_lms(hooks):
    assert hooks.CLI_DO_INIT_TASKS == [("lms", "./manage.py lms migrate completion_aggregator\n")]


def test_the_image_gets_the_package(hooks):
    line = rendered(hooks, "openedx-dockerfile-post-python-requirements").replace("\\\n", "").split()
    assert line[0] == "RUN"
    assert line[-3:] == ["install", "--constraint=/tmp/django.txt", "'completion-aggregator>=5.0,<6'"]


SAID = {
    "BLOCK_TYPES": ["course", "chapter"],
    "PROJECTED_BLOCK_TYPES": None,
    "AGGREGATE_UNRELEASED_BLOCKS": True,
    "COMPLETION_MODES": {"poll": "completable"},
    "THRESHOLDS": {"course": [0.5, 1.0]},
    "WEBHOOKS": [{"url": "https://example.org/in?a=1&b='2'", "secret": "<0123456789abcdef>"}],
}


@pytest.mark.parametrize("said", [{}, {"ASYNC_AGGREGATION": True}, SAID])
def test_settings_reach_the_lms_as_they_were_given(hooks, said):
    found = yaml.safe_load(rendered(hooks, "lms-env", COMPLETION_AGGREGATOR_SETTINGS=said)) or {}
    assert found == {PREFIX + name: value for name, value in said.items()}
    with override_settings(**found):
        assert [each for each in settings_can_work(None) if each.is_serious()] == []


def test_the_settings_that_it_gives_by_itself_are_settings(hooks):
    given = dict(hooks.CONFIG_DEFAULTS)[f"{PREFIX}SETTINGS"]
    assert given == {"ASYNC_AGGREGATION": True}
    assert set(given) <= set(SETTINGS)


def test_a_container_runs_the_service(hooks):
    services = yaml.safe_load(rendered(hooks, "local-docker-compose-prod-services"))
    service = services["completion-aggregator"]
    assert list(services) == ["completion-aggregator"]
    assert (command_of(service["command"])["loop"], service["image"]) == (30.0, TUTORS_OWN["DOCKER_IMAGE_OPENEDX"])
    assert service["environment"]["SERVICE_VARIANT"] == "lms"


def test_kubernetes_runs_the_service_and_cleans_up(hooks):
    text = rendered(hooks, "k8s-deployments", COMPLETION_AGGREGATOR_REPLICAS=3, COMPLETION_AGGREGATOR_LOOP_SECONDS=5)
    found = {each["kind"]: each for each in yaml.safe_load_all(text) if each}
    assert set(found) == {"Deployment", "CronJob"}
    deployment, job = found["Deployment"]["spec"], found["CronJob"]["spec"]
    assert deployment["replicas"] == 3
    (service,) = deployment["template"]["spec"]["containers"]
    (cleanup,) = job["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert command_of(service["args"])["loop"] == 5.0
    assert command_of(cleanup["args"])
    mounted = {each["name"] for each in service["volumeMounts"]}
    assert mounted == {each["name"] for each in deployment["template"]["spec"]["volumes"]}
    assert json.dumps(service["env"]) == json.dumps(cleanup["env"])
