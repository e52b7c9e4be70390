"""The course that a batch of learners is worked on in: its row, graph and leaf numbers, read once and kept."""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from opaque_keys.edx.keys import CourseKey

from completion_aggregator import instruments
from completion_aggregator.aggregation import leaves
from completion_aggregator.aggregation.leaves import LeafNumbers
from completion_aggregator.aggregation.models import AggregatedCourse
from completion_aggregator.conf import setting
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.course_graph.rollup import View
from completion_aggregator.ports import Sight, get_platform

#: Learners times leaves that are in memory together: a hundred megabytes or two, whatever the size of the course.
MOST_CELLS: Final = 1_000_000
#: A batch, which is one transaction, may be read in so many parts.
_PARTS: Final = 4


@dataclass(frozen=True, eq=False)
class Course:
    """A course as a refresh needs it."""

    key: CourseKey
    version: str
    row: AggregatedCourse
    graph: CourseGraph
    leaves: LeafNumbers

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Usage keys by block number."""
        return self.graph.keys

    @cached_property
    def types(self) -> tuple[str, ...]:
        """Block types by block number."""
        return self.graph.types

    @cached_property
    def banked(self) -> frozenset[int]:
        """The numbers of the leaves below item banks."""
        below = set(self.graph.banks)
        for block, children in enumerate(self.graph.children if below else ()):  # parents come first
            if block in below:
                below.update(children)
        return frozenset(self.leaves.numbers.get(self.keys[block], -1) for block in below)

    def numbers(self, view: View) -> NDArray[np.intp]:
        """Return the leaf numbers of the view's leaves, in the view's order."""
        return self.leaves.of([self.keys[block] for block in view.leaves])


@dataclass(frozen=True, eq=False)
class KnownCourse:
    """A course as a reader needs it: nothing was written to learn it, so that new leaves have no number yet.

    ``row`` is not saved where the course was never aggregated.
    """

    key: CourseKey
    graph: CourseGraph
    row: AggregatedCourse
    leaves: LeafNumbers


class _Graphs:
    """Recent graphs by course, each with the version it is of."""

    def __init__(self) -> None:
        self._kept: OrderedDict[CourseKey, tuple[str, CourseGraph]] = OrderedDict()
        self._lock = Lock()

    def get(self, course_key: CourseKey) -> tuple[str, CourseGraph]:
        platform = get_platform()
        version = platform.course_version(course_key)
        with self._lock:
            kept = self._kept.get(course_key)
        known = kept is not None and kept[0] == version
        instruments.graphs_looked_up("process", hits=known, misses=not known)
        if kept is None or kept[0] != version:
            kept = platform.course_graph(course_key)
        self._keep({course_key: kept})
        return kept

    def get_many(self, course_keys: Collection[CourseKey]) -> dict[CourseKey, CourseGraph]:
        """Return the graph of each of these courses whose content can be read, with two queries at most."""
        platform = get_platform()
        versions = platform.course_versions(course_keys)
        with self._lock:
            known = {key: self._kept.get(key) for key in versions}
        found = {key: kept for key, kept in known.items() if kept is not None and kept[0] == versions[key]}
        missing = [key for key in versions if key not in found]
        instruments.graphs_looked_up("process", hits=len(found), misses=len(missing))
        found |= platform.course_graphs(missing) if missing else {}
        self._keep(found)
        return {key: graph for key, (_, graph) in found.items()}

    def _keep(self, found: Mapping[CourseKey, tuple[str, CourseGraph]]) -> None:
        with self._lock:
            for course_key, kept in found.items():
                self._kept[course_key] = kept
                self._kept.move_to_end(course_key)
            while len(self._kept) > setting("GRAPH_CACHE_SIZE"):
                self._kept.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()


_graphs: Final = _Graphs()
#: Numbers by graphs all of whose leaves have one.
_numbered: Final[WeakKeyDictionary[CourseGraph, LeafNumbers]] = WeakKeyDictionary()
_numberings: Final[WeakKeyDictionary[CourseGraph, LeafNumbers]] = WeakKeyDictionary()


def views_of(graph: CourseGraph, sights: Iterable[Sight]) -> list[View]:
    """Return the tree of each of *sights*; a profile is asked for once, however the learners are mixed."""
    profiles = [sight.profile for sight in sights]
    views = {profile: graph.view(profile) for profile in dict.fromkeys(profiles)}
    return [views[profile] for profile in profiles]


#: Learners in one batch where each is a visit to the platform: what it showed the first is so old when it is stored.
MOST_VISITS: Final = 20


def batch_of(course: Course, size: int) -> int:
    """Return how many learners of this course are a batch: *size*, or fewer where its size or the platform says so."""
    if get_platform().asks_one_by_one(course.key, course.graph):
        size = min(size, MOST_VISITS)
    return bounded(size, len(course.leaves) // _PARTS)


def bounded(size: int, leaves: int) -> int:
    """Return how many learners of a course with so many leaves are read together: at most *size*, for memory's sake."""
    return max(1, min(size, MOST_CELLS // max(leaves, 1)))


def graph_of(course_key: CourseKey) -> CourseGraph:
    """Return the graph of the course's current content, with one query when it is known already.

    Raises UnknownCourse or InvalidCourse.
    """
    _, graph = _graphs.get(course_key)
    return graph


def graphs_of(course_keys: Collection[CourseKey]) -> dict[CourseKey, CourseGraph]:
    """Return the graphs of those of these courses whose content can be read.

    One query, and one more if this process has not kept them all.
    """
    return _graphs.get_many(course_keys)


def numbering_of(graph: CourseGraph) -> LeafNumbers:
    """Return numbers for the leaves of a graph by itself: for completions that no vector is to be made of."""
    numbering = _numberings.get(graph)
    if numbering is None:
        numbering = LeafNumbers(0, {key: number for number, key in enumerate(graph.completable_keys)})
        _numberings[graph] = numbering
    return numbering


def known_course(course_key: CourseKey) -> KnownCourse:
    """Return the course with its current graph, writing nothing. Raises UnknownCourse or InvalidCourse."""
    _, graph = _graphs.get(course_key)
    row = AggregatedCourse.objects.filter(course_key=course_key).first()
    return as_known(graph, row or _no_row(course_key))


def as_known(graph: CourseGraph, row: AggregatedCourse) -> KnownCourse:
    """Return what a reader needs of a course whose graph and row, saved or not, are there already."""
    numbers = leaves.known(row) if row.pk else LeafNumbers(0, {})
    return KnownCourse(row.course_key, graph, row, numbers)


def open_course(course_key: CourseKey) -> Course:
    """Return the course with its current graph; new leaves get their numbers. Raises UnknownCourse or InvalidCourse."""
    version, graph = _graphs.get(course_key)
    row = leaves.course_row(course_key)
    numbers = leaves.known(row)
    if _numbered.get(graph) is not numbers:
        numbers = _numbered[graph] = leaves.number(row, graph.completable_keys)
    return Course(course_key, version, row, graph, numbers)


def looked_at_course(course_key: CourseKey) -> Course:
    """Return the same, having written nothing: new leaves have the numbers that they would get.

    ``row`` is not saved where the course was never aggregated. Raises UnknownCourse or InvalidCourse.
    """
    version, graph = _graphs.get(course_key)
    known = as_known(graph, AggregatedCourse.objects.filter(course_key=course_key).first() or _no_row(course_key))
    numbers = leaves.provisional(known.leaves, graph.completable_keys)
    return Course(course_key, version, known.row, graph, numbers)


def forget() -> None:
    """Drop what is kept in this process: for tests, and after a database was exchanged under it."""
    _graphs.clear()
    leaves.forget()


def _no_row(course_key: CourseKey) -> AggregatedCourse:
    return AggregatedCourse(course_key=course_key)
