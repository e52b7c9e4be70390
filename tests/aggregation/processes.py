"""Processes of their own against the test database: what a worker, a web process, a killed one is in real life."""

import multiprocessing
import os
from collections.abc import Mapping
from typing import Any, TypeAlias

from django.conf import settings as django_settings
from django.db import connection

from completion_aggregator.course_graph.graph import CourseGraph

_SPAWN = multiprocessing.get_context("spawn")
#: The settings that a test may have changed.
_OURS = "COMPLETION_AGGREGATOR_"
_started: list["Child"] = []


def end_all() -> None:
    """End what a test that failed has left: it would do the work that the next one looks at."""
    while _started:
        _started.pop().kill()


class Child:
    """A process that does *work*, the dotted path of a function, and hands back what it returns."""

    def __init__(self, work: str, *args: Any, graph: CourseGraph) -> None:
        ours, theirs = _SPAWN.Pipe()
        self._pipe = ours
        overrides = {
            name: getattr(django_settings, name)
            for name in dir(django_settings)
            if name.startswith(_OURS) and not name.endswith("_PLATFORM")
        }
        options = {"NAME": connection.settings_dict["NAME"], "OPTIONS": connection.settings_dict["OPTIONS"]}
        self.process = _SPAWN.Process(target=_main, args=(work, args, theirs, (graph.to_bytes(), options, overrides)))
        self.process.start()
        _started.append(self)
        theirs.close()

    def receive(self, patience: float = 60.0) -> Any:
        """Return the next thing the process says; fail if it dies or says nothing."""
        assert self._pipe.poll(patience), "the process says nothing"
        return self._pipe.recv()

    def say(self, word: str) -> None:
        self._pipe.send(word)

    def kill(self) -> None:
        """End it as kill -9 does: nothing of it runs any more."""
        self.process.kill()
        self.process.join()

    def join(self) -> None:
        self.process.join(60)
        assert self.process.exitcode == 0, f"the process ended with {self.process.exitcode}"


#: The course, the database, the settings.
_Surroundings: TypeAlias = tuple[bytes, Mapping[str, Any], Mapping[str, Any]]


def _main(work: str, args: tuple[Any, ...], pipe: Any, surroundings: _Surroundings) -> None:
    graph, options, overrides = surroundings
    os.environ["DJANGO_SETTINGS_MODULE"] = "test_settings"
    import django

    django.setup()
    from django.utils.module_loading import import_string

    for name, value in overrides.items():
        setattr(django_settings, name, value)
    django_settings.COMPLETION_AGGREGATOR_PLATFORM = "tests.fakes.platform.FakePlatform"
    connection.settings_dict.update(options)
    from completion_aggregator.ports import get_platform

    get_platform().publish(CourseGraph.from_bytes(graph))  # type: ignore[attr-defined]
    import_string(work)(pipe, *args)
    connection.close()
