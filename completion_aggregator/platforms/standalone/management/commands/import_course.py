"""Read courses from OLX exports or Course Blocks files."""

import json
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from completion_aggregator.exceptions import InvalidCourse
from completion_aggregator.platforms.standalone import courses
from completion_aggregator.platforms.standalone.content import CourseContent, ImportReport, read_course
from completion_aggregator.platforms.standalone.courses import StoredVersion

SHOWN = 20


class Command(BaseCommand):
    """Read courses from OLX exports or Course Blocks files."""

    help = "Read courses from OLX exports (.tar.gz or folder) or Course Blocks JSON"

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the paths."""
        parser.add_argument("paths", nargs="+", metavar="PATH", help="an OLX export, packed or not, or a JSON file")
        parser.add_argument("--dry-run", action="store_true", help="read and report, store nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object per path")
        parser.add_argument(
            "--strict",
            action="store_true",
            help="store no course that has problems, and exit with 1; without it what could be read is stored",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Import each path; one that fails does not keep the others out."""
        failed = 0
        for path in options["paths"]:
            try:
                content = read_course(path)
                if options["strict"]:
                    _refuse_problems(content.report)
                stored = self._store(content, dry_run=options["dry_run"])
            except (InvalidCourse, OSError) as error:
                failed += 1
                self._fail(path, str(error), as_json=options["json"])
                continue
            self._tell(path, content, stored, options)
        if failed:
            raise CommandError(f"{failed} of {len(options['paths'])} could not be imported.")

    def _store(self, content: CourseContent, *, dry_run: bool) -> StoredVersion:
        graph = courses.compile_content(content)
        if not dry_run:
            return courses.store_version(content, graph)
        changed = not courses.is_current(content, graph)
        return StoredVersion(content.course_key, content.title, number=0, changed=changed)

    def _fail(self, path: str, message: str, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"path": path, "error": message}))
        self.stderr.write(message if path in message else f"{path}: {message}")

    def _tell(self, path: str, content: CourseContent, stored: StoredVersion, options: Mapping[str, Any]) -> None:
        report = content.report
        if report.problems:
            self.stderr.write(f"{path}: {_problems(report)}: parts were left out or read otherwise (see --strict)")
        if options["json"]:
            figures = {"path": path, "course": stored.course_key, "title": stored.title, "version": stored.number}
            figures |= {"changed": stored.changed, "dry_run": options["dry_run"]}
            self.stdout.write(json.dumps(figures | courses.report_json(report)))
            return
        self.stdout.write(f"{stored.course_key}  {stored.title}")
        self.stdout.write(f"  {_outcome(stored, dry_run=options['dry_run'])}")
        for line in report_lines(report):
            self.stdout.write(f"  {line}")


def _refuse_problems(report: ImportReport) -> None:
    if report.problems:
        listed = "\n".join(f"  {line}" for line in _problem_lines(report))
        raise InvalidCourse(f"{_problems(report)}, so with --strict it is not stored\n{listed}")


def _problems(report: ImportReport) -> str:
    count = len(report.problems)
    return "1 problem" if count == 1 else f"{count:,} problems"


def report_lines(report: ImportReport) -> list[str]:
    """Return what a person should know about what was read."""
    lines = [f"{sum(report.block_counts.values()):,} blocks: {_counts(report.block_counts)}"]
    if report.unknown_types:
        lines.append(f"unknown types, not counted: {_counts(report.unknown_types)}")
        lines.append("  COMPLETION_AGGREGATOR_COMPLETION_MODES gives them a mode; then import again")
    lines += _some("skipped", [f"{name}: {reason}" for name, reason in report.skipped.items()])
    lines += _problem_lines(report)
    lines += _some("note", list(report.warnings))
    return lines


def _problem_lines(report: ImportReport) -> list[str]:
    return _some("problem", [str(problem) for problem in report.problems])


def _outcome(stored: StoredVersion, *, dry_run: bool) -> str:
    if dry_run:
        return "would be a new version" if stored.changed else "nothing would change"
    if not stored.changed:
        return f"nothing changed: this is version {stored.number}"
    if stored.number == 1:
        return "version 1"
    return f"version {stored.number}; run_aggregator_service brings its learners up to date"


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{count:,} {kind}" for kind, count in ordered)


def _some(title: str, items: list[str]) -> list[str]:
    lines = [f"{title}: {item}" for item in items[:SHOWN]]
    return lines + ([f"{title}: {len(items) - SHOWN:,} more (--json lists all)"] if len(items) > SHOWN else [])
