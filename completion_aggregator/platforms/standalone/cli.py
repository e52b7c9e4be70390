"""The ``completion-aggregator`` command: Django's management commands with the settings of the standalone service."""

import os
import sys
from collections.abc import Sequence
from typing import Final

from completion_aggregator.exceptions import CompletionAggregatorError

SETTINGS: Final = "completion_aggregator.platforms.standalone.settings"

INTERRUPTED: Final = 130  # what a shell reports for SIGINT
BROKEN_PIPE: Final = 141  # and for SIGPIPE


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status; what goes wrong is said in a sentence, without a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", SETTINGS)
    sys.exit(_status_of(list(sys.argv if arguments is None else ["completion-aggregator", *arguments])))


def _status_of(argv: list[str]) -> int:
    try:
        _run(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _say("\nInterrupted. What was finished is stored; run the command again to go on.", INTERRUPTED)
    except BrokenPipeError:
        # Python flushes stdout once more at exit: give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (CompletionAggregatorError, OSError) as error:
        return _say(f"Error: {error}", 1)
    return 0


def _run(argv: list[str]) -> None:
    # Only now: importing Django is slow, and an interrupt during it must be clean too.
    import django
    from django.core.exceptions import ImproperlyConfigured

    try:
        _heed_settings_option(argv)
        django.setup()
    except ImproperlyConfigured as error:
        raise CompletionAggregatorError(str(error)) from error
    if len(argv) < 2 or argv[1:] in (["--help"], ["-h"], ["help"]):
        from completion_aggregator.platforms.standalone import overview

        print(overview.text())
    else:
        _execute(argv)


def _heed_settings_option(argv: list[str]) -> None:
    from django.core.management.base import CommandParser, handle_default_options

    parser = CommandParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--settings")
    parser.add_argument("--pythonpath")
    handle_default_options(parser.parse_known_args(argv[1:])[0])


def _execute(argv: list[str]) -> None:
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError

    from completion_aggregator.platforms.standalone import readiness

    try:
        if not {"--help", "-h"} & set(argv):
            readiness.prepare_database(argv[1])
        execute_from_command_line(argv)
    except DatabaseError as error:
        raise readiness.explain(error) from error


def _say(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
