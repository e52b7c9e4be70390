"""Compiled content of courses, kept for a platform that would have to work it out again in every process."""

from collections.abc import Collection
from contextlib import suppress
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import changes
from completion_aggregator.aggregation.models import CourseContent
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.exceptions import DamagedGraph


class ContentVersion(NamedTuple):
    """What is kept of a course: the platform's name for the content, and the hash of its graph."""

    version: str
    content_hash: str


def versions_of(course_keys: Collection[CourseKey] | None = None) -> dict[CourseKey, ContentVersion]:
    """Return what is kept of each of these courses, or of all, in one query and without the graphs."""
    rows = CourseContent.objects.all()
    if course_keys is not None:
        rows = rows.filter(course_key__in=course_keys)
    found = rows.values_list("course_key", "version", "content_hash")
    return {key: ContentVersion(version, content_hash) for key, version, content_hash in found if key is not None}


def graphs_of(course_keys: Collection[CourseKey]) -> dict[CourseKey, CourseGraph]:
    """Return the graph kept of each of these courses, in one query; none where the bytes are damaged."""
    graphs: dict[CourseKey, CourseGraph] = {}
    found = CourseContent.objects.filter(course_key__in=course_keys).values_list("course_key", "graph")
    for key, graph in found:
        with suppress(DamagedGraph):
            if key is not None:
                graphs[key] = CourseGraph.from_bytes(bytes(graph))
    return graphs


def keep(course_key: CourseKey, version: str, graph: CourseGraph) -> bool:
    """Keep *graph* as the content of the course; return whether that changed it.

    Where it did, the course is noted as changed in the same transaction.
    """
    values = {"version": version, "graph": graph.to_bytes(), "compiled_at": timezone.now()}
    with transaction.atomic():
        row, new = CourseContent.objects.select_for_update().get_or_create(
            course_key=course_key, defaults=values | {"content_hash": graph.content_hash}
        )
        changed = new or row.content_hash != graph.content_hash
        if not new:
            values |= {"content_hash": graph.content_hash}
            CourseContent.objects.filter(pk=row.pk).update(**values)
        if changed:
            changes.note(course_key)
    return changed
