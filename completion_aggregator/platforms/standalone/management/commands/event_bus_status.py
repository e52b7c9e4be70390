"""Say how far behind the event bus we are, and what it brought that could not be taken."""

import json
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count

from completion_aggregator.platforms.standalone.event_bus import configuration
from completion_aggregator.platforms.standalone.models import Course, LmsUser, RejectedEvent

MESSAGES_PER_READ: Final = 10_000


class Command(BaseCommand):
    """Say how far behind the event bus we are, and what it brought that could not be taken."""

    help = "Say how far behind the event bus we are, and what it brought that could not be taken"

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the format."""
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask the bus and the database."""
        try:
            configuration.check()
            status = {"topics": {topic: _position(topic) for topic in configuration.topics()}} | _stored()
        except configuration.EventBusNotReady as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(status))
            return
        for topic, position in status["topics"].items():
            figures = ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in position.items())
            self.stdout.write(f"{topic}: {figures}")
        for reason, count in status["rejected"].items():
            self.stdout.write(f"rejected {count:,}: {reason}")
        for key in status["courses_to_import"]:
            self.stdout.write(f"course without content, import it: {key}")
        self.stdout.write(
            f"{status['accounts']:,} accounts of the LMS, {status['nameless']:,} of them without a name yet"
        )


def _position(topic: str) -> dict[str, int]:
    """Return how many events of a topic wait for us, were taken and not handled, and are kept in all."""
    import redis

    key = configuration.full_topic(topic)
    client = redis.Redis.from_url(configuration.url())
    try:
        if not client.exists(key):
            return {"waiting": 0, "at_hand": 0, "kept": 0}
        groups: list[dict[str, Any]] = client.xinfo_groups(key)
        ours = next((each for each in groups if each["name"].decode() == configuration.group()), None)
        after = ours["last-delivered-id"].decode() if ours else "0-0"
        kept = int(client.xlen(key))
        # The server does not always know how many are left; then they are counted.
        lag = ours.get("lag") if ours else None
        waiting = lag if lag is not None and lag <= kept else _count_behind(client, key, after)
        return {"waiting": waiting, "at_hand": ours["pending"] if ours else 0, "kept": kept}
    except redis.RedisError as error:
        raise configuration.EventBusNotReady(f"Cannot read {configuration.shown_url()}: {error}") from error
    finally:
        client.close()


def _count_behind(client: Any, key: str, after: str) -> int:
    count = 0
    while found := client.xrange(key, min=f"({after}", count=MESSAGES_PER_READ):
        count += len(found)
        after = found[-1][0].decode()
    return count


def _stored() -> dict[str, Any]:
    rejected = RejectedEvent.objects.values_list("reason").annotate(count=Count("pk")).order_by("-count", "reason")
    without = Course.objects.filter(current__isnull=True).order_by("course_key")
    return {
        "rejected": dict(rejected),
        "courses_to_import": [str(each.course_key) for each in without],
        "accounts": LmsUser.objects.count(),
        "nameless": LmsUser.objects.filter(named_at__isnull=True).count(),
    }
