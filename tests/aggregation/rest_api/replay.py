"""The recorded answers of the package we replace: the data that they were recorded on, and the comparison."""

import importlib.util
import json
import re
import sys
from collections.abc import Iterable
from functools import cache
from math import isclose
from pathlib import Path
from types import ModuleType
from typing import Any

from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.core.cache import cache as django_cache
from django.core.management import call_command
from django.test import Client
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.aggregation import api
from completion_aggregator.course_graph.graph import Block, CompletionMode, compile_graph
from completion_aggregator.platforms.standalone.models import (
    Cohort,
    CohortMembership,
    Course,
    CourseRole,
    CourseVersion,
    Enrollment,
)
from completion_aggregator.upsert import upsert

#: The types of the recorded site that ours does not have, or has otherwise.
MODES = {"staffnotes": "excluded"}


@cache
def dataset(path: Path) -> ModuleType:
    """Load the generator of the courses and learners."""
    spec = importlib.util.spec_from_file_location("golden_dataset", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


class RecordedSite:
    """The data of the recording, on the standalone platform's tables."""

    def __init__(self, folder: Path, header: dict[str, Any]) -> None:
        self.dataset = dataset(folder / "dataset.py")
        self.header = header["data"]

    def build(self) -> None:
        """Make users, courses, enrollments, roles, a cohort and completions; aggregate as the header says."""
        ds, users = self.dataset, get_user_model()._default_manager
        people = [("root_staff", 1, True), ("teacher", 2, False)]
        people += [(f"learner{n:05}", 100 + n, False) for n in range(1, 61)]
        users.bulk_create([get_user_model()(username=name, pk=pk, is_staff=staff) for name, pk, staff in people])
        golden, c240 = ds.build_golden_course(), ds.build_course(ds.course_key("C240"), chapters=3)
        untouched = ds.build_course(ds.course_key("UNTOUCHED"), chapters=1)
        self._course(golden, ds.build_golden_learners(golden, 60), range(1, 61), mobile=False)
        self._course(c240, ds.build_learners(c240, 12), range(1, 13), mobile=True)
        self._course(untouched, [], [1], mobile=False)
        Enrollment.objects.filter(course__course_key=golden.key, user_id=107).update(is_active=False)
        self._roles_and_cohorts()
        for course in (golden, c240):
            everybody = Enrollment.objects.filter(course__course_key=course.key).values_list("user_id", flat=True)
            api.mark_course_stale(CourseKey.from_string(course.key), user_ids=sorted(everybody), force=True)
        call_command("run_aggregator_service", verbosity=0)
        call_command("run_aggregator_cleanup", verbosity=0)
        django_cache.clear()

    def _course(self, course: Any, learners: Iterable[Any], enrolled: Iterable[int], *, mobile: bool) -> None:
        blocks = [
            Block(
                key=block.key,
                type=block.type,
                children=block.children,
                optional=block.optional,
                mode=CompletionMode(self.dataset.MODES.get(block.type, "excluded")),
            )
            for block in course.blocks.values()
        ]
        graph = compile_graph(course.key, blocks)
        row = Course.objects.create(course_key=CourseKey.from_string(course.key), mobile_available=mobile)
        row.current = CourseVersion.objects.create(
            course=row, number=1, content_hash=graph.content_hash, graph=graph.to_bytes()
        )
        row.save()
        Enrollment.objects.bulk_create([Enrollment(user_id=100 + n, course=row) for n in enrolled])
        upsert(
            "completion_blockcompletion",
            ("user_id", "course_key", "block_key", "block_type", "completion", "created", "modified"),
            ("course_key", "block_key", "user_id"),
            [
                (100 + int(each.username[-5:]), course.key, key, course.blocks[key].type, value, moment, moment)
                for each in learners
                for key, (value, moment) in each.completions.items()
            ],
        )

    def _roles_and_cohorts(self) -> None:
        ids = dict(get_user_model()._default_manager.values_list("username", "pk"))
        courses = {str(course.course_key): course for course in Course.objects.all()}
        CourseRole.objects.bulk_create(
            CourseRole(user_id=ids[name], role=role, course=courses[key])
            for name, role, key in self.header["course_access_roles"]
        )
        for each in self.header["cohorts"]:
            cohort = Cohort(pk=each["id"], name=each["name"], course=courses[each["course_key"]])
            Cohort.objects.bulk_create([cohort])
            CohortMembership.objects.bulk_create(
                CohortMembership(user_id=ids[name], course=cohort.course, cohort=cohort) for name in each["members"]
            )


def answer(request: dict[str, Any]) -> tuple[int, Any]:
    """Send a recorded request; return status and body: JSON, the percentage of a page, or None."""
    client, login = Client(raise_request_exception=False), request.get("login")
    if login is not None:
        client.force_login(get_user_model()._default_manager.get(username=login))
    if request["method"] == "POST":
        response = client.post(request["path"], json.dumps(request["json"]), content_type="application/json")
    else:
        response = client.get(request["path"])
    if "percentage" in request and response.status_code == 200:
        (shown,) = set(re.findall(r">(\d+)%<", response.content.decode()))
        return response.status_code, int(shown)
    try:
        return response.status_code, response.json()
    except ValueError:
        return response.status_code, None


def submit(step: dict[str, Any]) -> None:
    """Complete a block as the step says."""
    user = get_user_model()._default_manager.get(username=step["user"])
    BlockCompletion.objects.submit_completion(user, UsageKey.from_string(step["block_key"]), step["value"])


def comparable(body: Any) -> Any:
    """Return a body with block lists sorted by their key, and the members of sets in a message."""
    if isinstance(body, dict):
        return {name: comparable(value) for name, value in body.items()}
    if isinstance(body, list):
        items = [comparable(each) for each in body]
        return sorted(items, key=lambda each: each["block_key"]) if items and "block_key" in items[0] else items
    if isinstance(body, str) and "value(s): {" in body:
        before, _, after = body.partition("{")
        return before + str(sorted(after.rstrip("}").split(", ")))
    return body


def same(ours: Any, theirs: Any, name: str = "") -> bool:
    """Return whether two bodies are equal; means within a relative 1e-9, all other numbers exactly."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(
            same(ours[each], theirs[each], name if name.startswith("mean") else each) for each in ours
        )
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if name.startswith("mean") and isinstance(ours, float) and isinstance(theirs, float):
        return isclose(ours, theirs, rel_tol=1e-9)
    return bool(ours == theirs)
