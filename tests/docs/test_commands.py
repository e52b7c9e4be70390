import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.docs.pages import Fence, all_pages, fences, script

REPOSITORY = Path(__file__).parents[2]
DEMO_COURSE = REPOSITORY / "completion_aggregator" / "platforms" / "standalone" / "demo_course"
SECONDS = 300

FAILING = """
```console
$ false
$ touch reached
```
"""

PAGE = """
Text.

```console
$ one --option
what it prints
$ two \\
    --more
```

<!-- not run: it would never end -->
```console
$ three
```

<!-- file: a.csv -->
```text
username
```
"""


def test_a_page_is_read_as_its_blocks():
    assert list(fences(PAGE)) == [
        Fence("console", "", "$ one --option\nwhat it prints\n$ two \\\n    --more\n"),
        Fence("console", "not run: it would never end", "$ three\n"),
        Fence("text", "file: a.csv", "username\n"),
    ]


def test_commands_are_run_without_their_output_and_files_are_written():
    steps = script(PAGE).splitlines()
    assert "one --option" in steps
    assert "what it prints" not in steps
    assert "three" not in steps
    assert "' > a.csv" in steps


def test_a_page_without_commands_has_nothing_to_run():
    assert script("```text\n$ not a command\n```\n") == ""


def test_a_command_that_fails_fails_its_page(tmp_path):
    done = subprocess.run(["bash", "-c", script(FAILING)], cwd=tmp_path, check=False)
    assert done.returncode != 0
    assert not (tmp_path / "reached").exists()


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=page.name) for page in all_pages(REPOSITORY) if script(page.read_text())]
)
def test_every_command_of_the_documentation_runs(page, tmp_path, vendor):
    if vendor != "sqlite":
        pytest.skip("the commands are run once, in the run on SQLite")
    lay_out_desk(tmp_path)
    done = subprocess.run(
        ["bash", "-c", script(page.read_text())],
        cwd=tmp_path,
        env=surroundings(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]


def lay_out_desk(folder: Path) -> None:
    """Put into *folder* what a reader has: the checkout's Makefile, and a course of their own."""
    for name in ("Makefile", "scripts"):
        (folder / name).symlink_to(REPOSITORY / name)
    with tarfile.open(folder / "my-course.tar.gz", "w:gz") as archive:
        archive.add(DEMO_COURSE, arcname="course")


def surroundings(folder: Path) -> dict[str, str]:
    """Return the environment of a reader at home in *folder*, with the project installed where these tests run."""
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ}
    return kept | {
        "HOME": str(folder),
        "COMPLETION_AGGREGATOR_HOME": str(folder / "site"),
        "PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "VENV": sys.prefix,
        "VENV_READY": "1",
    }
