"""What lines say they are: name and source, with all that follows from them, worked out once for all alike."""

from collections.abc import Callable
from typing import Final

from completion_aggregator.tracking import catalogue, scrub
from completion_aggregator.tracking.actors import User
from completion_aggregator.tracking.catalogue import Entry
from completion_aggregator.tracking.families.url import kind_of
from completion_aggregator.tracking.groups import Groups
from completion_aggregator.tracking.paths import parted
from completion_aggregator.tracking.places import course_in

#: Characters of the longest that are remembered.
_LONGEST: Final = 1_000
#: Families whose payload says whom an event is about.
_ABOUT_SOMEBODY: Final = frozenset({"enrollment", "grouping", "progress"})

#: The columns that follow from what an event says it is.
COLUMNS: Final = ("name", "family", "source", "by_learner")

#: Name and source, as a line has them.
Written = tuple[str | None, str | None]


class Heading:
    """What an event says it is; ``number`` is the one of the columns that follow.

    ``name`` is as written, ``shown`` as it is stored; ``course`` the one that a name has that is an address, or "".
    ``low`` is the name in small if nobody knows it: a browser may send any, and somebody may be named there.
    """

    __slots__ = (
        *(
            "action",
            "by_learner",
            "course",
            "direct",
            "family",
            "is_about_somebody",
            "low",
            "name",
            "number",
            "shown",
            "source",
        ),
        "transform",
    )

    def __init__(self, name: str, source: str, entry: Entry) -> None:
        self.name, self.source = name, source
        # Keys are all alike there, and a path without them was met before.
        if name.startswith("/"):
            self.shown, self.low = kind_of(parted(name)[0]), ""
        else:
            is_known = name in catalogue.NAMES
            self.shown = name if is_known else scrub.clean(name, "")
            self.low = "" if is_known else name.lower()
        self.course = course_in(name)
        self.family, self.action, self.by_learner = entry.family, entry.action, entry.by_learner
        self.transform, self.direct = entry.transform, entry.direct
        self.is_about_somebody = entry.family in _ABOUT_SOMEBODY
        self.number = -1


class Headings(Groups):
    """The headings that were met lately."""

    __slots__ = ("_met",)

    def __init__(self) -> None:
        super().__init__()
        self._met: dict[Written, Heading] = {}

    @property
    def met(self) -> Callable[[Written], Heading | None]:
        """Return what finds a heading that was met before, with no call in between."""
        return self._met.get

    def forget(self) -> None:
        """Forget all headings."""
        super().forget()
        self._met.clear()

    def meet(self, written: Written) -> Heading:
        """Return a heading that was not met before."""
        name, source = written[0] or "", written[1] or ""
        found = self._made(name, source)
        if len(name) + len(source) <= _LONGEST:
            self._met[written] = found
        return found

    def without(self, heading: Heading, user: User) -> Heading:
        """Return the same heading without the name of the user."""
        return self._made(heading.name, heading.source, scrub.clean(heading.name, user.name))

    def _made(self, name: str, source: str, shown: str | None = None) -> Heading:
        found = Heading(name, source, catalogue.entry(name, source))
        found.shown = found.shown if shown is None else shown
        found.number = self.add((found.shown, found.family, source or None, found.by_learner), (name, source))
        return found
