"""Tells endpoints of crossings: the receivers of our signal, and webhooks. A delivery is a row, made with its crossing.

At least once to a webhook, with the same Idempotency-Key each time; what receivers write to the database, exactly once.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from time import monotonic
from typing import Final
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import Count, F, Max, Min, Q, QuerySet
from django.utils import timezone

from completion_aggregator import instruments
from completion_aggregator.aggregation.models import Crossing, Delivery
from completion_aggregator.aggregation.posts import DeliveryFailed, EndpointDown, post
from completion_aggregator.aggregation.thresholds import (
    RECEIVERS,
    ThresholdReached,
    endpoint_of,
    payload,
    threshold_reached,
)
from completion_aggregator.conf import Webhook, webhooks
from completion_aggregator.exceptions import storable

log = logging.getLogger(__name__)

#: Seconds that an endpoint has to answer, from first to last.
PATIENCE: Final = 10.0
#: Seconds after which a delivery that was begun and not ended counts as failed: whoever began it is dead.
LEASE: Final = 6 * PATIENCE
#: Pauses after a failure double from the first to the longest: all attempts together take about three days.
FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(hours=6)
MOST_ATTEMPTS: Final = 20
#: So many refusals in a row, and nothing else is tried in this turn.
_ENOUGH: Final = 3
_PAGE: Final = 100
_CHUNK: Final = 5000


class _UserGone(DeliveryFailed):
    """There is nobody to tell of; no fault of the endpoint."""


class _Outcome(Enum):
    """How an attempt ended: REFUSED for the first time, AGAIN later. NOTHING says nothing of the endpoint."""

    TOLD = "told"
    NOTHING = "nothing"
    REFUSED = "refused"
    AGAIN = "again"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """What one endpoint still has to be told.

    ``name``: the host of a webhook, or "receivers"; an endpoint that is set no longer has none. ``failing``: how many
    of those that wait have failed before. ``error``: the newest.
    """

    name: str
    waiting: int
    oldest: datetime | None
    failing: int
    given_up: int
    error: str


def deliver(*, stopped: Callable[[], bool] = lambda: False, seconds: float = 30.0, patience: float = PATIENCE) -> int:
    """Tell every endpoint what is due; return how many deliveries were made.

    Stops after about *seconds*, shared evenly by the endpoints; what was begun is ended. An endpoint that is down, or
    refuses three in a row, rests until the next call, so that one that hangs does not hold up much. Any number of
    processes may do this at once. Call it outside of transactions.
    """
    send = _senders(patience)
    return sum(_tell(each, send[each], stopped=stopped, seconds=seconds / len(send)) for each in send)


def status() -> list[DeliveryStatus]:
    """Return what each endpoint waits for, of those that are set or have something left."""
    names = {RECEIVERS: RECEIVERS} if threshold_reached.has_listeners() else {}
    names |= {endpoint_of(each): each.host for each in webhooks()}
    open_rows = Q(due_at__isnull=False)
    undelivered = Delivery.objects.filter(delivered_at__isnull=True)
    counts = undelivered.values("endpoint").annotate(
        waiting=Count("id", filter=open_rows),
        oldest=Min("crossing__reached_at", filter=open_rows),
        failing=Count("id", filter=open_rows & ~Q(error="")),
        given_up=Count("id", filter=Q(due_at__isnull=True)),
        newest=Max("id", filter=~Q(error="")),
    )
    found = {row.pop("endpoint"): row for row in counts}
    newest = [row.pop("newest") for row in found.values()]
    errors = dict(undelivered.filter(pk__in=[pk for pk in newest if pk]).values_list("endpoint", "error"))
    nothing = {"waiting": 0, "oldest": None, "failing": 0, "given_up": 0}
    return [
        DeliveryStatus(name=names.get(endpoint, ""), error=errors.get(endpoint, ""), **found.get(endpoint, nothing))
        for endpoint in dict.fromkeys([*names, *sorted(found)])
    ]


def take_back() -> int:
    """Try again what was given up, of endpoints that are there. Return how many deliveries."""
    rows = Delivery.objects.filter(delivered_at__isnull=True, due_at__isnull=True, endpoint__in=_known())
    return rows.update(due_at=timezone.now(), attempts=0)


def delete_delivered(*, before: datetime) -> Iterator[int]:
    """Delete deliveries made before a moment, in chunks; yield how many each. Crossings stay: they are what we know."""
    yield from _delete(Delivery.objects.filter(delivered_at__lt=before))


def delete_forsaken(*, before: datetime) -> Iterator[int]:
    """Delete what webhooks that are set no longer were not told of crossings before a moment, as ``delete_delivered``.

    What receivers were not told stays: they may be in another process.
    """
    rows = Delivery.objects.filter(delivered_at__isnull=True, crossing__reached_at__lt=before)
    yield from _delete(rows.exclude(endpoint__in=_known()))


def _tell(endpoint: str, send: Callable[[int], _Outcome], *, stopped: Callable[[], bool], seconds: float) -> int:
    """Tell an endpoint what is due, for so long or until it fails; return how many deliveries were made."""
    told, tried, refused, until = 0, 0, 0, monotonic() + seconds
    for pk in _due(endpoint):
        if stopped() or monotonic() >= until:
            break
        outcome = send(pk)
        if outcome is not _Outcome.NOTHING:
            tried += 1
            instruments.delivered(webhook=endpoint != RECEIVERS, told=outcome is _Outcome.TOLD)
        told += outcome is _Outcome.TOLD
        if outcome is _Outcome.TOLD:
            refused = 0
        # Those refused before do not count: a few that are never taken would keep all others waiting.
        refused += outcome is _Outcome.REFUSED
        if outcome is _Outcome.DOWN or refused == _ENOUGH:
            break
    if tried:
        log.info("delivered endpoint=%s told=%d failed=%d", endpoint, told, tried - told)
    return told


def _senders(patience: float) -> Mapping[str, Callable[[int], _Outcome]]:
    """Return how each endpoint is told of a delivery.

    Only of those that are there: what waits for another is left for a process that has it.
    """

    def post_to(webhook: Webhook) -> Callable[[int], _Outcome]:
        return lambda pk: _post(pk, webhook, patience)

    senders: dict[str, Callable[[int], _Outcome]] = {}
    if threshold_reached.has_listeners():
        senders[RECEIVERS] = _announce
    return senders | {endpoint_of(each): post_to(each) for each in webhooks()}


def _due(endpoint: str) -> Iterator[int]:
    """Yield the deliveries that are due, oldest first, each once."""
    now, seen = timezone.now(), set[int]()
    rows = Delivery.objects.filter(endpoint=endpoint, due_at__lte=now).order_by("due_at", "id")
    while page := [pk for pk in rows.values_list("id", flat=True)[: _PAGE + len(seen)] if pk not in seen]:
        seen.update(page)
        yield from page


def _announce(pk: int) -> _Outcome:
    """Send the signal, in the transaction that marks it delivered."""
    row: Delivery | None = None
    try:
        with transaction.atomic():
            row = _lock(pk)
            if row is None:
                return _Outcome.NOTHING
            threshold_reached.send(sender=ThresholdReached, reached=_reached(row))
            _delivered(pk)
    # The border to strangers' code: whatever is wrong with a receiver, nothing of it stands, and the others go on.
    except Exception as error:
        attempts = row.attempts + 1 if row else 1
        if attempts == 1 and not isinstance(error, _UserGone):
            log.exception("receiver failed delivery=%s", pk)
        else:  # a traceback for each attempt would fill the log
            log.warning("not delivered delivery=%s attempt=%d: %s", pk, attempts, type(error).__name__)
        Delivery.objects.filter(pk=pk).update(attempts=F("attempts") + 1)
        _failed(pk, str(error) if isinstance(error, _UserGone) else f"{type(error).__name__}: {error}")
        return _outcome(error, attempts=attempts)
    return _Outcome.TOLD


def _post(pk: int, webhook: Webhook, patience: float) -> _Outcome:
    """Claim a delivery, so that no other process sends it at the same time, and post it outside of transactions."""
    with transaction.atomic():
        row = _lock(pk)
        if row is None:
            return _Outcome.NOTHING
        row.attempts += 1
        row.due_at = timezone.now() + timedelta(seconds=LEASE)
        row.save(update_fields=["attempts", "due_at"])
    try:
        body = json.dumps(payload(_reached(row))).encode()
        post(webhook, row.crossing_id, body, patience=patience)
    except DeliveryFailed as error:
        log.warning("not delivered delivery=%s host=%s attempt=%d: %s", pk, webhook.host, row.attempts, error)
        _failed(pk, str(error), attempts=row.attempts)
        return _outcome(error, attempts=row.attempts)
    _delivered(pk)
    return _Outcome.TOLD


def _outcome(error: Exception, *, attempts: int) -> _Outcome:
    """Return what an error says of the endpoint after so many attempts of one delivery."""
    if isinstance(error, EndpointDown):
        return _Outcome.DOWN
    if isinstance(error, _UserGone):
        return _Outcome.NOTHING
    return _Outcome.AGAIN if attempts > 1 else _Outcome.REFUSED


def _lock(pk: int) -> Delivery | None:
    """Lock and return a delivery that is still due, unless another process has it.

    By its primary key alone: a lock on a range would make whoever records a crossing wait.
    """
    skip = connection.features.has_select_for_update_skip_locked
    rows: QuerySet[Delivery] = Delivery.objects.select_for_update(skip_locked=skip)
    return rows.filter(pk=pk, due_at__lte=timezone.now()).first()


def _reached(row: Delivery) -> ThresholdReached:
    """Return what is to be told. Raises _UserGone."""
    model = get_user_model()
    crossing = Crossing.objects.select_related("course").filter(event_id=row.crossing_id).first()
    users = model._default_manager.filter(pk=crossing.user_id) if crossing else model._default_manager.none()
    username = users.values_list(model.USERNAME_FIELD, flat=True).first()
    if crossing is None or username is None:
        raise _UserGone("the user is gone")
    return ThresholdReached(
        event_id=UUID(crossing.event_id),
        user_id=crossing.user_id,
        username=username,
        course_key=crossing.course.course_key,
        block_key=crossing.block_key,
        block_type=crossing.block_type,
        threshold=crossing.threshold,
        percent=crossing.percent,
        reached_at=crossing.reached_at,
        crossing=crossing.number,
    )


def _delivered(pk: int) -> None:
    Delivery.objects.filter(pk=pk).update(due_at=None, delivered_at=timezone.now(), error="")


def _failed(pk: int, error: str, *, attempts: int | None = None) -> None:
    """Try again later, or give up; with *attempts*, only if nobody else has tried since."""
    rows = Delivery.objects.filter(pk=pk, delivered_at__isnull=True)
    if attempts is not None:
        rows = rows.filter(attempts=attempts)
    for tried in rows.values_list("attempts", flat=True):
        pause = min(FIRST_PAUSE * 2 ** min(tried - 1, 30), LONGEST_PAUSE)
        due_at = timezone.now() + pause if tried < MOST_ATTEMPTS else None
        rows.update(due_at=due_at, error=storable(error))


def _known() -> list[str]:
    """Return the endpoints that somebody may tell: the webhooks that are set, and receivers, wherever they are."""
    return [RECEIVERS, *(endpoint_of(each) for each in webhooks())]


def _delete(rows: QuerySet[Delivery]) -> Iterator[int]:
    # In no order: to sort by id, a server might read the table.
    while ids := list(rows.values_list("id", flat=True)[:_CHUNK]):
        yield Delivery.objects.filter(pk__in=ids)._raw_delete(connection.alias)
