"""Work is seen as spans where OpenTelemetry is set up, and is not held up where it is not."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from completion_aggregator.aggregation import api
from completion_aggregator.json_lines import JsonLines
from completion_aggregator.spans import span
from completion_aggregator.tasks import refresh_course
from tests.aggregation.builders import KEY, complete, learner, small
from tests.aggregation.conftest import nothing_kept, platform

__all__ = ["nothing_kept", "platform"]

_EXPORTER = InMemorySpanExporter()

WITHOUT = """
import sys
import time
sys.modules["opentelemetry"] = None
from completion_aggregator import spans
with spans.span("batch", course="c") as span:
    span.tell(learners=1)
print(spans.current())
"""


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    """Keep spans in memory. A process has one provider for ever."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(_EXPORTER))
        trace.set_tracer_provider(provider)
    _EXPORTER.clear()
    yield _EXPORTER
    _EXPORTER.clear()


@pytest.mark.django_db
def test_a_batch_is_a_span_inside_that_of_its_course(platform, settings, exported):
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    key = small(platform)
    for name in ("ana-of-the-tests", "bo-of-the-tests"):
        complete(learner(platform, name), "a")
    api.refresh_course(key)
    batch, course = exported.get_finished_spans()
    assert (batch.name, course.name) == ("completion_aggregator.batch", "completion_aggregator.course")
    assert batch.parent is not None
    assert batch.parent.span_id == course.context.span_id
    assert dict(batch.attributes or {}) == {
        "completion_aggregator.course": str(KEY),
        "completion_aggregator.learners": 2,
        "completion_aggregator.written": 16,
        "completion_aggregator.removed": 0,
        "completion_aggregator.resolved": 2,
        "completion_aggregator.failed": 0,
    }
    assert "of-the-tests" not in str([each.to_json() for each in exported.get_finished_spans()])


def test_an_error_is_told_by_its_span(exported):
    with pytest.raises(ValueError, match="wrong"), span("batch"):
        raise ValueError("wrong")
    (found,) = exported.get_finished_spans()
    assert found.status.status_code.name == "ERROR"
    assert [event.name for event in found.events] == ["exception"]


def test_lines_of_the_log_say_to_which_trace_they_belong(exported):
    record = logging.LogRecord("ours", logging.INFO, __file__, 1, "told", (), None)
    assert "trace_id" not in json.loads(JsonLines().format(record))
    with span("batch"):
        line: dict[str, Any] = json.loads(JsonLines().format(record))
    (found,) = exported.get_finished_spans()
    assert int(line["trace_id"], 16) == found.context.trace_id
    assert int(line["span_id"], 16) == found.context.span_id


def test_without_the_library_nothing_is_recorded_and_nothing_fails():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert done.stdout == "{}\n"


@pytest.mark.django_db(transaction=True)
def test_a_task_belongs_to_the_trace_of_whoever_sent_it(platform, settings, exported):
    celery = pytest.importorskip("opentelemetry.instrumentation.celery", reason="needs the extra otel")
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    key = small(platform)
    complete(learner(platform, "ana-of-the-tests"), "a")
    app = Celery("of the tests", broker="memory://", set_as_current=False)
    app.conf.task_ignore_result = True
    instrumentor = celery.CeleryInstrumentor()
    instrumentor.instrument()
    try:
        with start_worker(app, perform_ping_check=False, pool="solo"), span("whoever sends it"):
            app.tasks[refresh_course.name].apply_async((str(key),))
            until = time.monotonic() + 30
            while "completion_aggregator.course" not in {each.name for each in exported.get_finished_spans()}:
                assert time.monotonic() < until, exported.get_finished_spans()
                time.sleep(0.05)
    finally:
        instrumentor.uninstrument()
    found = exported.get_finished_spans()
    assert {"completion_aggregator.batch", "completion_aggregator.course"} <= {each.name for each in found}
    assert len({each.context.trace_id for each in found}) == 1
