"""The numbers of the package we replace, computed elsewhere, bit for bit."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api
from completion_aggregator.course_graph.graph import Block, CompletionMode, CourseGraph, compile_graph
from completion_aggregator.models import Aggregator
from completion_aggregator.upsert import upsert
from tests.fakes.platform import FakePlatform

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="session")
def dataset(shared_data: Path) -> ModuleType:
    """Return the generator of the golden course and its learners."""
    spec = importlib.util.spec_from_file_location("golden_dataset", shared_data / "golden" / "dataset.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def golden(shared_data: Path) -> dict[str, Any]:
    """Return the stored values of the package we replace."""
    values: dict[str, Any] = json.loads((shared_data / "golden" / "golden_60.json").read_text())
    return values


def graph_of(course: Any, modes: dict[str, str]) -> CourseGraph:
    return compile_graph(
        course.key,
        [
            Block(
                key=block.key,
                type=block.type,
                children=block.children,
                optional=block.optional,
                mode=CompletionMode(modes.get(block.type, "excluded")),
            )
            for block in course.blocks.values()
        ],
    )


def insert_completions(course: Any, learners: list[Any]) -> None:
    model = get_user_model()
    model._default_manager.bulk_create([model(username=each.username) for each in learners])
    ids = dict(model._default_manager.values_list("username", "pk"))
    upsert(
        "completion_blockcompletion",
        ("user_id", "course_key", "block_key", "block_type", "completion", "created", "modified"),
        ("course_key", "block_key", "user_id"),
        [
            (ids[each.username], course.key, key, course.blocks[key].type, value, moment, moment)
            for each in learners
            for key, (value, moment) in each.completions.items()
        ],
    )


def stored_values() -> dict[tuple[str, str], list[float]]:
    columns = ("earned", "possible", "percent", "optional_earned", "optional_possible", "optional_percent")
    rows = Aggregator.objects.values_list("user__username", "block_key", *columns)
    return {(username, str(key)): list(numbers) for username, key, *numbers in rows}


def expected_values(golden: dict[str, Any]) -> dict[tuple[str, str], list[float]]:
    return {
        (username, key): row
        for username, rows in golden["learners"].items()
        for key, row in zip(golden["aggregators"], rows, strict=True)
    }


def test_every_stored_number_is_that_of_the_golden_file(platform: FakePlatform, dataset: Any, golden: Any) -> None:
    course = dataset.build_golden_course()
    learners = dataset.build_golden_learners(course)
    key = platform.publish(graph_of(course, dataset.MODES))
    insert_completions(course, learners)
    platform.enrolled[course.key] = list(get_user_model()._default_manager.values_list("pk", flat=True))

    api.mark_course_stale(key)
    summary = api.refresh_course(key)

    assert (summary.learners, summary.written, summary.failed) == (60, 2700, 0)
    assert stored_values() == expected_values(golden)


def test_the_same_numbers_are_answered_without_any_projection(
    platform: FakePlatform, dataset: Any, golden: Any, settings: Any
) -> None:
    settings.COMPLETION_AGGREGATOR_PROJECTED_BLOCK_TYPES = []
    course = dataset.build_golden_course()
    key = platform.publish(graph_of(course, dataset.MODES))
    insert_completions(course, dataset.build_golden_learners(course))
    platform.enrolled[course.key] = list(get_user_model()._default_manager.values_list("pk", flat=True))
    api.mark_course_stale(key)
    api.refresh_course(key)

    answered = {
        (record.username, record.tally.block_key): [
            record.tally.earned,
            record.tally.possible,
            record.tally.percent,
            record.tally.optional_earned,
            record.tally.optional_possible,
            record.tally.optional_percent,
        ]
        for record in api.iter_progress(key)
    }

    assert Aggregator.objects.count() == 0
    assert answered == expected_values(golden)


def test_forced_again_nothing_is_written(platform: FakePlatform, dataset: Any) -> None:
    course = dataset.build_golden_course()
    key = platform.publish(graph_of(course, dataset.MODES))
    insert_completions(course, dataset.build_golden_learners(course))
    platform.enrolled[course.key] = list(get_user_model()._default_manager.values_list("pk", flat=True))
    api.mark_course_stale(key)
    api.refresh_course(key)

    api.mark_course_stale(key, force=True)
    again = api.refresh_course(CourseKey.from_string(course.key))

    assert (again.learners, again.written, again.removed) == (60, 0, 0)
