"""The REST requests, measured with the replaced package, in its own environment and with its own benchmark's data.

``PYTHON -P benchmarks/peer_rest.py load|WORK BENCHMARK DATABASE CHAPTERS LEARNERS [BODY]``: BENCHMARK is the folder of
``bench_peer.py``. Imports nothing of ours but the requests and how they are measured.
"""

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))  # the last place: its package has the name of ours

from benchmarks.requests import COURSES, measure, requests_of


def main() -> None:
    """Load the data, or measure one request."""
    work, folder, database, chapters, learners, *body = sys.argv[1:]
    sys.path.insert(0, folder)
    bench_peer = import_module("bench_peer")

    options = argparse.Namespace(
        db=database, chapters=int(chapters), learners=int(learners), enrolments=COURSES, extra_chapters=int(chapters)
    )
    if work == "load":
        bench_peer.load(options)
    else:
        bench_peer.setup(database)
    main_course, extra = bench_peer.courses_for(options)
    _install([main_course, *extra])
    if work == "load":
        _aggregate(bench_peer, options, [main_course, *extra])
    else:
        learner = bench_peer.ds.username(1)
        print(json.dumps(measure(requests_of(main_course.key, learner)[work], Path(*body))))


def _install(courses: list[Any]) -> None:
    """Give the package an LMS, as its own benchmark does, below the path of the LMS."""
    from django.conf import settings
    from django.urls import include, path
    from rest_framework.authentication import SessionAuthentication

    import_module("lms_stub.platform").install(courses)
    view = import_module("completion_aggregator.api.common").CompletionViewMixin
    view.get_authenticators = lambda view: [SessionAuthentication()]
    paginators = import_module("edx_rest_framework_extensions.paginators")
    view.pagination_class = paginators.NamespacedPageNumberPagination
    settings.ROOT_URLCONF = (path("completion-aggregator/", include("completion_aggregator.urls")),)


def _aggregate(bench_peer: Any, options: argparse.Namespace, courses: list[Any]) -> None:
    from completion_aggregator.models import Aggregator, StaleCompletion

    for course in courses:
        bench_peer.ensure_aggregated(options, course)
    StaleCompletion.objects.all().delete()
    bench_peer.emit(options, "aggregated", rows=Aggregator.objects.count())


if __name__ == "__main__":
    main()
