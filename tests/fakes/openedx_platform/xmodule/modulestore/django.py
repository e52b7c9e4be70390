"""The modulestore of this process, and the signals that it sends."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.dispatch import Signal

from xmodule.modulestore.in_memory import InMemoryModuleStore

log = logging.getLogger(__name__)

_STORE = InMemoryModuleStore()


class SwitchedSignal(Signal):
    """A signal that tests can switch off: then it reaches nobody."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._enabled = True

    def enable(self) -> None:
        """Let the signal through."""
        self._enabled = True

    def disable(self) -> None:
        """Keep the signal back."""
        self._enabled = False

    @contextmanager
    def for_state(self, is_enabled: bool) -> Iterator[None]:
        """Switch the signal for a while."""
        before, self._enabled = self._enabled, is_enabled
        try:
            yield
        finally:
            self._enabled = before

    def send(self, *args, **kwargs):
        """Send to all; the first error of a receiver ends it."""
        return super().send(*args, **kwargs) if self._enabled else []

    def send_robust(self, *args, **kwargs):
        """Send to all; what a receiver raises is an answer."""
        return super().send_robust(*args, **kwargs) if self._enabled else []

    def __repr__(self) -> str:
        return f"<SwitchedSignal {self.name}>"


COURSE_PUBLISHED = SwitchedSignal("course_published")
COURSE_DELETED = SwitchedSignal("course_deleted")
ITEM_DELETED = SwitchedSignal("item_deleted")
PRE_PUBLISH = SwitchedSignal("pre_publish")
LIBRARY_UPDATED = SwitchedSignal("library_updated")


class SignalHandler:
    """Sends the signals of a modulestore."""

    pre_publish = PRE_PUBLISH
    course_published = COURSE_PUBLISHED
    course_deleted = COURSE_DELETED
    library_updated = LIBRARY_UPDATED
    item_deleted = ITEM_DELETED

    _mapping = {
        each.name: each for each in (pre_publish, course_published, course_deleted, library_updated, item_deleted)
    }

    def __init__(self, modulestore_class: type) -> None:
        self.modulestore_class = modulestore_class

    @classmethod
    def all_signals(cls) -> list[SwitchedSignal]:
        """Return the five."""
        return list(cls._mapping.values())

    @classmethod
    def get_signal(cls, name: str) -> SwitchedSignal:
        """Return one by its name."""
        return cls._mapping[name]

    def send(self, name: str, **kwargs) -> None:
        """Send a signal. What a receiver raises is logged, and nobody else learns of it."""
        for receiver, response in self._mapping[name].send_robust(sender=self.modulestore_class, **kwargs):
            if isinstance(response, Exception):
                log.info("%s of %s raised %r", name, receiver, response)


def modulestore() -> InMemoryModuleStore:
    """Return the modulestore."""
    return _STORE
