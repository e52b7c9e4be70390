"""Write the progress of a course's learners to a file."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.aggregation import records
from completion_aggregator.conf import block_types
from completion_aggregator.exceptions import UnknownCourse
from completion_aggregator.platforms.standalone import exports
from completion_aggregator.platforms.standalone.platform import StandalonePlatform

STDOUT = "-"
ALL = "all"


class Command(BaseCommand):
    """Write the progress of a course's learners to a file."""

    help = "Write the progress of a course's learners as CSV, NDJSON or Parquet, worked out now from their completions"

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the course, and what of it goes where."""
        parser.add_argument("course", help="the key of the course, such as course-v1:Org+Number+Run")
        parser.add_argument("--levels", default=ALL, help="block types with commas between them, or all (the default)")
        parser.add_argument("--format", choices=exports.FORMATS, help="default: what the name ends in, or csv")
        parser.add_argument("-o", "--output", default=STDOUT, metavar="FILE", help="default: -, standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the file."""
        key = _course(options["course"])
        levels = _levels(options["levels"])
        kind = options["format"] or _format_of(options["output"])
        rows = records.rows(str(key), aggregation.iter_progress(key, levels=levels))
        if options["output"] != STDOUT:
            count = _write(kind, rows, options["output"])
            self.stderr.write(f"{count:,} rows in {options['output']}")
        elif kind in exports.TEXT_FORMATS:
            exports.TEXT_FORMATS[kind](rows, self.stdout)  # type: ignore[arg-type]  # it has the one method needed
        else:
            raise CommandError(f"{kind} cannot be written to standard output: name a file with -o.")


def _write(kind: str, rows: Iterable[records.Row], output: str) -> int:
    try:
        return exports.write_file(kind, rows, Path(output))
    except OSError as error:
        raise CommandError(f"Cannot write {output}: {error.strerror}.") from error


def _course(text: str) -> CourseKey:
    try:
        key = CourseKey.from_string(text)
        StandalonePlatform().course_version(key)
    except InvalidKeyError as error:
        raise CommandError(f"{text} is no course key: expected one such as course-v1:Org+Number+Run.") from error
    except UnknownCourse as error:
        known = ", ".join(map(str, StandalonePlatform().course_keys())) or "none"
        raise CommandError(f"There is no course {text}. Courses: {known}.") from error
    return key


def _levels(text: str) -> Collection[str]:
    known = block_types()
    levels = known if text == ALL else frozenset(level.strip() for level in text.split(",") if level.strip())
    if not levels or levels - known:
        raise CommandError(f"--levels {text}: choose from {', '.join(sorted(known))}, or all.")
    return levels


def _format_of(output: str) -> str:
    ending = Path(output).suffix.removeprefix(".").lower()
    return ending if ending in exports.FORMATS else "csv"
