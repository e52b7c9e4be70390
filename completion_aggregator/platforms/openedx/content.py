"""Content of courses: what we have compiled and keep, and what of it the LMS has newer.

The version that we answer with is the content hash of the graph that we keep, so that all processes agree, and so that
a publish that changes nothing is none. Only the one process that compiles ever reads a block structure.
"""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from hashlib import blake2b
from secrets import token_hex
from threading import Lock
from time import monotonic, perf_counter, sleep
from typing import Any, Final, NamedTuple

from django.core.cache import cache
from django.db import DatabaseError
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator import instruments
from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.conf import PREFIX, setting
from completion_aggregator.course_graph.graph import CompletionMode, CourseGraph, compile_graph
from completion_aggregator.exceptions import CompletionAggregatorError, InvalidCourse, InvalidSetting, UnknownCourse
from completion_aggregator.platforms.openedx import lms
from completion_aggregator.platforms.openedx.extraction import Content, extract
from completion_aggregator.platforms.openedx.groups import SCHEMES
from completion_aggregator.spans import span

log = logging.getLogger(__name__)

#: The LMS collects a course by a task, some seconds after it is published; after so long, that task was lost.
LOST_AFTER: Final = timedelta(minutes=10)
#: Seconds for which a course whose content cannot be read is not read again, unless the LMS collects it anew.
REFUSED_FOR: Final = 300.0
#: Seconds to wait for another process that compiles the same course, and after which it is taken for dead.
WAIT: Final = 30.0
LEASE: Final = 600
_TRIES: Final = 3


class Collected(NamedTuple):
    """The LMS's name for what it has collected of a course: the edition, and how it was collected and is stored."""

    edition: str
    transformers: str = ""
    structure: str = ""

    def __str__(self) -> str:
        return "/".join(self)


class Published(NamedTuple):
    """The edition that learners are to see, and when anything of the course was last edited."""

    edition: str
    edited: datetime | None


def version(course_key: CourseKey) -> str:
    """Return the content hash of what is kept: one query. Raises UnknownCourse, or InvalidCourse where nothing is."""
    kept = aggregation.content_versions([course_key]).get(course_key)
    return graph(course_key)[0] if kept is None else kept.content_hash


def versions(course_keys: Collection[CourseKey]) -> dict[CourseKey, str]:
    """Return the same of each of these courses that has readable content: one query, where all were compiled."""
    kept = aggregation.content_versions(course_keys)
    missing = [key for key in course_keys if key not in kept]
    return {key: each.content_hash for key, each in kept.items()} | {
        key: each.content_hash for key, each in _compiled(missing).items()
    }


def graph(course_key: CourseKey) -> tuple[str, CourseGraph]:
    """Return what is kept with its version: one query. Raises UnknownCourse, or InvalidCourse where nothing is."""
    kept = aggregation.content_graphs([course_key]).get(course_key)
    instruments.graphs_looked_up("platform", hits=kept is not None, misses=kept is None)
    found = _first(course_key) if kept is None else kept
    return found.content_hash, found


def graphs(course_keys: Collection[CourseKey]) -> dict[CourseKey, tuple[str, CourseGraph]]:
    """Return the same of each of these courses that has readable content: one query, where all were compiled."""
    kept = aggregation.content_graphs(course_keys)
    instruments.graphs_looked_up("platform", hits=len(kept), misses=len(course_keys) - len(kept))
    found = kept | _compiled([key for key in course_keys if key not in kept])
    return {key: (each.content_hash, each) for key, each in found.items()}


def graded(course_key: CourseKey) -> frozenset[str] | None:
    """Return the blocks that count for the grade; None where nothing is collected, or not by the LMS's grades.

    Raises UnknownCourse or InvalidCourse.
    """
    if not course_key.is_course or course_key not in _collected(course_key):
        return None
    with _legible(course_key):
        structure = _structure(course_key)
        said = {str(key): structure.get_xblock_field(key, "graded") for key in structure.topological_traversal()}
    return frozenset(key for key, is_graded in said.items() if is_graded) if set(said.values()) != {None} else None


def outdated(course_key: CourseKey | None = None) -> list[CourseKey]:
    """Return the courses of which something newer was collected than is kept, or ought to have been: three queries.

    With *course_key*, this course if something newer was collected: one query, once this process knows what is kept.
    """
    if course_key is not None:
        return [course_key] if _has_newer(course_key) else []
    kept, collected, published, now = aggregation.content_versions(), _collected(), _published(), timezone.now()
    return [
        key
        for key, each in kept.items()
        if not _is_current(each.version, collected.get(key))
        or _is_lost(each.version, collected.get(key), published.get(key), now=now)
    ]


def renew(course_key: CourseKey) -> None:
    """Compile what the LMS has of the course, unless it is what we keep. Raises UnknownCourse or InvalidCourse.

    What is kept stays where that fails. One process at a time compiles a course; the others go on with what is kept
    until it has.
    """
    patience = WAIT if course_key not in aggregation.content_versions([course_key]) else 0.0
    with _alone(course_key, patience=patience) as alone:
        kept = aggregation.content_versions([course_key]).get(course_key)
        if kept is not None and not alone:
            return
        text = "" if kept is None else kept.version
        collected, published = _collected(course_key).get(course_key), _published(course_key).get(course_key)
        if _is_lost(text, collected, published, now=timezone.now()):
            _recollect(course_key)
            _compile(course_key, asked_for=published)
        elif not text or not _is_current(text, collected):
            _compile(course_key)


def aggregator_types() -> frozenset[str]:
    """Return the installed block types whose completion is that of their children, as the site wants them."""
    chosen = _modes()
    installed = {name for name, each in lms.block_classes() if getattr(each, "completion_mode", "") == "aggregator"}
    return frozenset(
        {name for name in installed if name not in chosen}
        | {name for name, mode in chosen.items() if mode is CompletionMode.AGGREGATOR}
    )


def forget() -> None:
    """Drop what this process remembers of courses: for tests."""
    with _refused_lock:
        _refused.clear()
    _names.clear()


# --- compiling -----------------------------------------------------------------------------------------------------


def _first(course_key: CourseKey) -> CourseGraph:
    """Compile a course of which nothing readable is kept. Raises UnknownCourse or InvalidCourse."""
    with _alone(course_key):
        kept = aggregation.content_graphs([course_key]).get(course_key)  # by another process, while we waited
        return _compile(course_key) if kept is None else kept


def _compiled(course_keys: Collection[CourseKey]) -> dict[CourseKey, CourseGraph]:
    found: dict[CourseKey, CourseGraph] = {}
    for course_key in course_keys:
        with suppress(UnknownCourse, InvalidCourse):
            found[course_key] = _first(course_key)
    return found


def _compile(course_key: CourseKey, *, asked_for: Published | None = None) -> CourseGraph:
    """Compile and keep what the LMS has collected. *asked_for*: what we had it collect."""
    start, before = perf_counter(), _collected(course_key).get(course_key)
    _check_refused(course_key, before)
    try:
        with span("compile", course=course_key), _legible(course_key):
            collected, content = _read(course_key, before)
            compiled = compile_graph(str(course_key), content.blocks, content.partitions)
    except InvalidCourse as error:
        with _refused_lock:
            _refused[course_key] = before, monotonic() + REFUSED_FOR, str(error)
        raise
    name = str(collected)
    if asked_for is not None and asked_for.edition != collected.edition:
        name += f" {asked_for.edition}"  # it would not: there is no use in asking again
    changed = aggregation.keep_content(course_key, name, compiled)
    seconds = perf_counter() - start
    log.info(
        "compiled course=%s version=%s blocks=%d changed=%s seconds=%.3f",
        course_key, name, len(compiled), changed, seconds,
    )  # fmt: skip
    instruments.graph_compiled(seconds)
    return compiled


@contextmanager
def _legible(course_key: CourseKey) -> Iterator[None]:
    """Take whatever goes wrong with the content of one course for a fault of that course. Raises InvalidCourse."""
    try:
        yield
    except (CompletionAggregatorError, DatabaseError):
        raise
    # The LMS runs the code of every block type and transformer there is to read a course, and loads what some of them
    # once pickled: no list of what they raise is complete, and one course must not stop the others.
    except Exception as error:
        raise InvalidCourse(
            f"The content of the course {course_key} cannot be read: {type(error).__name__}: {error}"
        ) from error


def _read(course_key: CourseKey, before: Collected | None) -> tuple[Collected, Content]:
    """Return what is collected under its own name: a collection in between must not lend it another's."""
    content = Content((), (), "")
    for _ in range(_TRIES):
        content = extract(_structure(course_key), banks=lms.bank_types(), modes=_modes())
        after = _collected(course_key).get(course_key)
        # Where nothing was collected before, what we read has just been, for us.
        if after is not None and before in (None, after) and content.edition in ("", after.edition):
            return after, content
        before = after
    # The LMS keeps no name, or gives new ones all the time: one that is nobody's is taken for outdated next time.
    return Collected(content.edition), content


def _structure(course_key: CourseKey) -> Any:
    lms.name_schemes(SCHEMES)
    try:
        return lms.collected_structure(course_key)
    except LookupError as error:
        raise UnknownCourse(str(error)) from error


def _recollect(course_key: CourseKey) -> None:
    log.warning("collecting course=%s: it was published, and the LMS has not done so", course_key)
    with _legible(course_key):
        try:
            lms.recollect(course_key)
        except LookupError as error:
            raise UnknownCourse(str(error)) from error


def _modes() -> Mapping[str, CompletionMode]:
    """Return what the setting says of block types. Raises InvalidSetting."""
    try:
        return {kind: CompletionMode(name) for kind, name in setting("COMPLETION_MODES").items()}
    except ValueError as error:
        allowed = ", ".join(CompletionMode)
        raise InvalidSetting(f"{PREFIX}COMPLETION_MODES: {error}; it can be one of {allowed}") from None


_refused: Final[dict[CourseKey, tuple[Collected | None, float, str]]] = {}
_refused_lock: Final = Lock()


def _check_refused(course_key: CourseKey, collected: Collected | None) -> None:
    """Raise at once what was raised before: many learners may ask for a course that cannot be read."""
    with _refused_lock:
        refused = _refused.get(course_key)
        if refused is not None and refused[0] == collected and monotonic() < refused[1]:
            raise InvalidCourse(refused[2])
        _refused.pop(course_key, None)


@contextmanager
def _alone(course_key: CourseKey, *, patience: float = WAIT) -> Iterator[bool]:
    """Have other processes wait that want to compile this course; yield whether none is at it, after *patience*.

    Raises UnknownCourse for what is no course.

    A lease, not a lock: nothing breaks if two compile at once, and a process that dies holds nobody up for long.
    """
    if not course_key.is_course:
        raise UnknownCourse(f"{course_key} is no course.")
    # Hashed: memcached takes neither long names nor every character of a course key.
    name = f"completion_aggregator.compile.{blake2b(str(course_key).encode(), digest_size=16).hexdigest()}"
    mine, deadline = token_hex(8), monotonic() + patience
    while not (alone := cache.add(name, mine, timeout=LEASE)) and monotonic() < deadline:
        sleep(0.1)
    try:
        yield alone
    finally:
        if cache.get(name) == mine:
            cache.delete(name)


# --- versions ------------------------------------------------------------------------------------------------------

#: By course, the LMS's name for what is kept, as this process last saw it.
_names: Final[dict[CourseKey, str]] = {}


def _has_newer(course_key: CourseKey) -> bool:
    collected = _collected(course_key).get(course_key)
    if course_key in _names and _is_current(_names[course_key], collected):
        return False
    kept = aggregation.content_versions([course_key]).get(course_key)
    if kept is None:
        return False  # whoever asks for the content has it compiled
    _names[course_key] = kept.version  # perhaps by another process
    return not _is_current(kept.version, collected)


def _is_current(kept: str, collected: Collected | None) -> bool:
    # Nothing collected: what we have may be all there is, as of a course that was deleted.
    return collected is None or kept.partition(" ")[0] == str(collected)


def _is_lost(kept: str, collected: Collected | None, published: Published | None, *, now: datetime) -> bool:
    """Return whether the LMS ought to have collected what is published long ago, and was not asked to already."""
    if published is None or published.edition == kept.partition(" ")[2]:
        return False
    edition = kept.partition("/")[0] if collected is None else collected.edition
    # Drafts count as edits too: while an author is at work, the time of the last publish cannot be told.
    recent = published.edited is not None and published.edited > now - LOST_AFTER
    return bool(edition) and published.edition != edition and not recent


def _collected(course_key: CourseKey | None = None) -> dict[CourseKey, Collected]:
    """Return what the LMS has collected of the course, or of all, in one query."""
    rows: Any = lms.model("block_structure", "BlockStructureModel")
    if rows is None:
        raise InvalidSetting(
            f"{PREFIX}PLATFORM is Open edX, but this process has no block structures: run it in the LMS."
        )
    found = rows.objects.all()
    if course_key is not None:
        found = found.filter(data_usage_key=lms.root_usage_key(course_key))
    names = ("data_usage_key", "data_version", "transformers_schema_version", "block_structure_schema_version")
    return {
        usage_key.course_key: Collected(*(str(each or "") for each in texts))
        for usage_key, *texts in found.values_list(*names)
    }


def _published(course_key: CourseKey | None = None) -> dict[CourseKey, Published]:
    """Return what is published of the course, or of all, in one query; nothing where the LMS does not tell."""
    rows: Any = lms.model("split_modulestore_django", "SplitModulestoreCourseIndex")
    if rows is None:
        return {}
    found = rows.objects.all() if course_key is None else rows.objects.filter(course_id=course_key)
    return {
        key: Published(str(edition), edited)
        for key, edition, edited in found.values_list("course_id", "published_version", "last_update")
        if edition
    }
