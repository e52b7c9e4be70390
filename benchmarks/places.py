"""Where the project is, and what it shares with other projects."""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SHARED: Final = Path(os.environ.get("COMPLETION_AGGREGATOR_SHARED") or ROOT.parent / "shared")


def shared(path: str) -> Path:
    """Return a file of the shared folder, or end with a message."""
    if not (SHARED / path).is_file():
        sys.exit(f"benchmarks need ../shared/{path} beside the project (or COMPLETION_AGGREGATOR_SHARED=folder)")
    return SHARED / path


def dataset() -> ModuleType:
    """Return the generator of courses and learners that both sides are measured with."""
    sys.path.append(str(shared("golden/dataset.py").parent))
    return importlib.import_module("dataset")
