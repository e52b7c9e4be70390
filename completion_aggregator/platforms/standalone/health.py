"""Whether the process runs, whether its database answers, and whether it can be sent requests: for probes.

``/livez``: the process answers; what would not get better by a restart is not asked. ``/readyz``: everything that a
request needs answers, within two seconds or not. ``/healthz``: the database answers, for who knows one address.

None of them tells why, for they are open: reasons hold addresses and names, and stand in the log.
"""

import logging
from collections.abc import Callable, Mapping
from secrets import token_hex
from time import monotonic
from typing import Final

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.probes import NoAnswer, Probe

log = logging.getLogger(__name__)

#: Seconds that a probe waits for all that is asked, and for which an answer is given again.
PATIENCE: Final = 2.0
KEEP: Final = 1.0


class NotReady(CompletionAggregatorError):
    """Something answered, and not as it must."""


def livez(request: HttpRequest) -> JsonResponse:
    """Answer 200."""
    return JsonResponse({"status": "ok"})


def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database answers, 503 when it does not."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        # The reason may hold addresses and names: it belongs in the log of the database, not in an open answer.
        return JsonResponse({"status": "unavailable", "database": "unreachable"}, status=503)
    return JsonResponse({"status": "ok", "database": connection.vendor})


def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when requests can be answered, 503 when not, with what is wrong.

    Without its broker a site answers requests, and what waits is kept: that is told, and no reason to send nobody here.
    """
    checks = _checks()
    wrong = {name for name, state in checks.items() if state != "ok"}
    needed = wrong - {"broker"}
    status = "unavailable" if needed else "degraded" if wrong else "ready"
    return JsonResponse({"status": status, "checks": checks}, status=503 if needed else 200)


def answer_any_host(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Answer probes before ALLOWED_HOSTS is asked: they call us by an address of their own."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        view = ANSWERS.get(request.path_info, get_response)
        return view(request)

    return answer


def forget() -> None:
    """Drop what was answered last: for tests."""
    for probe in _PROBES.values():
        probe.forget()


ANSWERS: Final[Mapping[str, Callable[[HttpRequest], JsonResponse]]] = {
    "/livez": livez,
    "/readyz": readyz,
    "/healthz": healthz,
}


def _checks() -> dict[str, str]:
    has_broker = bool(getattr(settings, "CELERY_BROKER_URL", None))
    probes = {name: probe for name, probe in _PROBES.items() if name != "broker" or has_broker}
    until = monotonic() + PATIENCE
    begun = {name: probe.begin() for name, probe in probes.items()}
    return {name: _state(name, answer, until) for name, answer in begun.items()}


def _state(name: str, answer: Callable[[float], None], until: float) -> str:
    try:
        answer(max(until - monotonic(), 0.0))
    except NoAnswer:
        log.warning("not ready check=%s: no answer", name)
        return "no answer"
    # Whatever the driver of a database, cache or broker raises, the answer is that it does not do what it should.
    except Exception as error:
        log.warning("not ready check=%s: %s", name, type(error).__name__, exc_info=error)
        return "failed"
    return "ok"


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _migrations() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotReady("the database lacks tables of this version: run completion-aggregator migrate")


def _cache() -> None:
    name, value = f"completion_aggregator.ready.{token_hex(8)}", token_hex(8)
    cache.set(name, value, timeout=10)
    if cache.get(name) != value:
        raise NotReady("the cache does not keep what it is given")
    cache.delete(name)


def _broker() -> None:
    from completion_aggregator.platforms.standalone.celery import app

    with app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=1, interval_start=0)


_PROBES: Final[Mapping[str, Probe[None]]] = {
    "database": Probe(_database, patience=PATIENCE, keep=KEEP),
    "migrations": Probe(_migrations, patience=PATIENCE, keep=10 * KEEP),
    "cache": Probe(_cache, patience=PATIENCE, keep=KEEP),
    "broker": Probe(_broker, patience=PATIENCE, keep=KEEP),
}
