"""What can be wrong with a dump; each message says where and what to do."""

from collections.abc import Iterable
from typing import Final

from completion_aggregator.tracking.errors import TrackingError

_SHOWN: Final = 200


class DamagedDump(TrackingError):
    """The file is no dump, or was cut or changed."""


class AbsentTable(TrackingError):
    """The source has no such table."""

    def __init__(self, where: str, absent: Iterable[str], there: Iterable[str]) -> None:
        self.absent, self.there = sorted(absent), sorted(there)
        super().__init__(f"{where} has no table {', '.join(self.absent)}; it has {listed(self.there)}")


class AbsentColumn(TrackingError):
    """The table has no such column."""

    def __init__(self, where: str, absent: Iterable[str], there: Iterable[str]) -> None:
        self.absent, self.there = sorted(absent), list(there)
        super().__init__(f"{where} has no column {', '.join(self.absent)}; it has {listed(self.there)}")


class AmbiguousTable(TrackingError):
    """Several databases of the dump have a table of this name."""


class UnusableTarget(TrackingError):
    """What was asked for cannot be written there."""


def listed(names: list[str]) -> str:
    """Return the names as a message holds them."""
    if not names:
        return "none at all: is it what mysqldump or mariadb-dump wrote?"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
