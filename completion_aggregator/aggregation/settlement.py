"""What a changed course means for its learners: those who see another tree than before are marked, and no others.

Which tree a learner sees says which blocks count for her, in which order, and which of them apart: while it stays the
same, so do her numbers. A date that is still to come changes nothing yet; it is stored, for the day on which it does.
"""

import logging
from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Final, TypeAlias

from django.db import transaction
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator import instruments
from completion_aggregator.aggregation import changes, population, renewal, stale, state
from completion_aggregator.aggregation.attempts import again, isolating
from completion_aggregator.aggregation.batch import tree_of
from completion_aggregator.aggregation.courses import KnownCourse, known_course, views_of
from completion_aggregator.aggregation.population import Population
from completion_aggregator.aggregation.state import State
from completion_aggregator.conf import setting
from completion_aggregator.exceptions import CompletionAggregatorError, UnknownCourse
from completion_aggregator.ports import Sight, get_platform

log = logging.getLogger(__name__)

#: Seconds for which a course must not have changed, and after which it is looked at all the same.
QUIET: Final = 2.0
LONGEST_UNREST: Final = 60.0
#: Different dates that are stored for a batch, each with a statement; learners with others are marked.
_MOST_DATES: Final = 8
#: User id, username.
_Learner: TypeAlias = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Settled:
    """What looking at some learners of a changed course came to.

    ``error``: why its content cannot be read; ``gone``: because the platform has no such course any more.
    """

    course_key: CourseKey
    compared: int = 0
    marked: int = 0
    error: str = ""
    gone: bool = False


class Quiet:
    """Which changed courses have come to rest, by the clock of one process that looks again and again.

    A course that is published many times in a row is looked at once, soon after the last time; one that never rests,
    once a minute. The moments of the changes are only compared with each other: they are of other clocks.
    """

    def __init__(self) -> None:
        self._seen: dict[CourseKey, _Restless] = {}

    def rested(self, noted: Mapping[CourseKey, datetime], *, at: float) -> dict[CourseKey, datetime]:
        """Return those of these courses that are to be looked at now; *at*: seconds of a clock that only goes on."""
        seen = {key: _Restless.again(self._seen.get(key), moment, at=at) for key, moment in noted.items()}
        rested = {key: moment for key, moment in noted.items() if seen[key].enough(at)}
        self._seen = {key: each for key, each in seen.items() if key not in rested}
        return rested


@dataclass(frozen=True, slots=True)
class _Restless:
    """A changed course: the moment of its last change, when that was first seen, and when the first of all."""

    moment: datetime
    since: float
    first: float

    @classmethod
    def again(cls, before: "_Restless | None", moment: datetime, *, at: float) -> "_Restless":
        if before is None:
            return cls(moment, at, at)
        return before if before.moment == moment else cls(moment, at, before.first)

    def enough(self, at: float) -> bool:
        return at - self.since >= QUIET or at - self.first >= LONGEST_UNREST


def settle_changes(quiet: Quiet | None = None) -> Generator[Settled, None, None]:
    """Take over newer content, and look at the learners of every course that changed; yield after each bounded batch.

    *quiet*: of those alone that have come to rest.
    Whoever stops in the middle of a course, or is stopped, begins it again next time: it stays noted until all of its
    learners have been looked at. A course whose content cannot be read is postponed, the others go on. One that is gone
    is told of once, and not looked at again until it is noted again, as it is when it is published.
    """
    for course_key, error in again(renewal.renew_all).items():
        yield Settled(course_key, error=str(error))
    noted = again(changes.noted)
    if quiet is not None:
        noted = quiet.rested(noted, at=monotonic())
    troubled, now = again(renewal.unreadable) if noted else {}, timezone.now()
    for course_key, moment in noted.items():
        if (troubled.get(str(course_key)) or now) > now:
            continue
        try:
            with renewal.postponing(course_key):
                yield from settle(course_key)
        except UnknownCourse as error:
            changes.settled(course_key, moment)
            if not error.known:
                yield Settled(course_key, error=str(error), gone=True)
        except CompletionAggregatorError as error:
            yield Settled(course_key, error=str(error))
        else:
            changes.settled(course_key, moment)
            if str(course_key) in troubled:
                renewal.readable(course_key)


def settle(course_key: CourseKey) -> Iterator[Settled]:
    """Mark the learners for whom the content as it is now makes another tree; yield after each bounded batch.

    Raises UnknownCourse or InvalidCourse.
    """
    course = again(lambda: known_course(course_key))
    everybody = again(lambda: Population(course_key, course.graph.keys[0]))
    found = again(lambda: everybody.after(0, setting("BATCH_SIZE")))
    while found.last is not None:
        yield from isolating(
            partial(_settle, course),
            list(found.names.items()),
            at_fault=partial(_told_by_refresh, course),
        )
        found = again(partial(everybody.after, found.last, setting("BATCH_SIZE")))


def _settle(course: KnownCourse, learners: Sequence[_Learner]) -> Settled:
    marked = again(lambda: _marked(course, dict(learners)))
    log.info("settled course=%s learners=%d marked=%d", course.key, len(learners), marked)
    instruments.settled(compared=len(learners), marked=marked)
    return Settled(course.key, len(learners), marked)


def _marked(course: KnownCourse, names: Mapping[int, str]) -> int:
    """Compare some learners, whom no worker is at meanwhile: what it does with older content is seen here."""
    if get_platform().asks_one_by_one(course.key, course.graph):
        # To look costs as much as to refresh, and writes to the LMS, which is not to be done twice.
        return _mark(course.key, names)
    user_ids, now = list(names), timezone.now()
    with transaction.atomic():
        locked = state.lock(course.row.pk, user_ids, wait=True) if course.row.pk else []
        states = {each.user_id: each for each in locked if each.built}
        sights = get_platform().sights(course.key, course.graph, user_ids, now=now)
        same = _seeing_the_same(course, states, sights)
        dates = _new_dates(states, sights, same)
        for moment, learners in dates.items():
            state.set_valid_until(course.row.pk, learners, moment)
        dated = {user_id for learners in dates.values() for user_id in learners}
        settled = {each for each in same if states[each].valid_until == sights[each].valid_until} | dated
    return _mark(course.key, {user_id: name for user_id, name in names.items() if user_id not in settled})


def _seeing_the_same(course: KnownCourse, states: Mapping[int, State], sights: Mapping[int, Sight]) -> list[int]:
    views = views_of(course.graph, [sights[user_id] for user_id in states])
    trees = [tree_of(view, sights[user_id]) for user_id, view in zip(states, views, strict=True)]
    return [user_id for user_id, tree in zip(states, trees, strict=True) if states[user_id].view == tree]


def _new_dates(
    states: Mapping[int, State], sights: Mapping[int, Sight], user_ids: Collection[int]
) -> dict[datetime | None, list[int]]:
    """Return the most frequent of the moments at which these learners' trees change next, where others are stored."""
    moved = [user_id for user_id in user_ids if states[user_id].valid_until != sights[user_id].valid_until]
    moments = Counter(sights[user_id].valid_until for user_id in moved).most_common(_MOST_DATES)
    return {moment: [each for each in moved if sights[each].valid_until == moment] for moment, _ in moments}


def _mark(course_key: CourseKey, names: Mapping[int, str]) -> int:
    """Mark learners, but for those of whom something waits already: its refresh looks at the tree anyway."""
    if not names:
        return 0
    user_ids = {name: user_id for user_id, name in names.items()}
    waiting = stale.waiting_among(course_key, user_ids, user_ids=user_ids)
    return population.mark(course_key, {pk: name for pk, name in names.items() if name not in waiting})


def _told_by_refresh(course: KnownCourse, learner: _Learner, error: Exception) -> Settled:
    """Mark a learner of whom the platform cannot tell what she sees: a refresh counts such failures."""
    user_id, name = learner
    log.warning("not compared course=%s user=%s", course.key, user_id, exc_info=error)
    return Settled(course.key, 1, again(lambda: _mark(course.key, {user_id: name})))
