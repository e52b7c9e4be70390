"""What two converters of tracking logs to xAPI cost, on the events that we load: ``python tracking_peers.py WHO LOG``.

WHO is ``ralph`` (ralph-malph) or ``erb`` (edx-event-routing-backends, users from memory). Runs in an environment of the
converter's own, so nothing of ours is imported: tests/fakes alone lends the LMS that the latter asks for. The last line
printed is JSON: lines read, statements made, CPU seconds.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Convert the lines and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("who", choices=("ralph", "erb"))
    parser.add_argument("log", type=Path)
    parser.add_argument("--lines", type=int, default=20_000)
    options = parser.parse_args()
    with options.log.open("rb") as file:
        lines = [line.decode("utf-8", "replace") for line in islice(file, options.lines)]
    convert = {"ralph": ralph, "erb": erb}[options.who]
    statements = convert(lines[:200])  # imports and first uses are not counted
    started = time.process_time()
    statements = convert(lines)
    print(json.dumps({"lines": len(lines), "statements": statements, "cpu_s": time.process_time() - started}))


def ralph(lines: list[str]) -> int:
    """Convert as ``ralph convert -f edx -t xapi`` does, what it cannot convert left out."""
    from ralph.models.converter import Converter

    converter = Converter(platform_url="https://lms.example.org", uuid_namespace="ee241f8b-174f-5bdb-bae9-c09de5fe017f")
    found = converter.convert(iter(lines), ignore_errors=True, fail_on_unknown=False)
    return sum(1 for _ in found)


def erb(lines: list[str]) -> int:
    """Convert as ``transform_tracking_logs`` does, without sending anything."""
    transformer = _transformers()
    made = 0
    for event in _events(lines):
        try:
            statement = transformer(event).transform().to_json()
        except Exception:  # noqa: BLE001 (whatever their transformers raise is theirs)
            statement = ""
        made += bool(statement)
    return made


def _events(lines: list[str]) -> Iterator[dict[str, Any]]:
    from event_routing_backends.management.commands.helpers.event_log_parser import parse_json_event

    for line in lines:
        event = parse_json_event(line)
        if event:
            yield event


def _transformers() -> Any:
    import django
    from django.apps import apps
    from django.conf import settings

    if not apps.ready:
        sys.path.insert(0, str(ROOT))
        from tests.fakes import statements

        statements.stand_in_for_the_lms()
        settings.configure(
            INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "event_routing_backends"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            USE_TZ=True,
            LMS_ROOT_URL=statements.LMS_ROOT_URL,
            XAPI_AGENT_IFI_TYPE="external_id",
            RUNNING_WITH_TEST_SETTINGS=True,
        )
        django.setup()
        from event_routing_backends import helpers

        class User:
            def __init__(self, name: object) -> None:
                self.pk = abs(hash(name)) % 10**9

        helpers.get_user = User
    from event_routing_backends.processors.xapi.registry import XApiTransformersRegistry

    return XApiTransformersRegistry.get_transformer


if __name__ == "__main__":
    main()
