import gzip
import os
import re
import subprocess
import sys
from random import Random

import pytest
from completion.models import BlockCompletion
from django.core.management import call_command

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.platforms.standalone.demo import tracking_log
from completion_aggregator.platforms.standalone.models import Course
from completion_aggregator.tracking import api as tracking


def completions():
    columns = ("user__username", "context_key", "block_key", "block_type", "completion", "modified")
    return list(BlockCompletion.objects.order_by("user__username", "block_key").values_list(*columns))


def means():
    (course,) = Course.objects.all()
    return aggregation.course_summary(course.course_key, levels={"chapter"})


def run(folder, capsys, *options):
    call_command("demo", "--learners", "30", "--folder", str(folder), *options)
    return capsys.readouterr().out


@pytest.mark.django_db
def test_the_way_by_the_logs_comes_to_the_same(tmp_path, capsys):
    out = run(tmp_path, capsys, "--from-logs")
    by_logs, summary = completions(), means()
    assert len(by_logs) > 500
    status = tracking.status(tracking.store_in(tmp_path / "tracking"))
    assert (
        f"\nThe log: {status.sources} files, {status.lines:,} lines; {status.events:,} events, {status.copies} copies,"
        f" {status.quarantined} quarantined, {status.repaired} repaired.\n"
    ) in out
    assert min(status.copies, status.quarantined, status.repaired) > 0
    assert status.lines == status.events + status.copies + status.quarantined
    BlockCompletion.objects.all().delete()
    run(tmp_path, capsys)
    assert completions() == by_logs
    assert means() == summary


@pytest.mark.django_db
def test_once_more_changes_nothing(tmp_path, capsys):
    run(tmp_path, capsys, "--from-logs")
    before = completions()
    status = tracking.status(tracking.store_in(tmp_path / "tracking"))
    out = run(tmp_path, capsys, "--from-logs")
    assert "Completions: nothing new" in out
    assert completions() == before
    assert tracking.status(tracking.store_in(tmp_path / "tracking")) == status


@pytest.mark.django_db
def test_a_store_that_was_thrown_away_is_made_again(tmp_path, capsys):
    run(tmp_path, capsys, "--from-logs")
    before = completions()
    for folder in ("tracking", "tracking-private"):
        (tmp_path / folder).rename(tmp_path / f"old-{folder}")
    assert f"{len(before):,} unchanged" in run(tmp_path, capsys, "--from-logs")
    assert completions() == before


@pytest.mark.django_db
def test_logs_are_rotated_and_packed_as_real_ones_are(tmp_path, capsys):
    run(tmp_path, capsys, "--from-logs")
    files = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert all(name.startswith("tracking.log-2026") for name in files)
    assert [name.endswith(".gz") for name in files] == [True] * (len(files) - 7) + [False] * 7
    first = gzip.decompress((tmp_path / "logs" / files[0]).read_bytes())
    assert first.count(b"\n") > 1


def test_damage_spares_completions():
    lines = [f'{{"name": "{name}", "event": "{"x" * 40}"}}' for name in ("page_close", tracking_log.COMPLETED) * 20]
    for number in range(15):
        found = list(tracking_log.damaged(lines, Random(number), number))
        whole = [line for line in found if tracking_log.COMPLETED in line]
        assert len(found) == 41
        assert set(whole) == {lines[1]}
        assert len(whole) >= 20
    assert len(list(tracking_log.damaged(lines[1:2], Random(1), 0))) == 2


WITHOUT = """
import sys
for name in ("duckdb", "pyarrow", "msgspec", "isal", "fsspec"):
    sys.modules[name] = None
import django
django.setup()
from django.core.management import CommandError, call_command
for command in (["demo", "--from-logs"], ["follow_logs"]):
    try:
        call_command(*command)
    except CommandError as error:
        print(error)
"""


def test_without_the_extra_it_says_what_to_install(tmp_path):
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "test_settings"}
    done = subprocess.run([sys.executable, "-c", WITHOUT], env=environment, capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    said = r"tracking needs libraries that are not installed \(\w+\): pip install 'completion-aggregator\[tracking\]'"
    assert re.fullmatch(said, second)
    assert re.fullmatch(f'--from-logs: {said}; `make demo ARGS="--from-logs"` does so by itself', first)
