"""Whatever happens in whatever order, crashes included: the end is that of a run from scratch."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from opaque_keys.edx.keys import UsageKey

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.models import NEVER_COMPLETED
from completion_aggregator.course_graph.graph import Partition
from completion_aggregator.models import AggregatedCourse, Aggregator, CourseProgress, StaleCompletion
from tests.aggregation.builders import (
    KEY,
    Node,
    chapter,
    complete,
    course,
    everything,
    from_scratch,
    html,
    imported,
    moment,
    node,
    rows,
    sequential,
    usage,
    vertical,
    waiting,
)
from tests.fakes.platform import FakePlatform

LEAVES = "abcde"
USERS = range(2)
VERTICALS = range(4)
PARTITION = Partition(id=7, scheme="cohort", groups=frozenset({1, 2}))

leaves = st.sampled_from(LEAVES)
users = st.sampled_from(USERS)
values = st.sampled_from([0.0, 1 / 3, 0.5, 1.0, 1.0])
#: Whether everybody is refreshed and compared after a step.
served = st.sampled_from([True, True, False])
moments = st.integers(0, 5).map(moment)
#: For each leaf: the verticals it is in, whether it is optional, whether it is a discussion now.
placements = st.lists(
    st.tuples(st.sets(st.sampled_from(VERTICALS), max_size=2), st.booleans(), st.integers(0, 9).map(lambda n: n == 0)),
    min_size=len(LEAVES),
    max_size=len(LEAVES),
)
#: For each vertical: what keeps learners from it.
RULES: tuple[dict[str, Any], ...] = ({}, {}, {"staff_only": True}, {"group_access": {7: frozenset({1})}})
rules = st.lists(st.sampled_from(RULES), min_size=len(VERTICALS), max_size=len(VERTICALS))


class Crash(BaseException):
    """The process dies here."""


def content(placed: Sequence[tuple[set[int], bool, bool]], ruled: Sequence[dict[str, Any]]) -> tuple[Node, ...]:
    """Two chapters of two verticals; the last one holds its leaves in an item bank."""
    modes = {True: {"mode": "excluded"}, False: {}}
    nodes = [
        html(name, optional=optional, **modes[gone]) for name, (_, optional, gone) in zip(LEAVES, placed, strict=True)
    ]
    inside = [
        tuple(each for each, (where, _, _) in zip(nodes, placed, strict=True) if number in where)
        for number in VERTICALS
    ]
    bank = node("library_content", "bank", *inside[3], bank_size=1)
    verticals = [
        vertical(f"v{n}", *((bank,) if n == 3 else inside[n]), **rule)
        for n, rule in zip(VERTICALS, ruled, strict=True)
        if inside[n]
    ]
    return (chapter("c0", sequential("s0", *verticals[:2])), chapter("c1", sequential("s1", *verticals[2:])))


class Site(RuleBasedStateMachine):
    """Learners, authors, workers; each step is one of them doing something."""

    platform: FakePlatform

    def __init__(self) -> None:
        super().__init__()
        model = get_user_model()
        for each in (BlockCompletion, Aggregator, CourseProgress, AggregatedCourse, StaleCompletion, model):
            each._default_manager.all().delete()
        api.forget()
        self.platform.__init__()  # type: ignore[misc]
        self.platform.publish(course(*content([({0}, False, False)] * len(LEAVES), [{}] * 4), partitions=[PARTITION]))
        self.users = [model._default_manager.create(username=f"l{n}") for n in USERS]
        self.platform.enrolled[str(KEY)] = [user.pk for user in self.users]

    @rule(user=users, leaf=leaves, value=values, serve=served)
    def complete(self, user: int, leaf: str, value: float, serve: bool) -> None:
        complete(self.users[user], leaf, value)
        self.then(serve)

    @rule(user=users, found=st.dictionaries(leaves, st.tuples(values, moments), min_size=1, max_size=5), serve=served)
    def import_some(self, user: int, found: dict[str, tuple[float, datetime]], serve: bool) -> None:
        imported(self.users[user], found)
        self.then(serve)

    @rule(user=users, found=st.dictionaries(leaves, st.tuples(values, moments), min_size=1), serve=served)
    def import_many(self, user: int, found: dict[str, tuple[float, datetime]], serve: bool) -> None:
        imported(self.users[user], {**{f"unknown{n}": (1.0, moment(1)) for n in range(17)}, **found})
        self.then(serve)

    @rule(user=users, leaf=leaves, serve=served)
    def delete(self, user: int, leaf: str, serve: bool) -> None:
        for row in BlockCompletion.objects.filter(user=self.users[user], block_key=usage("html", leaf)):
            row.delete()
        self.then(serve)

    @rule(user=users, serve=served)
    def clear(self, user: int, serve: bool) -> None:
        BlockCompletion.objects.clear_learning_context_completion(self.users[user], KEY)
        self.then(serve)

    @rule(placed=placements, ruled=rules, serve=served)
    def publish(
        self, placed: Sequence[tuple[set[int], bool, bool]], ruled: Sequence[dict[str, Any]], serve: bool
    ) -> None:
        self.platform.publish(course(*content(placed, ruled), partitions=[PARTITION]))
        api.mark_course_stale(KEY)
        self.then(serve)

    @rule(user=users, group=st.sampled_from([None, 1, 2]), staff=st.booleans(), serve=served)
    def regroup(self, user: int, group: int | None, staff: bool, serve: bool) -> None:
        pk = self.users[user].pk
        self.platform.groups[pk] = {7: group}
        (self.platform.staff.add if staff else self.platform.staff.discard)(pk)
        api.mark_course_stale(KEY, user_ids=[pk])
        self.then(serve)

    @rule(user=users, drawn=st.lists(leaves, max_size=1), serve=served)
    def draw(self, user: int, drawn: list[str], serve: bool) -> None:
        pk = self.users[user].pk
        keys = tuple(str(usage("html", name)) for name in drawn)
        self.platform.draws[pk] = {str(usage("library_content", "bank")): keys} if keys else {}
        api.mark_course_stale(KEY, user_ids=[pk])
        self.then(serve)

    @rule(user=users, serve=served)
    def damage(self, user: int, serve: bool) -> None:
        CourseProgress.objects.filter(user=self.users[user]).update(vector=b"\x01\x02\x03")
        api.mark_stale(self.users[user].username, KEY)
        self.then(serve)

    @rule(limit=st.integers(1, 2), batch_size=st.integers(1, 2))
    def refresh(self, limit: int, batch_size: int) -> None:
        api.refresh_course(KEY, limit=limit, batch_size=batch_size)

    def then(self, serve: bool) -> None:
        if serve:
            api.refresh_course(KEY, batch_size=1)
            self.compare()

    @rule(statement=st.integers(0, 30), batch_size=st.integers(1, 2))
    def crash(self, statement: int, batch_size: int) -> None:
        count = iter(range(10_000))

        def die(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if next(count) == statement:
                raise Crash
            return execute(sql, params, many, context)

        try:
            with connection.execute_wrapper(die):
                api.refresh_course(KEY, batch_size=batch_size)
        except Crash:
            api.forget()  # another process, with nothing in memory

    @invariant()
    def nobody_is_at_fault(self) -> None:
        assert not CourseProgress.objects.filter(attempts__gt=0).exists()

    def compare(self) -> None:
        """Nothing waits: compare each row with what its learner's completions say now."""
        assert waiting().count() == 0
        learners = CourseProgress.objects.values_list("user_id", flat=True)
        assert rows() == {
            (
                each.user_id, KEY, tally.block_type, UsageKey.from_string(tally.block_key), tally.earned,
                tally.possible, tally.percent, tally.optional_earned, tally.optional_possible, tally.optional_percent,
                tally.last_modified or NEVER_COMPLETED,
            )
            for each in api.progress_of_course(KEY, user_ids=list(learners))
            for tally in each.blocks
        }  # fmt: skip

    def teardown(self) -> None:
        call_command("run_aggregator_service")
        self.compare()
        self.enroll_nobody_else()
        found = everything()
        assert found == from_scratch()

    def enroll_nobody_else(self) -> None:
        """Leave those enrolled for whom anything was ever stale: the others have no rows to compare."""
        self.platform.enrolled[str(KEY)] = sorted(CourseProgress.objects.values_list("user_id", flat=True))


@pytest.mark.django_db(transaction=True)
def test_any_order_of_completions_publications_refreshes_and_crashes_ends_as_from_scratch(
    platform: FakePlatform, settings: Any, vendor: str
) -> None:
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    # Whom it finds is refreshed by the next run; here one run is to be enough.
    settings.COMPLETION_AGGREGATOR_RECONCILE_LEARNERS = 0
    run_state_machine_as_test(type("Site", (Site,), {"platform": platform}), settings=PROFILES[vendor == "sqlite"])


PROFILES = {
    True: settings(max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)),
    False: settings(max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)),
}
