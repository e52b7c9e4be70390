"""What is counted of our own work, and that it costs nothing where nobody counts."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

from prometheus_client import REGISTRY

from completion_aggregator import instruments
from completion_aggregator.instruments import INSTRUMENTS, PREFIX

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "reference" / "metrics.md"
written = runpy.run_path(str(REPOSITORY / "scripts" / "metrics_page.py"))["written"]

WITHOUT = """
import sys
sys.modules["prometheus_client"] = None
from completion_aggregator import instruments
instruments.retried("deadlock")
instruments.set_aside()
instruments.turned("completed", seconds=1.0)
print(instruments._metrics())
"""


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(PREFIX + name, labels) or 0.0


def test_names_say_what_they_are_and_in_which_unit():
    for name, each in INSTRUMENTS.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
        assert (each.kind == "counter") == name.endswith("_total")
        if each.kind == "histogram" or "age" in name.split("_"):
            assert name.endswith("_seconds")
        assert each.help[0].isupper() or each.help[0].isdigit()
        assert each.help.endswith(".")


def test_no_label_can_have_many_values():
    series = 0
    for each in INSTRUMENTS.values():
        count = 1
        for values in each.labels.values():
            assert len(set(values)) == len(values)
            count *= len(values)
        series += count * (len(each.buckets) + 3 if each.kind == "histogram" else 1)
    assert series < 150


def test_a_reason_that_nobody_named_is_another():
    before = value("retries_total", reason="other"), value("retries_total", reason="deadlock")
    instruments.retried("deadlock")
    instruments.retried("course-v1:Org+Course+Run of ana")
    after = value("retries_total", reason="other"), value("retries_total", reason="deadlock")
    assert after == (before[0] + 1, before[1] + 1)


def test_without_the_library_nothing_is_counted_and_nothing_fails():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert done.stdout == "{}\n"


def test_the_page_of_metrics_is_what_is_written_from_the_table():
    page = PAGE.read_text()
    assert page == written(page), "run `make metrics`"
