"""What the demonstration's learners complete, and the file of it that ``import_completions`` reads."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path as FilePath
from typing import Final

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.course_graph.visibility import Profile
from completion_aggregator.platforms.standalone.demo.behaviour import (
    TERM_DAYS,
    TERM_START,
    Path,
    completions,
    learner_random,
)
from completion_aggregator.platforms.standalone.demo.classroom import document_order
from completion_aggregator.platforms.standalone.platform import StandalonePlatform

#: Learners see what was open on the last day of the term.
LAST_DAY: Final = TERM_START + timedelta(days=TERM_DAYS)


@dataclass(frozen=True, slots=True)
class Done:
    """What a learner completed when: ``block`` is its key, ``kind`` its type."""

    username: str
    user_id: int
    block: str
    kind: str
    completion: float
    moment: datetime


def done_by(course_key: CourseKey, graph: CourseGraph, learners: Mapping[str, int], *, seed: int) -> Iterator[Done]:
    """Yield what *learners*, user ids by name, complete: one after the other, each in the order of time."""
    sights = StandalonePlatform().sights(course_key, graph, learners.values(), now=LAST_DAY)
    places, keys, types = document_order(graph.children), graph.keys, graph.types
    paths: dict[Profile, Path] = {}
    for number, (name, user_id) in enumerate(learners.items()):
        profile = sights[user_id].profile
        path = paths.get(profile) or paths.setdefault(profile, _path(graph, profile, places))
        for block, completion, moment in completions(path, graph, learner_random(seed, number, "work")):
            yield Done(name, user_id, keys[block], types[block], completion, moment)


def write_completions(file: FilePath, course_key: CourseKey, done: Iterable[Done]) -> int:
    """Write what was completed, and return how much it is."""
    count = 0
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("username", "course_id", "block_id", "completion", "modified"))
        for each in done:
            count += 1
            writer.writerow((each.username, course_key, each.block, each.completion, each.moment.isoformat()))
    return count


def _path(graph: CourseGraph, profile: Profile, places: Mapping[int, int]) -> Path:
    view = graph.view(profile)
    leaves: Sequence[int] = view.leaves.tolist()
    optional = frozenset(leaf for leaf, apart in zip(leaves, view.optional.tolist(), strict=True) if apart)
    return Path(leaves=sorted(leaves, key=places.__getitem__), optional=optional)
