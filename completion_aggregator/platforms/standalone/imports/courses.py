"""The courses that a file names, each looked up once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.platforms.standalone.models import Course

REMEMBERED: Final = 50_000
OLD_KEY: Final = "i4x://"
LONGEST_KEY: Final = 255
LONGEST_TYPE: Final = 64

Value = TypeVar("Value")


class UnfitRow(CompletionAggregatorError):
    """A row cannot be imported; the message is the reason, without the row's own values."""


class _Unfit(str):
    """A remembered reason: one exception raised again and again would gather a traceback for each row."""

    __slots__ = ()


@dataclass(slots=True)
class ImportedCourse:
    """A course as the imports need it. ``types``: the block types of the current version, by block key."""

    id: int
    key: CourseKey
    text: str
    types: Mapping[str, str]
    _others: dict[str, str] = field(default_factory=dict)

    def block_type(self, block_key: str) -> str:
        """Return the type of a block; of one that the course does not have (any more), the one its key says.

        Raises UnfitRow.
        """
        found = self.types.get(block_key) or self._others.get(block_key)
        if found is None:
            found = _remember(self._others, block_key, self._read_key(block_key))
        if isinstance(found, _Unfit):
            raise UnfitRow(found)
        return found

    def _read_key(self, block_key: str) -> str:
        try:
            return type_in_key(block_key, self.key)
        except UnfitRow as unfit:
            return _Unfit(str(unfit))


def type_in_key(block_key: str, course_key: CourseKey) -> str:
    """Return the type that the key of a block of this course says. Raises UnfitRow."""
    try:
        key = UsageKey.from_string(block_key)
    except InvalidKeyError as error:
        raise UnfitRow("not a block key") from error
    if block_key.startswith(OLD_KEY):
        # Keys of old courses say no run: the course does.
        if not block_key.startswith(f"{OLD_KEY}{course_key.org}/{course_key.course}/"):
            raise UnfitRow("the block is of another course")
        return str(key.block_type)
    if getattr(key, "run", "") is None or key.course_key != course_key:
        raise UnfitRow("the block is of another course")
    if str(key) != block_key or len(block_key) > LONGEST_KEY or len(key.block_type) > LONGEST_TYPE:
        raise UnfitRow("not a block key")
    return str(key.block_type)


class Courses:
    """Courses by the text of their key; what is no course is remembered too."""

    def __init__(self) -> None:
        self._known: dict[str, ImportedCourse | _Unfit] = {}

    def get(self, text: str) -> ImportedCourse:
        """Return the course. Raises UnfitRow."""
        found = self._known.get(text)
        if found is None:
            found = _remember(self._known, text, _look_up(text))
        if isinstance(found, _Unfit):
            raise UnfitRow(found)
        return found


def _look_up(text: str) -> ImportedCourse | _Unfit:
    try:
        key = CourseKey.from_string(text)
    except InvalidKeyError:
        return _Unfit("not a course key")
    course = Course.objects.filter(course_key=key).select_related("current").first()
    if course is None or course.current is None:
        return _Unfit("unknown course: import_course comes first")
    graph = CourseGraph.from_bytes(bytes(course.current.graph))
    return ImportedCourse(id=course.pk, key=key, text=str(key), types=dict(zip(graph.keys, graph.types, strict=True)))


def _remember(memory: dict[str, Value], text: str, value: Value) -> Value:
    if len(memory) >= REMEMBERED:
        memory.clear()
    memory[text] = value
    return value
