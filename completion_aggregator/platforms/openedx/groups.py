"""The group of a learner in a partition, by the scheme of the partition, as the LMS tells it to whoever only looks.

The LMS puts a learner without a group into one when she first comes to see the block. Here she has none.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.platforms.openedx import gating, lms, tracks
from completion_aggregator.platforms.openedx.inquiry import Division, Found, Inquiry, by_course
from completion_aggregator.platforms.openedx.tables import rows, text

#: The groups of the learners who have one, by course and partition.
Groups: TypeAlias = Mapping[tuple[str, int], Mapping[int, int]]

TAG: Final = "xblock.partition_service.partition_"
_MAPPED: Final = "course_user_group__courseusergrouppartitiongroup"
_VERIFICATION_ALLOWED: Final = 1


def groups_of(inquiry: Inquiry) -> Groups:
    """Return the groups of the learners in every division asked about, with at most three queries for each scheme."""
    found: dict[tuple[str, int], dict[int, int]] = {}
    schemes = {division.partition.scheme for division in inquiry.divisions}
    for scheme in sorted(schemes):
        divisions = [division for division in inquiry.divisions if division.partition.scheme == scheme]
        for division in divisions:
            found[division.course, division.partition.id] = {}
        for division, user_id, group in SCHEMES.get(scheme, _unknown)(divisions, inquiry):
            found[division.course, division.partition.id][user_id] = group
    return found


def _cohorts(divisions: Sequence[Division], inquiry: Inquiry) -> Found:
    by_partition = {(each.course, each.partition.id): each for each in divisions}
    model = lms.model("course_groups", "CohortMembership")
    columns = f"{_MAPPED}__partition_id", f"{_MAPPED}__group_id"
    members = list(rows(model, list(by_course(divisions)), inquiry.user_ids, *columns))
    cohorted = _cohorted({each.course_key for each in divisions}) if members else set()
    for course, user_id, partition, group in members:
        division = by_partition.get((course, partition))
        if division is not None and course in cohorted and group in division.partition.groups:
            yield division, user_id, group


def _cohorted(course_keys: set[CourseKey]) -> set[str]:
    # Asked for apart: on MariaDB, key columns of two tables do not compare if their collations differ.
    model: Any = lms.model("course_groups", "CourseCohortsSettings")
    return set(
        model.objects.filter(course_id__in=course_keys, is_cohorted=True).values_list(text("course_id"), flat=True)
    )


def _tags(divisions: Sequence[Division], inquiry: Inquiry) -> Found:
    by_tag = {(each.course, f"{TAG}{each.partition.id}"): each for each in divisions}
    names = sorted({tag for _, tag in by_tag})
    model = lms.model("user_api", "UserCourseTag")
    for course, user_id, tag, value in rows(
        model, list(by_course(divisions)), inquiry.user_ids, "key", "value", key__in=names
    ):
        division = by_tag.get((course, tag))
        group = _number(value)
        if division is not None and group in division.partition.groups:
            yield division, user_id, group


def _number(value: str) -> int:
    """Return the number of a group that stands in a table as text; that of none if it is no number."""
    try:
        return int(value)
    except ValueError:
        return -1


def _teams(divisions: Sequence[Division], inquiry: Inquiry) -> Found:
    # Groups are the teams themselves. A team is in one set of teams, so no two partitions name it.
    divided = {key: each for key, each in by_course(divisions).items() if lms.teams_are_groups(key)}
    texts = {str(key): each for key, each in divided.items()}
    model = lms.model("teams", "CourseTeamMembership")
    for course, user_id, team in rows(model, list(divided), inquiry.user_ids, "team_id", course="team__course_id"):
        for division in texts[course]:
            if team in division.named:
                yield division, user_id, team


def _verified(divisions: Sequence[Division], inquiry: Inquiry) -> Found:
    for division in divisions:
        for user_id in inquiry.user_ids:
            yield division, user_id, _VERIFICATION_ALLOWED


def _unknown(divisions: Sequence[Division], inquiry: Inquiry) -> Found:
    # Until the LMS was asked for a learner, she is in no group of it.
    yield from ()


#: What we know to work out. A partition of another scheme is asked of the LMS, learner by learner.
SCHEMES: Final[Mapping[str, Callable[[Sequence[Division], Inquiry], Found]]] = {
    "cohort": _cohorts,
    gating.SCHEME: gating.groups,
    "enrollment_track": tracks.groups,
    "random": _tags,
    "team": _teams,
    "verification": _verified,
}
