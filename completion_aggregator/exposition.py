"""Metrics for Prometheus: what this process counted, or all that share PROMETHEUS_MULTIPROC_DIR, and the queue's state.

The state of the queue is asked of the database at most once in some seconds, however many scrape; where the database
does not answer, what was counted is told all the same.
"""

import os
from collections.abc import Iterator, Mapping
from hmac import compare_digest
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, Self

from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers

from completion_aggregator import instruments
from completion_aggregator.aggregation import api
from completion_aggregator.conf import setting
from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.probes import NoAnswer, Probe

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from prometheus_client import CollectorRegistry, Metric

MISSING: Final = (
    "Nothing is counted. Is the library installed (pip install 'completion-aggregator[metrics]'), and is"
    " PROMETHEUS_MULTIPROC_DIR, if it is set, a folder that exists and that this process may write to?"
)
#: Seconds that a scrape waits for the database, and for which its answer is given again.
PATIENCE: Final = 5.0
KEEP: Final = 10.0
_BEARER: Final = "bearer "

_vitals: Final = Probe(api.vitals, patience=PATIENCE, keep=KEEP)


class NothingCounts(CompletionAggregatorError):
    """The library that counts is not installed, or cannot count; the message says what to do."""


def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the metrics: to the token of the settings, and to global staff if these say so; else there is none.

    The browser session tells who is staff.
    """
    token, for_staff = setting("METRICS_TOKEN"), setting("METRICS_FOR_STAFF")
    if not token and not for_staff:
        raise Http404
    if not (token and _shows(request, token)) and not (for_staff and _is_staff(request)):
        return _refusal()
    try:
        body, content_type = text(request.headers.get("Accept", ""))
    except NothingCounts as error:
        return HttpResponse(f"{error}\n", status=503, content_type="text/plain; charset=utf-8")
    response = HttpResponse(body, content_type=content_type)
    add_never_cache_headers(response)
    return response


def text(accept: str = "") -> tuple[bytes, str]:
    """Return the metrics as the one who asks accepts them, and the type of that. Raises NothingCounts."""
    found = registry()
    from prometheus_client.exposition import choose_encoder

    encode, content_type = choose_encoder(accept)
    return encode(found), content_type


def serve(port: int, address: str, *, queue: bool = True) -> "Serving":
    """Answer scrapes on a port of its own, to whoever reaches it. As for *queue*: ``registry``.

    Raises NothingCounts, or OSError where it cannot listen.
    """
    found = registry(queue=queue)
    from prometheus_client import start_http_server

    return Serving(*start_http_server(port, address, found))


class Serving:
    """A port that answers, until it is closed or the process ends."""

    def __init__(self, server: "WSGIServer", thread: Thread) -> None:
        self._server, self._thread = server, thread
        self.port = int(server.server_port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def registry(*, queue: bool = True) -> "CollectorRegistry":
    """Return what there is to tell, read when it is collected; of the *queue* too, or not. Raises NothingCounts."""
    if not instruments.begin():
        raise NothingCounts(MISSING)
    from prometheus_client import REGISTRY, CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    found = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(found)  # type: ignore[no-untyped-call]  # the library annotates in part
    else:
        found.register(_Forwarding(REGISTRY))
    if queue:
        found.register(_Queue())
    return found


def forget() -> None:
    """Drop what the database said last: for tests."""
    _vitals.forget()


class _Forwarding:
    """What another registry has."""

    def __init__(self, other: "CollectorRegistry") -> None:
        self._other = other

    def collect(self) -> "Iterator[Metric]":
        yield from self._other.collect()


class _Queue:
    """What the database says."""

    def collect(self) -> "Iterator[Metric]":
        from prometheus_client.core import GaugeMetricFamily

        for name, values in _stored().items():
            labels = list(instruments.INSTRUMENTS[name].labels)
            family = GaugeMetricFamily(
                instruments.PREFIX + name, instruments.INSTRUMENTS[name].help, labels=labels or None
            )
            for value, series in values.items():
                family.add_metric(list(value), series)
            yield family


#: The values of labels, and what is so.
_Series = Mapping[tuple[str, ...], float]


def _stored() -> Mapping[str, _Series]:
    """Return the metrics of the database by name; only that it does not answer, where that is so."""
    try:
        found = _vitals.ask()
    except (DatabaseError, NoAnswer):
        return {"database_up": {(): 0.0}}
    outboxes = {("receivers",): found.receivers, ("webhook",): found.webhooks}
    plain: dict[str, float] = {
        "database_up": 1.0,
        "backlog_rows": found.waiting,
        "backlog_oldest_age_seconds": found.oldest_age,
        "backlog_courses": found.waiting_courses,
        "learners_set_aside": found.set_aside,
        "courses_failing": found.failing_courses,
        "courses_changed": found.changed_courses,
        "courses_changed_oldest_age_seconds": found.changed_age,
        "courses_never_reconciled": found.never_reconciled,
    }
    return {
        **{name: {(): value} for name, value in plain.items()},
        "deliveries_waiting": {key: each.waiting for key, each in outboxes.items()},
        "deliveries_failing": {key: each.failing for key, each in outboxes.items()},
        "deliveries_given_up": {key: each.given_up for key, each in outboxes.items()},
        "deliveries_oldest_age_seconds": {key: each.oldest_age for key, each in outboxes.items()},
    }


def _shows(request: HttpRequest, token: str) -> bool:
    given = request.headers.get("Authorization", "")
    if given[: len(_BEARER)].lower() != _BEARER:
        return False
    return compare_digest(given[len(_BEARER) :].strip().encode(), token.encode())


def _is_staff(request: HttpRequest) -> bool:
    user: Any = getattr(request, "user", None)
    return bool(user and user.is_active and user.is_staff)


def _refusal() -> HttpResponse:
    refusal = HttpResponse("Metrics need the token of the site.\n", status=401, content_type="text/plain")
    refusal["WWW-Authenticate"] = 'Bearer realm="metrics"'
    return refusal
