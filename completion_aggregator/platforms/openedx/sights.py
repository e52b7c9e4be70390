"""What learners see: the profile of each, worked out from tables for all of them together. Nothing is written."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.conf import setting
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.course_graph.visibility import CONTENT_TYPE_GATE
from completion_aggregator.platforms.openedx import draws, gating, lms, roles
from completion_aggregator.platforms.openedx.groups import Groups, groups_of
from completion_aggregator.platforms.openedx.inquiry import Inquiry, divisions_of
from completion_aggregator.ports import Sight

# What tells one learner's sight from another's: staff, beta tester, and the groups in the partitions that matter.
_Kind: TypeAlias = tuple[bool, bool, tuple[int | None, ...]]


def of_learners(
    course_key: CourseKey, graph: CourseGraph, user_ids: Collection[int], *, now: datetime
) -> dict[int, Sight]:
    """Return the sights of these learners of a course.

    A fixed number of queries for each 10,000 of them: two, and those for what the course has, such as cohorts; of item
    banks, one for each 500.
    """
    ids = sorted(set(user_ids))
    if not ids:
        return {}
    privileged = {str(course_key): roles.privileged(course_key, ids)}
    inquiry = Inquiry(divisions_of({course_key: graph}), ids, privileged, now)
    plain = _sights(str(course_key), graph, inquiry, groups_of(inquiry))
    drawn = draws.of_learners(course_key, graph, ids)
    return {user_id: _with(sight, drawn.get(user_id)) for user_id, sight in plain.items()}


def of_learner(user_id: int, graphs: Mapping[CourseKey, CourseGraph], *, now: datetime) -> dict[CourseKey, Sight]:
    """Return the sights that one learner has of these courses.

    A fixed number of queries for all of them together: two, and those for what any of the courses has.
    """
    privileged = roles.privileged_in(user_id, graphs) if graphs else {}
    inquiry = Inquiry(divisions_of(graphs), [user_id], privileged, now, may_remember=True)
    groups, drawn = groups_of(inquiry), draws.of_learner(user_id, graphs)
    return {
        key: _with(_sights(str(key), graph, inquiry, groups)[user_id], drawn.get(key)) for key, graph in graphs.items()
    }


def _with(sight: Sight, drawn: draws.Drawn | None) -> Sight:
    return Sight(sight.profile, sight.valid_until, drawn) if drawn else sight


def _sights(course: str, graph: CourseGraph, inquiry: Inquiry, groups: Groups) -> dict[int, Sight]:
    """Return the sights of the learners asked about, item banks apart."""
    seen = _Course(course, graph, inquiry)
    privileged = inquiry.privileged[course]
    columns = [groups[course, partition] for partition in seen.partitions]
    sights: dict[_Kind, Sight] = {}
    found: dict[int, Sight] = {}
    for user_id in inquiry.user_ids:
        kind = (
            user_id in privileged.staff,
            user_id in privileged.beta,
            tuple([column.get(user_id) for column in columns]),
        )
        # Most learners of a course are alike: each kind is worked out once.
        if kind not in sights:
            sights[kind] = seen.sight(kind)
        found[user_id] = sights[kind]
    return found


class _Course:
    """One course as it is now, to learners of any kind."""

    def __init__(self, course: str, graph: CourseGraph, inquiry: Inquiry) -> None:
        self.partitions: Sequence[int] = sorted(graph.rules.restricting_partitions())
        self._rules = graph.rules
        self._now = inquiry.now
        # An author may have given the number to a partition of her own, which has no message.
        gated = CONTENT_TYPE_GATE in self.partitions and graph.partitions[CONTENT_TYPE_GATE].scheme == gating.SCHEME
        self._offer = gating.offer(course, inquiry) if gated else None
        self._unreleased = bool(setting("AGGREGATE_UNRELEASED_BLOCKS") or lms.feature("DISABLE_START_DATES"))

    def sight(self, kind: _Kind) -> Sight:
        staff, beta, numbers = kind
        groups = dict(zip(self.partitions, numbers, strict=True))
        offer = None if staff or groups.get(CONTENT_TYPE_GATE) == gating.FULL else self._offer
        profile, valid_until = self._rules.profile(
            now=self._now,
            staff=staff,
            beta=beta,
            groups=groups,
            messaging=(CONTENT_TYPE_GATE,) if offer else (),
            unreleased=self._unreleased,
        )
        ends = [moment for moment in (valid_until, offer.until if offer else None) if moment is not None]
        return Sight(profile, min(ends, default=None))
