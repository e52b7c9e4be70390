"""Show the whole product on a course with simulated learners."""

import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.platforms.standalone.content import read_course
from completion_aggregator.platforms.standalone.demo import classroom, report, tracking_log, work
from completion_aggregator.platforms.standalone.environment import parse_count
from completion_aggregator.platforms.standalone.models import Course
from completion_aggregator.platforms.standalone.platform import StandalonePlatform
from completion_aggregator.tracking import api as tracking

DEMO_COURSE: Final = Path(__file__).parents[2] / "demo_course" / "course"
SECTION: Final = "chapter"

NOTHING_OPEN: Final = """Nothing in this course was open to a learner on the last day of the simulated term.
To count what is still to come, set COMPLETION_AGGREGATOR_AGGREGATE_UNRELEASED_BLOCKS=true and run the demo again.
"""


class Command(BaseCommand):
    """Show the whole product on a course with simulated learners."""

    help = "Show everything at work on a course with a thousand simulated learners"

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the size of the class."""
        parser.add_argument("--course", type=Path, default=DEMO_COURSE, metavar="PATH", help="another course to import")
        parser.add_argument("--learners", type=parse_count, default=1000)
        parser.add_argument("--seed", type=int, default=1, help="another seed has other learners, who behave otherwise")
        parser.add_argument("--folder", type=Path, help="where the files go; default: demo in the site's folder")
        parser.add_argument(
            "--from-logs",
            action="store_true",
            help="by way of a tracking log, damaged as real ones are",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the commands that a user would, then print what they led to."""
        self._timings: list[report.Timing] = []
        if options["from_logs"]:
            _require_tracking()
        folder = options["folder"] or Path(settings.HOME) / "demo"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = CourseKey.from_string(read_course(options["course"]).course_key)
        self._command("Import the course", "import_course", options["course"])
        learners = self._enroll(key, folder, options["learners"], options["seed"])
        complete = self._complete_from_logs if options["from_logs"] else self._complete
        complete(key, folder, learners, options["seed"])
        waiting = len(learners) if aggregation.status().waiting else 0
        self._command("Bring progress up to date", "run_aggregator_service", count=waiting, unit="learners")
        self._summarize(key)
        self._suggest(key)

    def _enroll(self, key: CourseKey, folder: Path, learners: int, seed: int) -> dict[str, int]:
        file, names = folder / "enrollments.csv", classroom.usernames(seed, learners)
        classroom.write_enrollments(file, str(key), names, seed=seed)
        self._command("Enroll the learners", "import_enrollments", file, count=len(names), unit="learners")
        users = get_user_model()._default_manager.filter(username__startswith=f"demo{seed}_")
        ids = dict(users.values_list("username", "pk"))
        _, graph = StandalonePlatform().course_graph(key)
        enrolled = {name: ids[name] for name in names}
        classroom.place(Course.objects.get(course_key=key), graph, list(enrolled.values()), seed=seed)
        return enrolled

    def _complete(self, key: CourseKey, folder: Path, learners: dict[str, int], seed: int) -> None:
        file = folder / "completions.csv"
        started = time.perf_counter()
        count = work.write_completions(file, key, _term(key, learners, seed))
        self._timings.append(report.Timing("Simulate a term", time.perf_counter() - started, count, "completions"))
        self._command("Import their completions", "import_completions", file, count=count, unit="completions")
        if not count:
            self.stdout.write(NOTHING_OPEN)

    def _complete_from_logs(self, key: CourseKey, folder: Path, learners: dict[str, int], seed: int) -> None:
        logs, store = folder / "logs", folder / "tracking"
        started = time.perf_counter()
        count = tracking_log.write_logs(logs, key, _term(key, learners, seed), seed=seed)
        self._timings.append(report.Timing("Simulate a term", time.perf_counter() - started, count, "completions"))
        if not tracking.store_in(store).exists:
            self._command("Make a store", "tracking", "store", "init", "--store", store)
        started_with = tracking.status(tracking.store_in(store)).lines
        self._command("Load the tracking log", "tracking", "load", logs, "--workers", 1, "--store", store, unit="lines")
        status = tracking.status(tracking.store_in(store))
        self._timings[-1] = replace(self._timings[-1], count=status.lines - started_with)
        self._command("Take in the completions", "follow_logs", "--store", store, count=count, unit="completions")
        self.stdout.write(
            f"The log: {status.sources:,} files, {status.lines:,} lines; {status.events:,} events,"
            f" {status.copies:,} copies, {status.quarantined:,} quarantined, {status.repaired:,} repaired.\n\n"
        )
        if not count:
            self.stdout.write(NOTHING_OPEN)

    def _command(self, step: str, name: str, *arguments: object, count: int = 0, unit: str = "") -> None:
        self.stdout.write(f"$ completion-aggregator {shlex.join([name, *map(str, arguments)])}")
        self.stdout.flush()
        started = time.perf_counter()
        # The tree of tracking parses its own options: Django must leave them alone.
        marker = ("--",) if name == "tracking" else ()
        call_command(name, *marker, *map(str, arguments), stdout=self.stdout, stderr=self.stderr)
        self._timings.append(report.Timing(step, time.perf_counter() - started, count, unit))
        self.stdout.write("")

    def _summarize(self, key: CourseKey) -> None:
        started = time.perf_counter()
        summary = aggregation.course_summary(key, levels={SECTION})
        self._timings.append(report.Timing("Ask for the course summary", time.perf_counter() - started))
        self.stdout.write("\n".join(report.course_lines(summary, bar=self._bar())))
        self.stdout.write("")
        self.stdout.write("\n".join(report.timing_lines(self._timings)))

    def _bar(self) -> str:
        encoding = getattr(self.stdout, "encoding", None) or "ascii"
        try:
            "█".encode(encoding)
        except UnicodeEncodeError:
            return "#"
        return "█"

    def _suggest(self, key: CourseKey) -> None:
        course, program = shlex.quote(str(key)), _program()
        self.stdout.write(
            "\nWhat to try next\n"
            f"  {program} export_progress {course} --levels course,chapter -o progress.csv\n"
            f"  {program} import_course YOUR_EXPORT.tar.gz\n"
            f"  {program} createsuperuser && {program} serve\n"
            f"  {program} --help"
        )


def _term(key: CourseKey, learners: dict[str, int], seed: int) -> Iterator[work.Done]:
    _, graph = StandalonePlatform().course_graph(key)
    return work.done_by(key, graph, learners, seed=seed)


def _require_tracking() -> None:
    try:
        tracking.site_store()
    except tracking.NotInstalled as error:
        raise CommandError(f'--from-logs: {error}; `make demo ARGS="--from-logs"` does so by itself') from error


def _program() -> str:
    """Return how this program is called from here: by its name where that is enough."""
    name = "completion-aggregator"
    called = Path(sys.argv[0])
    if called.name != name or shutil.which(name):
        return name
    return str(called.relative_to(Path.cwd())) if called.is_relative_to(Path.cwd()) else str(called)
