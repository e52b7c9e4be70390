"""Where events happen: course, organization, path and page, worked out once for all events of a place."""

import re
from collections.abc import Callable
from sys import intern
from typing import Final

from completion_aggregator.tracking import scrub
from completion_aggregator.tracking.actors import User
from completion_aggregator.tracking.families.url import is_of_platform
from completion_aggregator.tracking.groups import Groups
from completion_aggregator.tracking.paths import ANY_KEY, parted

#: Characters of the longest that are remembered.
_LONGEST: Final = 2_000
_COURSE: Final = re.compile(r"/courses/(course-v1:[^/?#+]+\+[^/?#+]+\+[^/?#+]+|[^/?#+]+/[^/?#+]+/[^/?#+]+)(?:[/?#]|$)")

#: The columns that follow from where an event happened.
COLUMNS: Final = ("course", "org", "path", "page")

#: Course, organization, path and page, as a line has them.
Written = tuple[str | None, str | None, str | None, str | None]


class Place:
    """Where events happened; ``number`` is the one of the columns that follow. ``course`` is "" outside one.

    ``low`` is what the addresses say, in small, if somebody may be named there: what is of the platform names nobody.
    """

    __slots__ = ("course", "low", "number", "written")

    def __init__(self, written: Written, course: str, low: str, number: int) -> None:
        self.written, self.course, self.low, self.number = written, course, low, number


class Places(Groups):
    """The places that were met lately."""

    __slots__ = ("_addresses", "_met", "_moved", "_patterns")

    def __init__(self) -> None:
        super().__init__()
        self._met: dict[Written, Place] = {}
        self._moved: dict[tuple[Place, str], Place] = {}
        self._addresses: dict[str, tuple[str, str]] = {}
        self._patterns: dict[str, _Pattern] = {}

    @property
    def met(self) -> Callable[[Written], Place | None]:
        """Return what finds a place that was met before, with no call in between."""
        return self._met.get

    def forget(self) -> None:
        """Forget all places."""
        super().forget()
        for memory in (self._met, self._moved, self._addresses, self._patterns):
            memory.clear()

    def meet(self, written: Written) -> Place:
        """Return a place that was not met before."""
        path, page = written[2:]
        course = written[0] or course_in(path) or course_in(page)
        (told_path, low_path), (told_page, low_page) = self._told(path), self._told(page)
        low = f"{low_path}\0{low_page}" if low_path or low_page else ""
        found = self._made(written, course, told_path, told_page, low)
        if sum([len(each) for each in written if each]) <= _LONGEST:
            # Looking a place up compares texts: those that many have are to be the same, and in the cache.
            key = [intern(each) if each else each for each in written]
            self._met[key[0], key[1], key[2], key[3]] = found
        return found

    def moved(self, place: Place, course: str) -> Place:
        """Return the same place in a course that only the event itself names."""
        found = self._moved.get((place, course))
        if found is None:
            _, _, path, page = self.rows[place.number]
            found = self._moved[place, course] = self._made(place.written, course, path, page, place.low)
        return found

    def without(self, place: Place, user: User) -> Place:
        """Return the same place without the name of the user in its addresses."""
        path, page = (self.address(each, user) if each else None for each in place.written[2:])
        return self._made(place.written, place.course, path, page, "")

    def address(self, address: str, user: User) -> str:
        """Return an address as it may be kept, without the name of the user."""
        told, low = self._known(address)
        if low:
            for each in user.lows:
                if each in low:
                    return scrub.address(address, user.name)
        return told

    def _made(self, written: Written, course: str, path: str | None, page: str | None, low: str) -> Place:
        return Place(written, course, low, self.add((course or None, written[1] or None, path, page), written))

    def _told(self, address: str | None) -> tuple[str | None, str]:
        return self._known(address) if address else (None, "")

    def _known(self, address: str) -> tuple[str, str]:
        found = self._addresses.get(address)
        if found is None:
            found = self._filled(address)
            if len(address) <= _LONGEST:
                self._characters += len(address)
                self._addresses[address] = found
        return found

    def _filled(self, address: str) -> tuple[str, str]:
        """Return what is kept of an address, by what is kept of all that differ from it in keys of content alone."""
        written, keys = parted(address.partition("?")[0])
        pattern = self._patterns.get(written)
        if pattern is None:
            pattern = _Pattern(written)
            if len(written) <= _LONGEST:
                self._patterns[written] = pattern
        if len(pattern.between) != len(keys) + 1 or len(address) > _LONGEST:
            told = scrub.address(address, "")
            return told, "" if is_of_platform(told) else told.lower()
        told = "".join([part for pair in zip(pattern.between, (*keys, ""), strict=True) for part in pair])
        return told, "" if pattern.is_of_platform else told.lower()


class _Pattern:
    """An address with the same key for all that it holds: what is kept of it before, between and behind them."""

    __slots__ = ("between", "is_of_platform")

    def __init__(self, written: str) -> None:
        told = scrub.address(written, "")
        self.is_of_platform = is_of_platform(told)
        kept, keys = ANY_KEY.split(told), ANY_KEY.findall(written)
        # A key that is not kept makes all of it an address like no other.
        self.between = kept[::2] if kept[1::2] == keys else []


def course_in(address: str | None) -> str:
    """Return the course that an address names, or ""."""
    if address and "/courses/" in address:
        found = _COURSE.search(address)
        return found[1] if found else ""
    return ""
