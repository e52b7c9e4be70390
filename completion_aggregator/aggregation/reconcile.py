"""What no signal told of: what is stored, compared with what would be worked out now; where they differ, a mark.

Bulk updates, raw SQL, tampered rows, signals that were lost, and whatever faulty code once wrote: a bounded number of
learners at a time, so that in the end everybody has been compared. A comparison locks and writes nothing but the marks.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeAlias

import numpy as np
from django.db.models import F, Q
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator import instruments
from completion_aggregator.aggregation import leaves, population, seen, stale, state
from completion_aggregator.aggregation.attempts import again, isolating
from completion_aggregator.aggregation.batch import Differences, differences_of, gather, groups_of
from completion_aggregator.aggregation.courses import Course, bounded, looked_at_course
from completion_aggregator.aggregation.models import AggregatedCourse
from completion_aggregator.aggregation.population import Population
from completion_aggregator.aggregation.stale import Claim
from completion_aggregator.aggregation.state import State
from completion_aggregator.conf import setting
from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.ports import get_platform

log = logging.getLogger(__name__)

#: Courses that are looked at in one piece of work: each costs queries, however few its learners are.
_MOST_COURSES: Final = 50
#: Learners of a course in one piece of work, where many courses share it.
_LEAST_SHARE: Final = 100
_EVERYTHING: Final = Claim(ids=(), blocks=None, force=True)
#: User id, username.
_Learner: TypeAlias = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Findings:
    """How many learners were compared, how many differ, and how many of these in what; one may differ in several.

    ``waiting``: not compared, as something of theirs waits for a refresh, or changed during the comparison.
    ``never_computed``: no refresh was ever stored. ``tree``: they see other blocks than they did. ``vector``: they do
    not, but their completions, times or tally of the course are others than stored. ``wrong_rows``, ``missing_rows``,
    ``superfluous_rows``: in the table that other software reads. ``failed``: the platform cannot tell what they see.
    """

    compared: int = 0
    waiting: int = 0
    differing: int = 0
    never_computed: int = 0
    tree: int = 0
    vector: int = 0
    wrong_rows: int = 0
    missing_rows: int = 0
    superfluous_rows: int = 0
    failed: int = 0

    def __add__(self, other: "Findings") -> "Findings":
        return Findings(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a batch of learners of one course came to; ``last``: the user id to go on after, None at the end."""

    course_key: CourseKey
    found: Findings
    last: int | None


def take_in_courses() -> None:
    """Have courses that we do not know yet take part: those of before an upgrade, and those no signal told of."""
    known = set(AggregatedCourse.objects.values_list("course_key", flat=True))
    leaves.take_in([key for key in get_platform().course_keys() if key not in known])


def reconcile_due(learners: int) -> Iterator[Reconciled]:
    """Compare about so many learners of the courses that were last compared longest ago; yield after each batch.

    Courses share the number, so that a large one does not hold up the others; each goes on where it was left. One that
    was compared within ``RECONCILE_HOURS`` rests, and so does one whose content cannot be read.
    """
    due = again(_due)
    share = max(learners // len(due), min(_LEAST_SHARE, learners)) if due else 0
    for row in due:
        if learners <= 0:
            return
        try:
            for done in reconcile(row.course_key, after=row.reconcile_after, limit=min(share, learners)):
                learners -= done.found.compared + done.found.waiting
                yield done
        except CompletionAggregatorError as error:
            log.warning("not compared course=%s: %s", row.course_key, error)
            again(partial(_moved_on, row.course_key, None))


def reconcile(
    course_key: CourseKey, *, after: int = 0, limit: int | None = None, mark: bool = True
) -> Iterator[Reconciled]:
    """Compare the learners of a course from the user id *after* on, at most *limit*; yield after each bounded batch.

    Those who differ are marked, and where the walk has come is stored, unless *mark* is False: then nothing is written.
    Raises UnknownCourse or InvalidCourse.
    """
    course = again(lambda: looked_at_course(course_key))
    everybody = again(lambda: Population(course_key, course.graph.keys[0]))
    size = bounded(setting("BATCH_SIZE"), len(course.leaves))
    left = limit
    while left is None or left > 0:
        found = again(partial(everybody.after, after, size if left is None else min(size, left)))
        parts = isolating(
            partial(_compared, course_key, mark=mark),
            list(found.names.items()),
            at_fault=partial(_failed, course_key, mark=mark),
        )
        total = sum(parts, Findings())
        if mark:
            again(partial(_moved_on, course_key, found.last))
        log.info(
            "reconciled course=%s learners=%d differing=%d waiting=%d failed=%d",
            course_key, total.compared, total.differing, total.waiting, total.failed,
        )  # fmt: skip
        instruments.reconciled(total)
        yield Reconciled(course_key, total, found.last)
        if found.last is None:
            return
        after = found.last
        left = None if left is None else left - max(len(found.names), 1)


def position_of(course_key: CourseKey) -> int | None:
    """Return the user id to go on after, or None if the course rests."""
    row = AggregatedCourse.objects.filter(course_key=course_key).first()
    if row is None:
        return 0
    rests = row.reconciled_at is not None and row.reconciled_at >= _rested()
    return None if rests and not row.reconcile_after else row.reconcile_after


def _rested() -> datetime:
    """Return the moment before which a round must have ended for another one to begin."""
    return timezone.now() - timedelta(hours=setting("RECONCILE_HOURS"))


def _due() -> list[AggregatedCourse]:
    rested = Q(reconciled_at__isnull=True) | Q(reconciled_at__lt=_rested())
    # The learners of a course that changed are looked at first.
    rows = AggregatedCourse.objects.filter(rested, changed_at__isnull=True).exclude(retry_at__gt=timezone.now())
    return list(rows.order_by(F("reconciled_at").asc(nulls_first=True), "pk")[:_MOST_COURSES])


def _moved_on(course_key: CourseKey, last: int | None) -> None:
    leaves.course_row(course_key)
    row = AggregatedCourse.objects.filter(course_key=course_key)
    if last is None:
        row.update(reconcile_after=0, reconciled_at=timezone.now())
    else:
        row.update(reconcile_after=last)


def _compared(course_key: CourseKey, learners: Sequence[_Learner], *, mark: bool) -> Findings:
    return again(lambda: _compare(course_key, dict(learners), mark=mark))


def _compare(course_key: CourseKey, names: Mapping[int, str], *, mark: bool) -> Findings:
    course = looked_at_course(course_key)
    waiting = stale.waiting_among(course_key, list(names.values()))
    user_ids = [user_id for user_id, name in names.items() if name not in waiting]
    if not user_ids:
        return Findings(waiting=len(names))
    known = _states(course, user_ids)
    states = {user_id: known.get(user_id) or State.new(user_id) for user_id in user_ids}
    sights = seen.by_learners(course_key, course.graph, user_ids, now=timezone.now())
    batch = gather(course, states, dict.fromkeys(user_ids, _EVERYTHING), sights)
    different = differences_of(batch, list(groups_of(batch)))
    kinds = _kinds(states, different)
    suspects = set[int]().union(*kinds.values())
    busy = _busy(course, {user_id: names[user_id] for user_id in suspects}, states) if suspects else set()
    kinds = {kind: whose - busy for kind, whose in kinds.items()}
    if mark and suspects - busy:
        _mark(course_key, names, suspects - busy, forced=_with_rows(states, kinds, different))
    return Findings(
        compared=len(user_ids) - len(busy),
        waiting=len(names) - len(user_ids) + len(busy),
        differing=len(suspects - busy),
        **{kind: len(whose) for kind, whose in kinds.items()},
    )


def _states(course: Course, user_ids: Collection[int]) -> dict[int, State]:
    return state.of_learners(course.row.pk, user_ids) if course.row.pk else {}


def _kinds(states: Mapping[int, State], different: Differences) -> dict[str, set[int]]:
    """Return who differs, by the names that ``Findings`` has for it."""
    built = {user_id for user_id, each in states.items() if each.built}
    seen_otherwise = {each.user_id for each in different.states if states[each.user_id].view != each.view}
    otherwise = {each.user_id for each in different.states if _facts(states[each.user_id]) != _facts(each)}
    wrong, missing = set[int](), set[int]()
    for projected, mask in different.rows:
        user_ids, there = np.array(projected.user_ids, dtype=np.int64), projected.find(different.stored) >= 0
        wrong.update(user_ids[(mask & there).any(axis=0)].tolist())
        missing.update(user_ids[~there.all(axis=0)].tolist())
    rows = different.stored
    has_rows = set(rows.user_ids.tolist())
    # Of others nothing is known, and to work that out would change nothing but what the API says meanwhile.
    active = {each.user_id for each in different.states if each.last_activity is not None}
    return {
        "never_computed": (states.keys() - built) & (active | has_rows),
        "tree": seen_otherwise & built,
        "vector": (otherwise & built) - seen_otherwise,
        "wrong_rows": wrong,
        "missing_rows": missing & (built | has_rows),
        "superfluous_rows": set(rows.user_ids[np.isin(rows.ids, different.gone)].tolist()),
    }


def _facts(each: State) -> State:
    """Return a row without what tells how and when it came to be."""
    return replace(each, graph_version="", profile="", view="", begun=False, leaf_count=0, attempts=0)


def _busy(course: Course, names: Mapping[int, str], before: Mapping[int, State]) -> set[int]:
    """Return who of these changed while we looked: they only seem to differ, or their refresh is to come."""
    if get_platform().course_version(course.key) != course.version:
        return set(names)
    waiting = stale.waiting_among(course.key, list(names.values()))
    after = _states(course, list(names))
    return {
        user_id
        for user_id, name in names.items()
        if name in waiting or after.get(user_id, State.new(user_id)) != before[user_id]
    }


def _with_rows(states: Mapping[int, State], kinds: Mapping[str, set[int]], different: Differences) -> set[int]:
    """Return whose rows would not be compared but by force, by which a learner has begun: so nobody else's are."""
    in_rows = (kinds["wrong_rows"] | kinds["missing_rows"] | kinds["superfluous_rows"]) - kinds["tree"]
    has_rows = set(different.stored.user_ids.tolist())
    return {user_id for user_id, each in states.items() if user_id in (in_rows if each.built else has_rows)}


def _mark(
    course_key: CourseKey, names: Mapping[int, str], user_ids: Collection[int], *, forced: Collection[int]
) -> None:
    population.mark(course_key, {user_id: names[user_id] for user_id in sorted(user_ids)}, forced=forced)


def _failed(course_key: CourseKey, learner: _Learner, error: Exception, *, mark: bool) -> Findings:
    """Mark a learner of whom the platform cannot tell what she sees: a refresh counts such failures."""
    user_id, name = learner
    log.warning("not compared course=%s user=%s", course_key, user_id, exc_info=error)
    if mark:
        again(lambda: population.mark(course_key, {user_id: name}))
    return Findings(failed=1)
