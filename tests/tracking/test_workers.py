import os
import signal
import threading
import time

import pytest

from completion_aggregator.tracking import workers
from completion_aggregator.tracking.errors import LoadFailed
from completion_aggregator.tracking.reading import Task
from completion_aggregator.tracking.sources import Source, listed
from tests.tracking.builders import COURSE, contents_of, line, lines, load, new_store, packed, put, strays, totals


def task(size, name="a.log"):
    return Task(Source(f"/logs/{name}", name, size, "stamp"), None, is_settled=True)


def sizes(*given, of=2):
    return [[each.source.size for each in group] for group in workers._groups([task(size) for size in given], of)]


def test_groups_keep_all_processes_busy_to_the_end():
    assert sizes(10, 10, 10, 10) == [[10], [10], [10], [10]]
    assert sizes(*[1] * 12) == [[1] * 3] * 4
    assert sizes(100, 1, 1) == [[100], [1, 1]]
    assert sizes(5) == [[5]]


def test_packed_files_count_for_what_they_unpack_to():
    found = workers._groups([task(10, "a.log.gz"), task(10), task(10), task(10)], 1)
    assert [[each.source.name for each in group] for group in found] == [["a.log.gz"], ["a.log"] * 3]


def mixed(folder):
    """Many files: some overlap, some are the same, some are packed, some are broken."""
    for number in range(9):
        content = lines(60, first=45 * number) + b"no event\n\n" + line(number)[:150] + b"\n"
        content += line(5000 + number, name="play_video", event={"currentTime": number}) + b"\n"
        name = f"tracking.log-2024020{number + 1}"
        put(folder / (f"{name}.gz" if number % 3 == 0 else name), packed(content) if number % 3 == 0 else content)
    put(folder / "again.log", lines(60))
    put(folder / "cut.log.gz", packed(lines(40, first=900))[:-30])
    return folder


def test_two_processes_do_what_one_does(tmp_path):
    logs = mixed(tmp_path / "logs")
    one, two = new_store(tmp_path, "one"), new_store(tmp_path, "two")
    alone, together = load(one, logs), load(two, logs, workers=2)
    assert (together.counts, together.files, together.failures) == (alone.counts, alone.files, [])
    assert sorted(together.damaged) == sorted(alone.damaged)
    assert contents_of(two)["event"] == contents_of(one)["event"]
    assert contents_of(two) == contents_of(one)
    assert totals(two) == totals(one)
    assert strays(two) == []


def test_what_makes_a_process_give_up_ends_the_run_with_its_words(store, tmp_path):
    paths = [put(tmp_path / f"{n}.log", lines(3, first=3 * n)) for n in range(2)]
    countries = put(tmp_path / "countries.mmdb", b"no database")
    with pytest.raises(LoadFailed, match=r"countries\.mmdb"):
        load(store, *paths, workers=2, countries=countries)
    assert totals(store)["lines"] == 0


def test_a_file_that_cannot_be_read_ends_no_process(store, tmp_path):
    sources = [next(listed(str(put(tmp_path / f"{n}.log", lines(3, first=3 * n))))) for n in range(4)]
    (tmp_path / "1.log").unlink()
    summary = load(store, *sources, workers=2)
    assert ([file for file, _ in summary.failures], totals(store)["lines"]) == ([str(tmp_path / "1.log")], 9)
    assert COURSE in {row["course"] for row in contents_of(store)["event"]}


def test_an_interrupt_waits_for_what_is_begun_whichever_thread_gets_it():
    is_over, done = threading.Event(), []

    def interrupted():
        with workers.uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
            done.append("all of it")

    other = threading.Thread(target=is_over.wait)
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    finally:
        is_over.set()
        other.join()
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
