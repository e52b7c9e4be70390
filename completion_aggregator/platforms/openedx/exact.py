"""The tree of one learner by the LMS itself, where something decides what learners see that we do not know.

It costs what every visit of the learner costs the LMS, and it writes what such a visit writes: draws, groups, cohorts.
"""

import logging
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.contrib.auth import get_user_model
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.conf import setting
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.course_graph.visibility import Profile
from completion_aggregator.platforms.openedx import draws, lms
from completion_aggregator.platforms.openedx.groups import SCHEMES
from completion_aggregator.ports import Sight

log = logging.getLogger(__name__)

#: What the access transformers of the LMS do, as far as we do the same; the last two change no tree.
KNOWN_TRANSFORMERS: Final = frozenset(
    {
        "library_content", "library_content_randomize", "start_date", "content_type_gate", "user_partitions",
        "visibility", "load_date_data", "load_override_data",
    }
)  # fmt: skip
#: Nobody can tell when an unknown rule says otherwise. An hour bounds both how long a learner's progress may be wrong
#: without any sign of it, and how often the LMS is asked for each learner of such a course.
VALID_FOR: Final = timedelta(hours=1)

_reasons: Final[WeakKeyDictionary[CourseGraph, str]] = WeakKeyDictionary()
_told: Final[set[tuple[CourseKey, str]]] = set()


def unknown_rules(course_key: CourseKey, graph: CourseGraph) -> str:
    """Return why trees of this course must be asked of the LMS, or nothing: no query, and said once in the log."""
    reason = _reasons.get(graph)
    if reason is None:
        reason = _reasons[graph] = _reason(graph)
    if reason and (course_key, reason) not in _told:
        _told.add((course_key, reason))
        log.warning("asking the LMS for the tree of each learner course=%s: %s", course_key, reason)
    return reason


def sight(course_key: CourseKey, graph: CourseGraph, user_id: int, *, now: datetime) -> Sight:
    """Return the sight of a learner by a visit to the LMS; who is gone sees nothing."""
    user = get_user_model()._default_manager.filter(pk=user_id).first()
    tree: tuple[tuple[int, ...], ...] = ((),) * len(graph)
    if user is not None:
        # Loaded anew: roles and masquerades are kept on the instances of requests.
        structure = lms.visible_structure(user, course_key, unreleased=setting("AGGREGATE_UNRELEASED_BLOCKS"))
        tree = tree_of(graph, structure)
    drawn = draws.of_learners(course_key, graph, [user_id])  # as they have just been stored
    return Sight(Profile(tree=tree), valid_until=now + VALID_FOR, selections=drawn.get(user_id, {}))


def tree_of(graph: CourseGraph, structure: Any) -> tuple[tuple[int, ...], ...]:
    """Return the children that *structure* shows of every block of the graph, by number.

    What the graph does not have is left out, and so is a child that some transformer put above its parent: another
    content of the course than was compiled, which the next version brings.
    """
    number = {key: n for n, key in enumerate(graph.keys)}
    children: list[tuple[int, ...]] = [()] * len(number)
    for usage_key in structure.topological_traversal() if structure.root_block_usage_key in structure else ():
        block = number.get(str(usage_key))
        if block is not None:
            below = (number.get(str(child), -1) for child in structure.get_children(usage_key))
            children[block] = tuple(child for child in below if child > block)
    return tuple(children)


def forget() -> None:
    """Drop what this process knows of rules: for tests."""
    _reasons.clear()
    _strange_transformers.cache_clear()
    _told.clear()


def _reason(graph: CourseGraph) -> str:
    if strange := _strange_transformers():
        return f"unknown transformers {', '.join(sorted(strange))}"
    restricting = (graph.partitions[number] for number in graph.rules.restricting_partitions())
    if foreign := sorted({each.scheme for each in restricting} - SCHEMES.keys()):
        return f"partitions of unknown schemes {', '.join(foreign)}"
    return ""


@cache
def _strange_transformers() -> frozenset[str]:
    # The LMS hands the user to transformers and asks nothing of it.
    return frozenset(lms.access_transformers(get_user_model()())) - KNOWN_TRANSFORMERS
