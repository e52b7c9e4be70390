"""Completions out of tracking logs into the facts: each once, whatever happens to the process."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.platforms.standalone.imports.completions import CompletionsImport, CompletionsSummary, Row
from completion_aggregator.platforms.standalone.logs.refusals import Refusals
from completion_aggregator.platforms.standalone.models import LogPosition
from completion_aggregator.tracking import api as tracking
from completion_aggregator.tracking.api import Completion, CompletionBatch, Position

if TYPE_CHECKING:
    from completion_aggregator.tracking.api import Store

#: Completions in a transaction: what a crash undoes, and what is held in memory at once.
BATCH: Final = 10_000
_LONGEST: Final = 255


class FollowedElsewhere(CompletionAggregatorError):
    """Another process takes in the completions of the same store."""


def reached(point: str) -> None:
    """Do nothing. Tests of crashes let a process die at each of these points."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a store is read: the position; whether it was another store, or an older copy of it, when that was kept.

    ``text`` is the position as it is kept, of whatever store.
    """

    position: Position | None
    is_other: bool
    text: str


def mark_of(store: "Store") -> Mark:
    """Return how far the store is read. Raises NoStore."""
    kept = LogPosition.objects.filter(store=_name(store)).first()
    if kept is None or not kept.position:
        tracking.status(store)  # which says so if there is none
        return Mark(None, is_other=False, text="")
    position = Position.parse(kept.position)
    try:
        is_other = tracking.load_id(position, store) != kept.load_id
    except tracking.InvalidPosition:
        is_other = True
    return Mark(None if is_other else position, is_other, kept.position)


class Following:
    """One run over what the store has behind the mark, or over all of it."""

    def __init__(
        self, store: "Store", mark: Mark, *, create_users: bool, now: datetime, from_start: bool = False
    ) -> None:
        self.refusals = Refusals()
        self._store, self._mark = store, mark
        self._after = None if from_start else mark.position
        self._import = CompletionsImport(self.refusals, create_users=create_users, now=now)
        self._number = 0

    @property
    def summary(self) -> CompletionsSummary:
        """What became of the completions so far."""
        return self._import.summary

    def run(self) -> Iterator[CompletionsSummary]:
        """Take in the completions, and yield the summary after each batch, which is stored by then.

        The position moves in the same transaction. Raises FollowedElsewhere where somebody else moved it meanwhile.
        """
        kept = self._mark.text
        for batch in tracking.completions(after=self._after, batch_size=BATCH, store=self._store):
            kept = self._take(batch, kept)
            yield self.summary

    def _take(self, batch: CompletionBatch, kept: str) -> str:
        position, load_id = str(batch.position), tracking.load_id(batch.position, self._store)
        reached("batch read")
        # Nobody else waits for the row: who comes second finds it changed, and all that it did is undone.
        self._import.take(self._rows(batch.rows), first=lambda: _move(self._store, kept, position, load_id))
        reached("batch committed")
        return position

    def _rows(self, completions: Sequence[Completion]) -> Iterator[Row]:
        for each in completions:
            self._number += 1
            values = [each.username or "", each.course or "", each.block or "", _text(each), _moment(each)]
            if each.username is None:
                self.refusals.add(self._number, "names no learner", values)
            else:
                yield self._number, values


def waiting(store: "Store", after: Position | None) -> int:
    """Return how many completions a run would read."""
    return sum(len(batch.rows) for batch in tracking.completions(after=after, batch_size=BATCH, store=store))


def _move(store: "Store", kept: str, position: str, load_id: str) -> None:
    found, _ = LogPosition.objects.get_or_create(store=_name(store))
    here = LogPosition.objects.filter(pk=found.pk, position=kept)
    if not here.update(position=position, load_id=load_id, moved=timezone.now()):
        raise FollowedElsewhere(
            f"Another process takes in the completions of {store.folder}, too: one is enough. Nothing is lost by it;"
            " run it again when the other one has ended."
        )
    reached("position moved")


def _name(store: "Store") -> str:
    """Return the folder of the store; of a very long one a part, with what tells it from others."""
    path = str(store.folder)
    digest = blake2b(path.encode(errors="surrogateescape"), digest_size=8).hexdigest()
    return path if len(path) <= _LONGEST and path.isprintable() else f"{digest} {ascii(path)[-_LONGEST + 17 :]}"


def _text(completion: Completion) -> str:
    return "" if completion.completion is None else repr(completion.completion)


def _moment(completion: Completion) -> str:
    return completion.time.astimezone(UTC).isoformat()
