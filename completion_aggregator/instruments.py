"""What this product counts and times of its own work: every metric in one table, and the functions that move them.

They move where ``prometheus_client`` is installed (the extra ``metrics``), in its default registry or, with
PROMETHEUS_MULTIPROC_DIR, in its files; without it a call is a look at a variable. None of them queries, and no label is
a course or a learner: each has the few values that the table names, so that a site of any size has as many series.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from time import time
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from prometheus_client.metrics import MetricWrapperBase

log = logging.getLogger(__name__)

PREFIX: Final = "completion_aggregator_"
#: What is counted under where a label has a value that the table does not name.
OTHER: Final = "other"

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
#: Worked out where it happens and kept by each process; or read from the database by whoever is asked.
Source: TypeAlias = Literal["process", "database"]

_FAST: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SLOW: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)


@dataclass(frozen=True, slots=True)
class Instrument:
    """A metric: its kind, what it says, and for each label the values it may have."""

    kind: Kind
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: Sequence[float] = _FAST
    source: Source = "process"


def _stored(help_text: str, **labels: tuple[str, ...]) -> Instrument:
    return Instrument("gauge", help_text, labels, source="database")


#: Why a piece of work is begun again: what the database said, or that the course was published meanwhile.
RETRY_REASONS: Final = ("deadlock", "lock_wait", "connection", "serialization", "timeout", "full", "published", OTHER)
_ENDPOINTS: Final = ("receivers", "webhook")

#: By name without the prefix. A counter ends in ``_total``; units are seconds, learners, rows.
INSTRUMENTS: Final[dict[str, Instrument]] = {
    # --- refreshing
    "refresh_batches_total": Instrument("counter", "Batches of learners refreshed."),
    "refresh_batch_seconds": Instrument("histogram", "How long a batch took, from claim to commit."),
    "refresh_learners_total": Instrument("counter", "Learners refreshed, whether anything of theirs changed or not."),
    "refresh_rows_total": Instrument(
        "counter", "Rows of tallies changed by refreshes.", {"change": ("written", "removed")}
    ),
    "refresh_resolved_total": Instrument("counter", "Stale rows that refreshes resolved."),
    "refresh_failures_total": Instrument("counter", "Refreshes of a learner that failed, and will be tried again."),
    "refresh_mended_total": Instrument(
        "counter",
        "What refreshes found damaged and mended: stored vectors, and completions outside 0 to 1.",
        {"what": ("vector", "completion")},
    ),
    "set_aside_total": Instrument("counter", "Learners set aside after too many failed refreshes in a row."),
    "retries_total": Instrument(
        "counter",
        "Pieces of work begun again, by why.",
        {"reason": RETRY_REASONS},
    ),
    # --- content
    "graph_lookups_total": Instrument(
        "counter",
        "Course graphs asked for: of the process, and on a miss of the platform, where a miss is a compilation.",
        {"cache": ("process", "platform"), "result": ("hit", "miss")},
    ),
    "graph_compile_seconds": Instrument("histogram", "How long it took to compile the graph of a course.", {}, _SLOW),
    # --- telling
    "deliveries_total": Instrument(
        "counter",
        "Attempts to tell an endpoint of a crossing.",
        {"endpoint": _ENDPOINTS, "outcome": ("told", "failed")},
    ),
    # --- the service
    "service_turns_total": Instrument(
        "counter",
        "Turns of run_aggregator_service; interrupted: by a database that does not answer.",
        {"outcome": ("completed", "with_failures", "interrupted")},
    ),
    "service_turn_seconds": Instrument("histogram", "How long a turn of the service took.", {}, _SLOW),
    "service_last_turn_timestamp_seconds": Instrument("gauge", "When a turn of the service last came to its end."),
    "settled_learners_total": Instrument(
        "counter",
        "Learners of changed courses looked at; marked: those who see another tree.",
        {"result": ("same", "marked")},
    ),
    "reconciled_learners_total": Instrument(
        "counter",
        "Learners compared with their completions.",
        {"result": ("same", "differing", "waiting", "failed")},
    ),
    # --- what the database says, asked when the metrics are
    "database_up": _stored("1 if the database answered when the metrics were asked for, 0 if not."),
    "backlog_rows": _stored("Stale rows that wait, counted up to 100,000."),
    "backlog_oldest_age_seconds": _stored(
        "Age of the oldest stale row that waits, but for learners set aside and courses that cannot be read; 0: none."
    ),
    "backlog_courses": _stored("Courses in which something waits, counted up to 500."),
    "learners_set_aside": _stored("Learners who are set aside, counted up to 10,000."),
    "courses_failing": _stored("Courses whose content cannot be read."),
    "courses_changed": _stored("Courses that changed and whose learners are still to be looked at."),
    "courses_changed_oldest_age_seconds": _stored("Age of the oldest change of those; 0 if there is none."),
    "courses_never_reconciled": _stored("Courses whose learners were never all compared with their completions."),
    "deliveries_waiting": _stored("Deliveries that wait, counted up to 10,000.", endpoint=_ENDPOINTS),
    "deliveries_failing": _stored("Deliveries that wait and have failed before.", endpoint=_ENDPOINTS),
    "deliveries_given_up": _stored("Deliveries given up, counted up to 10,000.", endpoint=_ENDPOINTS),
    "deliveries_oldest_age_seconds": _stored(
        "Age of the oldest crossing that an endpoint was not told of yet; 0 if there is none.", endpoint=_ENDPOINTS
    ),
}


class _Batch(Protocol):
    """What a refresh of a batch came to, as ``RefreshSummary`` says."""

    @property
    def learners(self) -> int: ...
    @property
    def written(self) -> int: ...
    @property
    def removed(self) -> int: ...
    @property
    def resolved(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def rebuilt(self) -> int: ...
    @property
    def mended(self) -> int: ...
    @property
    def seconds(self) -> float: ...


def refreshed(batch: _Batch) -> None:
    """Count a batch of learners."""
    if not _metrics():
        return
    _add("refresh_batches_total")
    _observe("refresh_batch_seconds", batch.seconds)
    _add("refresh_learners_total", batch.learners)
    _add("refresh_rows_total", batch.written, change="written")
    _add("refresh_rows_total", batch.removed, change="removed")
    _add("refresh_resolved_total", batch.resolved)
    _add("refresh_failures_total", batch.failed)
    _add("refresh_mended_total", batch.rebuilt, what="vector")
    _add("refresh_mended_total", batch.mended, what="completion")


def retried(reason: str) -> None:
    """Count that a piece of work is begun again; a reason that the table does not name counts as ``other``."""
    _add("retries_total", reason=reason if reason in RETRY_REASONS else OTHER)


def set_aside() -> None:
    """Count a learner who was set aside."""
    _add("set_aside_total")


def graphs_looked_up(cache_name: Literal["process", "platform"], *, hits: int = 0, misses: int = 0) -> None:
    """Count graphs that a cache was asked for."""
    _add("graph_lookups_total", hits, cache=cache_name, result="hit")
    _add("graph_lookups_total", misses, cache=cache_name, result="miss")


def graph_compiled(seconds: float) -> None:
    """Count and time a compilation."""
    _observe("graph_compile_seconds", seconds)


def delivered(*, webhook: bool, told: bool) -> None:
    """Count an attempt to tell an endpoint: a webhook, or receivers of the signal."""
    _add("deliveries_total", endpoint="webhook" if webhook else "receivers", outcome="told" if told else "failed")


def turned(outcome: Literal["completed", "with_failures", "interrupted"], *, seconds: float) -> None:
    """Count a turn of the service, which has just come to its end."""
    _add("service_turns_total", outcome=outcome)
    _observe("service_turn_seconds", seconds)
    if outcome != "interrupted":
        _move("service_last_turn_timestamp_seconds", "set", time())


def settled(*, compared: int, marked: int) -> None:
    """Count learners of a changed course."""
    _add("settled_learners_total", compared - marked, result="same")
    _add("settled_learners_total", marked, result="marked")


class _Comparison(Protocol):
    """What comparing some learners came to, as ``Findings`` says."""

    @property
    def compared(self) -> int: ...
    @property
    def differing(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def failed(self) -> int: ...


def reconciled(found: _Comparison) -> None:
    """Count learners compared with their completions."""
    _add("reconciled_learners_total", found.compared - found.differing, result="same")
    _add("reconciled_learners_total", found.differing, result="differing")
    _add("reconciled_learners_total", found.waiting, result="waiting")
    _add("reconciled_learners_total", found.failed, result="failed")


# --- moving them ---------------------------------------------------------------------------------------------------


def _add(name: str, amount: int = 1, **labels: str) -> None:
    if amount > 0:
        _move(name, "inc", amount, **labels)


def _observe(name: str, value: float) -> None:
    _move(name, "observe", value)


def _move(name: str, how: Literal["inc", "observe", "set"], value: float, **labels: str) -> None:
    metric = _live(name, **labels)
    if metric is not None:
        # After a fork the library makes files of the new process: work is not to fail because it cannot be counted.
        with suppress(OSError):
            getattr(metric, how)(value)


def begin() -> bool:
    """Have every metric of this process there, at zero, before anything moves; return whether any can move."""
    return bool(_metrics())


@cache
def _live(name: str, **labels: str) -> Any:
    """Return what moves for these labels, or None where nothing does; looked up once."""
    metric = _metrics().get(name)
    if metric is None or not labels:
        return metric
    known = INSTRUMENTS[name].labels
    return metric.labels(*(labels[label] for label in known))


@cache
def _metrics() -> "Mapping[str, MetricWrapperBase]":
    """Return what counts in this process, registered once; nothing where the library is not installed or cannot."""
    try:
        return _registered()
    except ImportError:
        return {}
    except OSError as error:
        log.warning("nothing is counted: PROMETHEUS_MULTIPROC_DIR is no folder to write to: %s", error)
        return {}


def _registered() -> "Mapping[str, MetricWrapperBase]":
    import prometheus_client

    made: dict[str, MetricWrapperBase] = {}
    for name, each in INSTRUMENTS.items():
        if each.source == "database":
            continue
        args: tuple[str, str, list[str]] = (PREFIX + name, each.help, list(each.labels))
        if each.kind == "histogram":
            made[name] = prometheus_client.Histogram(*args, buckets=each.buckets)
        elif each.kind == "gauge":
            # Of several processes the newest tells: all gauges of processes are times.
            made[name] = prometheus_client.Gauge(*args, multiprocess_mode="max")
        else:
            made[name] = prometheus_client.Counter(*args)
        if each.labels:
            for values in product(*each.labels.values()):
                made[name].labels(*values)  # a series that is not there yet has no rate
    return made
