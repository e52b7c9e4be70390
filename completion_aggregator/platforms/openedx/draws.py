"""What learners have drawn from item banks: stored by the LMS, with the state of the bank, when they first come there.

The LMS draws for who has not, or too few. Nothing is drawn here: what is missing is missing.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.platforms.openedx import lms
from completion_aggregator.platforms.openedx.tables import among, chunks, text

#: Bank key to the keys of the children drawn.
Drawn: TypeAlias = Mapping[str, tuple[str, ...]]

# From 1,000 ids on, MariaDB makes a table of them, joins that, and reads every state that each of these learners has in
# any course; MySQL gives up on ranges that need more than 8 MB of memory, at 230 bytes for each learner and bank.
_LEARNERS_PER_QUERY: Final = 500
# SQLite takes 32,766 parameters in one statement.
_BANKS_PER_QUERY: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Bank:
    """How many children a bank draws out of which, by block type and block id."""

    size: int
    children: Mapping[tuple[str, str], str]

    def drawn(self, state: str) -> tuple[str, ...] | None:
        """Return the children that a stored state names; None if nothing was ever drawn, or the state is damaged."""
        try:
            selected = json.loads(state)["selected"]
            keys = [self.children.get((kind, name)) for kind, name in selected]
        except (ValueError, TypeError, KeyError):
            return None
        return tuple(dict.fromkeys(key for key in keys if key is not None))[: self.size]


def of_learners(course_key: CourseKey, graph: CourseGraph, user_ids: Collection[int]) -> dict[int, Drawn]:
    """Return what these learners have drawn in a course: one query for each 500 of them, none without banks."""
    return _read(_banks(graph), user_ids)


def of_learner(user_id: int, graphs: Mapping[CourseKey, CourseGraph]) -> dict[CourseKey, Drawn]:
    """Return what one learner has drawn in each of these courses, with one query for all of them."""
    banks = {course_key: _banks(graph) for course_key, graph in graphs.items()}
    drawn = _read({key: bank for each in banks.values() for key, bank in each.items()}, [user_id]).get(user_id, {})
    return {course_key: {key: drawn[key] for key in each if key in drawn} for course_key, each in banks.items()}


def _banks(graph: CourseGraph) -> dict[str, _Bank]:
    """Return the banks that leave something out: the others show all of their children to everybody."""
    sizes = graph.banks
    if not sizes:
        return {}
    keys, children = graph.keys, graph.children
    return {
        keys[bank]: _Bank(size, {_type_and_id(keys[child]): keys[child] for child in children[bank]})
        for bank, size in sizes.items()
        if 0 <= size < len(children[bank])
    }


def _type_and_id(usage_key: str) -> tuple[str, str]:
    """Return what a state says of a block, without parsing its key: no part of one holds an "@"."""
    start, _, name = usage_key.rpartition("+block@")
    return start.rpartition("+type@")[2], name


def _read(banks: Mapping[str, _Bank], user_ids: Collection[int]) -> dict[int, Drawn]:
    found: dict[int, dict[str, tuple[str, ...]]] = {}
    for bank, user_id, state in _rows(list(banks), user_ids):
        drawn = banks[bank].drawn(state) if bank in banks and state else None
        if drawn is not None:
            found.setdefault(user_id, {})[bank] = drawn
    return dict(found)


def _rows(banks: list[str], user_ids: Collection[int]) -> Iterator[tuple[str, int, str | None]]:
    model: Any = lms.model("courseware", "StudentModule")
    if model is None:
        return
    states = model.objects.annotate(bank=text("module_state_key"))
    for start in range(0, len(banks), _BANKS_PER_QUERY):
        for ids in chunks(user_ids, _LEARNERS_PER_QUERY):
            some = states.filter(among("student_id", ids), bank__in=banks[start : start + _BANKS_PER_QUERY])
            yield from some.values_list("bank", "student_id", "state")
