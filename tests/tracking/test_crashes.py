"""Whatever ends a load: the next one goes on, and all is there once."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from completion_aggregator.tracking.errors import DamagedStore, StoreInUse
from completion_aggregator.tracking.parts import INCOMING
from tests.tracking.builders import (
    LOG,
    contents_of,
    line,
    lines,
    load,
    new_store,
    packed,
    put,
    rows,
    strays,
    totals,
    waiting,
)

LOADER = Path(__file__).with_name("crashing.py")
REPOSITORY = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY)}


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Return four logs that overlap, one of them packed, with lines of all kinds."""
    folder = tmp_path_factory.mktemp("logs")
    odd = [b"no event", line(1)[:200], b"", line(7) + line(8), line(3, time="never")]
    for number in range(4):
        content = [odd[n // 9 % 5] if n % 9 == 0 else line(n) for n in range(150 * number, 150 * number + 200)]
        data = b"\n".join(content) + b"\n"
        name = f"tracking.log-2024020{number + 1}"
        put(folder / (f"{name}.gz" if number == 2 else name), packed(data) if number == 2 else data)
    return folder


@pytest.fixture(scope="module")
def whole(logs, tmp_path_factory):
    """Return what an uninterrupted load makes of them."""
    store = new_store(tmp_path_factory.mktemp("whole"))
    load(store, logs)
    return contents_of(store), totals(store)


def started(store, *paths, point="", times=1, workers=1, load_bytes=30_000, **given):
    command = [sys.executable, LOADER, store.folder, point, times, workers, load_bytes, *paths]
    pipe = subprocess.PIPE
    return subprocess.Popen([*map(str, command)], stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT, **given)


def ended(process):
    with process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def killed(store, *paths, **given):
    status, _, err = ended(started(store, *paths, **given))
    assert (status, err) == (-signal.SIGKILL, "")


def goes_on(store, logs, whole):
    """A load that follows comes to what an uninterrupted one does, and leaves nothing lying about."""
    known = totals(store)
    load(store, logs)
    assert contents_of(store) == whole[0]
    assert totals(store) == whole[1]
    assert (strays(store), waiting(store)) == ([], [])
    return known


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("point", ["parts written", "parts moved", "ledger committed"])
def test_a_load_that_is_killed_at_a_point_is_gone_on_with(store, logs, whole, point, times):
    killed(store, logs, point=point, times=times)
    loads = times if point == "ledger committed" else times - 1
    with store.reading() as ledger:
        assert ledger.next_load() == loads + 1
    assert bool(strays(store)) == (point != "ledger committed")
    goes_on(store, logs, whole)


def test_one_load_after_the_other_may_be_killed(store, logs, whole):
    for point in ("parts moved", "ledger committed", "parts written", "ledger committed"):
        killed(store, logs, point=point, times=2, load_bytes=15_000)
    assert goes_on(store, logs, whole)["lines"] > 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_load_that_is_killed_at_any_time_is_gone_on_with(store, logs, whole, workers):
    chance = random.Random(workers)
    for _ in range(4):
        process = started(store, logs, workers=workers, load_bytes=15_000, start_new_session=True)
        process.stdout.readline()
        time.sleep(chance.uniform(0, 0.4 if workers == 1 else 2.2))
        process.kill()
        ended(process)
    goes_on(store, logs, whole)


def children_of(pid):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            command = path.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == pid and b"resource_tracker" not in command and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def until(claim, seconds=20):
    ends = time.monotonic() + seconds
    while not (found := claim()):
        assert time.monotonic() < ends, "it never came to that"
        time.sleep(0.02)
    return found


@pytest.fixture
def slow_logs(tmp_path):
    """Return logs that two processes are busy with for some seconds."""
    for number in range(4):
        put(tmp_path / "slow" / f"{number}.log", lines(15_000, first=15_000 * number) * 3)
    return tmp_path / "slow"


def is_loading(store):
    return any((store.folder / INCOMING).glob("*"))


@pytest.fixture
def busy_logs(tmp_path):
    """Return logs that take many loads."""
    for number in range(4):
        put(tmp_path / "busy" / f"{number}.log", lines(5_000, first=5_000 * number))
    return tmp_path / "busy"


def test_a_worker_that_is_killed_ends_the_run_with_a_message(store, busy_logs):
    process = started(store, busy_logs, workers=2)
    workers = until(lambda: (found := children_of(process.pid))[1:] and found)
    until(lambda: is_loading(store))
    os.kill(workers[0], signal.SIGKILL)
    status, _, err = ended(process)
    assert status == 1
    assert "LoadFailed: a process that read logs died" in err
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    load(store, busy_logs)
    assert (totals(store)["events"], totals(store)["copies"], strays(store)) == (20_000, 0, [])


def test_workers_end_when_nobody_commits_any_more(store, busy_logs):
    process = started(store, busy_logs, workers=2)
    workers = until(lambda: (found := children_of(process.pid))[1:] and found)
    until(lambda: is_loading(store))
    process.kill()
    _, _, err = ended(process)
    assert err == ""
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


@pytest.mark.parametrize("when", ["at once", "while it loads"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupt_ends_a_load_with_a_message_and_130(store, slow_logs, workers, when):
    command = [
        Path(sys.executable).with_name("completion-aggregator"),
        "tracking",
        "load",
        slow_logs,
        "--workers",
        workers,
    ]
    process = subprocess.Popen(
        [*map(str, command), "--store", str(store.folder), "--settings", "test_settings"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        start_new_session=True,
    )
    until((store.folder / "lock").exists)
    if when == "while it loads":
        until(lambda: is_loading(store))
    os.killpg(process.pid, signal.SIGINT)
    status, out, err = ended(process)
    assert (status, out, err) == (
        130,
        "",
        "\nInterrupted. What was finished is stored; run the command again to go on.\n",
    )


def test_a_second_writer_is_told_who_writes(store, logs):
    with store.writing():
        status, _, err = ended(started(store, logs))
    assert status == 1
    assert f"StoreInUse: {store.folder} is being written by process {os.getpid()}: " in err
    with store.writing(), pytest.raises(StoreInUse), store.writing():
        pass
    load(store, logs)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_ends_a_load_with_a_message_and_nothing_half_there(store, logs, whole, workers):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    status, _, err = ended(started(store, logs, workers=workers, preexec_fn=limited))
    assert status == 1
    assert "Traceback" in err  # of the script that loads: commands make a sentence of it
    errors = "completion_aggregator.tracking.errors."
    assert err.splitlines()[-1].startswith(("OSError: [Errno 27]", f"{errors}LoadFailed: ", f"{errors}DamagedStore: "))
    assert "Exception ignored" not in err
    goes_on(store, logs, whole)


@pytest.mark.parametrize(
    "spoil", [Path.unlink, lambda path: path.write_bytes(b"no part"), lambda path: os.truncate(path, 99)]
)
def test_a_part_that_is_gone_or_damaged_is_named(store, tmp_path, spoil):
    load(store, put(tmp_path / LOG, lines(3)))
    (path,) = (store.folder / "event").rglob("*.parquet")
    spoil(path)
    with pytest.raises(DamagedStore, match=f"^{path} is gone or damaged"):
        load(store, put(tmp_path / "other.log", lines(3, first=1)))
    assert len(rows(store, "event_private")) == 3
