"""Run a command of the tree as a person at a terminal does."""

import io
import json

from completion_aggregator.tracking.commands import tree


def run(*words):
    """Return the exit status, what was printed, and what was said of errors."""
    out, err = io.StringIO(), io.StringIO()
    status = tree.run("tracking", [str(each) for each in words], out, err)
    return status, out.getvalue(), err.getvalue()


def run_json(*words):
    """Return the exit status and what was printed for machines."""
    status, out, _ = run(*words, "--json")
    return status, json.loads(out)
