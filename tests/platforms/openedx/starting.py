"""Start an LMS or a Studio in a process of its own, where some imports of ours are recorded, or fail.

As a program, ``python -m tests.platforms.openedx.starting '{"absent": ["orjson"], "uninstalled": []}'``, it prints what
came of it.
"""

import builtins
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[3]
OURS = "completion_aggregator"


def start(variant: str = "lms", *, absent: tuple[str, ...] = (), uninstalled: tuple[str, ...] = ()) -> dict[str, Any]:
    """Start it; *absent*: modules that we cannot import, *uninstalled*: apps of the LMS that are not there."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, json.dumps({"absent": absent, "uninstalled": uninstalled})],
        cwd=REPOSITORY,
        env={**os.environ, "TEST_LMS_VARIANT": variant, "DJANGO_SETTINGS_MODULE": "settings_under_test"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(absent: list[str], uninstalled: list[str]) -> dict[str, Any]:
    """Start Django, and return what we imported, what the checks say, and what is answered to nobody in particular."""
    imported = watch(absent)
    import test_settings_lms

    mine = types.ModuleType("settings_under_test")
    vars(mine).update({name: value for name, value in vars(test_settings_lms).items() if name.isupper()})
    vars(mine)["INSTALLED_APPS"] = [app for app in test_settings_lms.INSTALLED_APPS if app not in uninstalled]
    sys.modules["settings_under_test"] = mine

    import django

    django.setup()
    at_start = sorted(set(imported))

    from django.core.checks import run_checks
    from django.test import Client

    answer = Client().get("/completion-aggregator/v1/course/")
    return {
        "imported": at_start,
        "problems": [str(each) for each in run_checks() if each.is_serious()],
        "status": answer.status_code,
    }


def watch(absent: list[str]) -> list[str]:
    """Record each module that we import from now on, and fail to import those that are absent."""
    seen: list[str] = []

    def look(name: str, importer: str) -> None:
        if importer.partition(".")[0] == OURS:
            if any(name == each or name.startswith(f"{each}.") for each in absent):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            seen.append(name)

    do_import, by_name, find = builtins.__import__, importlib.import_module, importlib.util.find_spec

    def watched_import(name: str, given: Any = None, *rest: Any, **more: Any) -> Any:
        look(name, (given or {}).get("__name__", ""))
        return do_import(name, given, *rest, **more)

    def watched_import_module(name: str, *rest: Any, **more: Any) -> Any:
        look(name, sys._getframe(1).f_globals.get("__name__", ""))
        return by_name(name, *rest, **more)

    def watched_find(name: str, *rest: Any) -> Any:
        return None if name in absent else find(name, *rest)

    vars(builtins)["__import__"] = watched_import
    vars(importlib).update(import_module=watched_import_module)
    vars(importlib.util).update(find_spec=watched_find)
    return seen


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))  # noqa: T201 - for the process that started this one
