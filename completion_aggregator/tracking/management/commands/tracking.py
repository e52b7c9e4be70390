"""Tracking logs to tables: ``tracking COMMAND --help`` explains each."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

_MISSING = "tracking needs libraries that are not installed ({}): pip install 'completion-aggregator[tracking]'"


class Command(BaseCommand):
    """Hand the command line to the tree in ``tracking/commands``."""

    help = "Turn tracking logs into tables: load, ask, look after the store"
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Let the tree parse the whole line: it has levels that Django's parser does not know."""
        django = CommandParser(add_help=False, allow_abbrev=False)
        for option in ("--settings", "--pythonpath"):  # Django has heeded them already
            django.add_argument(option)
        _, arguments = django.parse_known_args(argv[2:])
        sys.exit(self._run(" ".join([argv[0].rpartition("/")[2], argv[1]]), arguments))

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it as ``call_command("tracking", ...)`` does."""
        if self._run("tracking", [str(each) for each in args]):
            raise CommandError("it did not succeed")

    def add_arguments(self, parser: Any) -> None:
        """Take whatever comes."""
        parser.add_argument("args", nargs="*")

    def _run(self, program: str, arguments: list[str]) -> int:
        try:
            from completion_aggregator.tracking.commands import tree
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("completion_aggregator"):
                raise
            raise CommandError(_MISSING.format(error.name)) from error
        return tree.run(program, arguments, sys.stdout, sys.stderr)
