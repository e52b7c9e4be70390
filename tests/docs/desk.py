"""What a reader of the documentation has: a folder to work in, and the project installed."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DEMO_COURSE = REPOSITORY / "completion_aggregator" / "platforms" / "standalone" / "demo_course"
SECONDS = 300


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


def run(
    arguments: list[str], folder: Path, environment: Mapping[str, str], *, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program in *folder*, with *text* to read; what it says, errors too, is its output."""
    return subprocess.run(
        arguments,
        cwd=folder,
        env=environment,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
