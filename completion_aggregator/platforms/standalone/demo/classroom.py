"""The learners of the demonstration: enrolled, in cohorts and groups, and with the files that say so."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from completion_aggregator.course_graph.blocks import Partition
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.platforms.standalone.demo.behaviour import TERM_START, learner_random
from completion_aggregator.platforms.standalone.learners import COHORT, RANDOM
from completion_aggregator.platforms.standalone.models import (
    Cohort,
    CohortMembership,
    Course,
    CourseRole,
    GroupAssignment,
)

MODES: Final = {"audit": 0.78, "verified": 0.17, "honor": 0.05}
LEFT: Final = 0.03
IN_COHORT: Final = 0.9
ASSIGNED: Final = 0.97
BETA_TESTERS: Final = 0.01


def usernames(seed: int, learners: int) -> list[str]:
    """Return the names of the learners; another seed has others."""
    return [f"demo{seed}_{number:05d}" for number in range(1, learners + 1)]


def write_enrollments(file: Path, course_id: str, names: Sequence[str], *, seed: int) -> None:
    """Write what ``import_enrollments`` reads."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("username", "course_id", "mode", "is_active", "created"))
        for number, name in enumerate(names):
            random = learner_random(seed, number, "enrollment")
            mode = random.choices(list(MODES), list(MODES.values()))[0]
            active = "false" if random.random() < LEFT else "true"
            writer.writerow((name, course_id, mode, active, TERM_START.isoformat()))


def place(course: Course, graph: CourseGraph, user_ids: Sequence[int], *, seed: int) -> None:
    """Give learners cohorts, groups and, a few, early access; those who have one keep it."""
    numbered = [(user_id, number) for number, user_id in enumerate(user_ids)]
    by_scheme: dict[str, list[Partition]] = {COHORT: [], RANDOM: []}
    for partition in graph.partitions.values():
        if partition.groups and partition.scheme in by_scheme:
            by_scheme[partition.scheme].append(partition)
    if by_scheme[COHORT]:
        cohorts = [cohort for partition in by_scheme[COHORT] for cohort in _cohorts(course, partition)]
        members = _members(course, cohorts, numbered, seed)
        CohortMembership.objects.bulk_create(members, batch_size=1000, ignore_conflicts=True)
    for partition in by_scheme[RANDOM]:
        assigned = _assignments(course, partition, numbered, seed)
        GroupAssignment.objects.bulk_create(assigned, batch_size=1000, ignore_conflicts=True)
    early = [user for user, number in numbered if learner_random(seed, number, "beta").random() < BETA_TESTERS]
    roles = [CourseRole(course=course, user_id=user, role=CourseRole.Role.BETA_TESTERS) for user in early]
    CourseRole.objects.bulk_create(roles, batch_size=1000, ignore_conflicts=True)


def document_order(children: Sequence[Sequence[int]]) -> Mapping[int, int]:
    """Return the place of each block when the course is read from its start; of one that occurs twice, the first."""
    places: dict[int, int] = {}
    waiting = [0]
    while waiting:
        block = waiting.pop()
        if block not in places:
            places[block] = len(places)
            waiting += reversed(children[block])
    return places


def _cohorts(course: Course, partition: Partition) -> Iterator[Cohort]:
    for group in sorted(partition.groups):
        name = f"{partition.name or 'Partition'} {partition.id}, group {group}"
        yield Cohort.objects.get_or_create(
            course=course, name=name, defaults={"partition_id": partition.id, "group_id": group}
        )[0]


def _members(
    course: Course, cohorts: Sequence[Cohort], numbered: Sequence[tuple[int, int]], seed: int
) -> list[CohortMembership]:
    draws = [(user, learner_random(seed, number, "cohort")) for user, number in numbered]
    return [
        CohortMembership(course=course, user_id=user, cohort=random.choice(cohorts))
        for user, random in draws
        if random.random() < IN_COHORT
    ]


def _assignments(
    course: Course, partition: Partition, numbered: Sequence[tuple[int, int]], seed: int
) -> list[GroupAssignment]:
    groups = sorted(partition.groups)
    draws = [(user, learner_random(seed, number, f"partition {partition.id}")) for user, number in numbered]
    return [
        GroupAssignment(course=course, user_id=user, partition_id=partition.id, group_id=random.choice(groups))
        for user, random in draws
        if random.random() < ASSIGNED
    ]
