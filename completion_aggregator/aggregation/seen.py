"""What learners see: by the rules that are known, and where others decide, as the platform last showed it.

Only a refresh visits the platform as a learner. The trees that it was shown are kept, each once for all who see the
same, so that whoever reads does not: until her first refresh a learner is taken to see what the known rules show her.
"""

import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias

from django.db import connection
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation.models import CourseProgress, CourseTree
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.course_graph.visibility import Profile
from completion_aggregator.ports import Sight, get_platform

_Tree: TypeAlias = tuple[tuple[int, ...], ...]


class _Shown(NamedTuple):
    course_key: CourseKey
    user_id: int
    course_id: int
    profile: str
    graph_version: str
    valid_until: datetime | None


def by_learners(
    course_key: CourseKey, graph: CourseGraph, user_ids: Collection[int], *, now: datetime
) -> dict[int, Sight]:
    """Return the sight of each of these learners: as many queries as the platform takes.

    Two more in a course whose learners the platform must be asked for.
    """
    platform = get_platform()
    found = dict(platform.sights(course_key, graph, user_ids, now=now))
    if platform.asks_one_by_one(course_key, graph):
        for (_, user_id), (profile, until) in _kept({course_key: graph}, user_ids).items():
            found[user_id] = Sight(profile, until, found[user_id].selections)
    return found


def by_learner(user_id: int, graphs: Mapping[CourseKey, CourseGraph], *, now: datetime) -> dict[CourseKey, Sight]:
    """Return the sight that one learner has of each of these courses, with as many queries."""
    platform = get_platform()
    found = dict(platform.sights_of(user_id, graphs, now=now))
    strange = {key: graph for key, graph in graphs.items() if platform.asks_one_by_one(key, graph)}
    if strange:
        for (course_key, _), (profile, until) in _kept(strange, [user_id]).items():
            found[course_key] = Sight(profile, until, found[course_key].selections)
    return found


def name_of(profile: Profile) -> str:
    """Return what a learner's row calls the tree that was kept for her; empty where rules tell what she sees."""
    return "" if profile.tree is None else profile.digest


def keep(course_id: int, sights: Collection[Sight], graph: CourseGraph, *, now: datetime) -> None:
    """Keep the trees that a visit showed: three queries."""
    trees = {sight.profile.digest: sight.profile.tree for sight in sights if sight.profile.tree is not None}
    rows = CourseTree.objects.filter(course_id=course_id, profile__in=trees, graph_version=graph.tag)
    rows.update(kept_at=now)
    there = set(rows.values_list("profile", flat=True))
    CourseTree.objects.bulk_create(
        [
            CourseTree(course_id=course_id, profile=digest, graph_version=graph.tag, tree=_packed(tree), kept_at=now)
            for digest, tree in sorted(trees.items())
            if digest not in there
        ],
        ignore_conflicts=True,
    )


def delete_unseen(*, before: datetime, chunk: int = 5000) -> int:
    """Delete the trees that nobody sees any more and that were last shown before then. Return how many."""
    seen = CourseProgress.objects.values("course_id", "profile", "graph_version")
    deleted, last = 0, 0
    rows = CourseTree.objects.filter(kept_at__lt=before).order_by("id")
    while found := list(rows.filter(id__gt=last).values_list("id", "course_id", "profile", "graph_version")[:chunk]):
        last = found[-1][0]
        courses, profiles, versions = ({row[column] for row in found} for column in (1, 2, 3))
        used = set(
            seen.filter(course_id__in=courses, graph_version__in=versions, profile__in=profiles).values_list(
                "course_id", "profile", "graph_version"
            )
        )
        unseen = [row[0] for row in found if row[1:] not in used]
        deleted += CourseTree.objects.filter(id__in=unseen, kept_at__lt=before)._raw_delete(connection.alias)
    return deleted


def _kept(
    graphs: Mapping[CourseKey, CourseGraph], user_ids: Collection[int]
) -> dict[tuple[CourseKey, int], tuple[Profile, datetime | None]]:
    """Return what the platform last showed these learners of these courses, and until when that holds."""
    rows = CourseProgress.objects.filter(course__course_key__in=list(graphs), user_id__in=user_ids)
    read = [
        _Shown(key, user_id, course_id, profile, version, until)
        for key, user_id, course_id, profile, version, until in rows.values_list(
            "course__course_key", "user_id", "course_id", "profile", "graph_version", "valid_until"
        )
        if key is not None
    ]
    learners = [each for each in read if each.graph_version == graphs[each.course_key].tag]
    trees = CourseTree.objects.filter(
        course_id__in={each.course_id for each in learners},
        profile__in={each.profile for each in learners},
        graph_version__in={each.graph_version for each in learners},
    )
    # One object for all who see the same, as views are kept by profile.
    profiles = {
        tuple(named): Profile(tree=_unpacked(bytes(tree)))
        for *named, tree in trees.values_list("course_id", "profile", "graph_version", "tree")
    }
    found = {}
    for each in learners:
        profile = profiles.get((each.course_id, each.profile, each.graph_version))
        if profile is not None:
            found[each.course_key, each.user_id] = profile, each.valid_until
    return found


def _packed(tree: _Tree) -> bytes:
    return zlib.compress(json.dumps(tree, separators=(",", ":")).encode())


def _unpacked(packed: bytes) -> _Tree:
    children: Sequence[Sequence[int]] = json.loads(zlib.decompress(packed))
    return tuple(map(tuple, children))
