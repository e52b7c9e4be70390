"""Course versions: the compiled content of a course, kept once per content."""

import logging
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.course_graph.graph import CourseGraph, compile_graph
from completion_aggregator.platforms.standalone.content import CourseContent, ImportReport
from completion_aggregator.platforms.standalone.models import Course, CourseVersion

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """The version that a course has after an import, and whether that is news."""

    course_key: str
    title: str
    number: int
    changed: bool


def compile_content(content: CourseContent) -> CourseGraph:
    """Compile what was read. Raises InvalidCourse."""
    return compile_graph(content.course_key, content.blocks, content.partitions)


def store_version(content: CourseContent, graph: CourseGraph) -> StoredVersion:
    """Make *graph* the course's current version; the same content again changes nothing.

    The change is noted in the same transaction, and the next run of the service looks at the learners: only once it is
    committed can nobody be missed who is refreshed meanwhile. However often a course is imported before that, it is
    looked at once.
    """
    key = CourseKey.from_string(content.course_key)
    with transaction.atomic():
        Course.objects.get_or_create(course_key=key)
        # Two imports of one course take turns, so that versions are numbered without a gap or a clash.
        course = Course.objects.select_for_update().get(course_key=key)
        version = _version(course, content, graph)
        changed = course.current_id != version.pk
        if changed:
            course.current, course.title = version, content.title[:255]
            course.save(update_fields=["current", "title"])
            aggregation.course_changed(key)
    log.info("imported course=%s version=%d blocks=%d changed=%s", key, version.number, len(graph), changed)
    return StoredVersion(content.course_key, content.title, version.number, changed)


def is_current(content: CourseContent, graph: CourseGraph) -> bool:
    """Say whether storing this would change nothing."""
    key = CourseKey.from_string(content.course_key)
    return Course.objects.filter(course_key=key, current__content_hash=graph.content_hash).exists()


def report_json(report: ImportReport) -> dict[str, Any]:
    """Return a report as JSON has it."""
    return {
        "block_counts": dict(report.block_counts),
        "unknown_types": dict(report.unknown_types),
        "skipped": dict(report.skipped),
        "problems": [{"file": each.file, "line": each.line, "message": each.message} for each in report.problems],
        "warnings": list(report.warnings),
    }


def _version(course: Course, content: CourseContent, graph: CourseGraph) -> CourseVersion:
    last = course.versions.aggregate(last=Max("number"))["last"] or 0
    graded = None if content.graded is None else sorted(content.graded)
    # An author may go back to an earlier content: that is the earlier version again.
    version, is_new = course.versions.get_or_create(
        content_hash=graph.content_hash,
        defaults={
            "number": last + 1,
            "graph": graph.to_bytes(),
            "report": report_json(content.report),
            "graded": graded,
        },
    )
    # What is graded counts for nothing here, so it makes no version; a file that does not say changes nothing.
    if not is_new and graded is not None and version.graded != graded:
        version.graded = graded
        version.save(update_fields=["graded"])
    return version
