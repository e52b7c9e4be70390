"""Keep up with an LMS by its event bus."""

import logging
import os
import signal
from threading import Event
from types import FrameType
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as AnyDatabaseError
from django.db import connection
from django.utils.module_loading import import_string

from completion_aggregator.platforms.standalone.event_bus import configuration, retention
from completion_aggregator.platforms.standalone.event_bus.keepers import Keeper

CONSUMER_NAME: Final = "completion-aggregator"
#: Milliseconds after which a message that another consumer took, and did not handle, is ours.
ABANDONED: Final = 60_000
SECONDS_IN_A_DAY: Final = 86_400.0

log = logging.getLogger(__name__)


class Command(BaseCommand):
    """Keep up with an LMS by its event bus."""

    help = "Keep up with an LMS by its event bus: completions, enrollments, cohorts, roles. Runs until SIGTERM"

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what tells one process of many from the others."""
        parser.add_argument("--topic", help="read this one alone, here; else each of EVENT_BUS_TOPICS has a process")
        parser.add_argument(
            "--consumer-name",
            default=CONSUMER_NAME,
            metavar="NAME",
            help="unlike those of other machines that read the same bus for the same database; keep it when the process"
            " starts again (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Read until a signal asks to stop."""
        try:
            configuration.check()
        except configuration.EventBusNotReady as error:
            raise CommandError(str(error)) from error
        if options["topic"]:
            _consume(options["topic"], options["consumer_name"])
        else:
            self._keep(options["consumer_name"])

    def _keep(self, consumer_name: str) -> None:
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        keepers = [
            Keeper(f"consumer of {topic}", "consume_events", "--topic", topic, "--consumer-name", consumer_name)
            for topic in configuration.topics()
        ]
        self.stdout.write(f"Reading {', '.join(configuration.topics())} at {configuration.shown_url()}")
        self.stdout.flush()
        for each in keepers:
            each.start()
        _forget_old_rejects()
        while not stop.wait(SECONDS_IN_A_DAY):
            _forget_old_rejects()
        for each in keepers:
            each.stop()
        self.stdout.write("Stopped.")


def _forget_old_rejects() -> None:
    try:
        retention.forget_old()
    except AnyDatabaseError as error:
        log.warning("old rejected events are not deleted today: %s", error)
    finally:
        connection.close()


def _consume(topic: str, consumer_name: str) -> None:
    # Only now: it imports all that the LMS tells of.
    from openedx_events.tooling import load_all_signals

    from completion_aggregator.platforms.standalone.event_bus import receivers

    signal.signal(signal.SIGTERM, _end)
    load_all_signals()
    receivers.connect()
    consumer = import_string(getattr(settings, "EVENT_BUS_CONSUMER", configuration.CONSUMER))(
        topic=topic,
        group_id=configuration.group(),
        consumer_name=consumer_name,
        check_backlog=True,
        claim_msgs_older_than=ABANDONED,
    )
    consumer.forget_trimmed()
    _forget_old_rejects()
    consumer.consume_indefinitely()


def _end(number: int, frame: FrameType | None) -> None:
    # Not by an exception, on whose way out the library would acknowledge the message at hand: that comes again.
    os._exit(0)
