"""A process whose clock is wrong: ``python -m tests.load.skewed SECONDS MODULE ARGUMENTS...``."""

import runpy
import sys
from datetime import datetime, timedelta


def main() -> None:
    # Before anything else has taken it from there.
    from django.utils import timezone

    _, seconds, module, *arguments = sys.argv
    right, wrong = timezone.now, timedelta(seconds=float(seconds))

    def now() -> datetime:
        return right() + wrong

    timezone.now = now
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
