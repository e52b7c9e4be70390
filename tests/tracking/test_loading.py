import gzip
import os
import shutil

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from completion_aggregator.tracking import loading
from tests.tracking.builders import (
    LOG,
    at,
    contents_of,
    events,
    in_small_loads,
    line,
    lines,
    load,
    new_store,
    packed,
    put,
    rows,
    strays,
    times_of,
    totals,
    waiting,
)


def counted(summary, *names):
    return tuple(summary.counts[name] for name in names)


def test_a_log_becomes_a_row_for_each_event(store, tmp_path):
    summary = load(store, put(tmp_path / LOG, lines(3)))
    assert dict(summary.counts) == {
        "lines": 3,
        "blank": 0,
        "joined": 0,
        "repaired": 0,
        "events": 3,
        "copies": 0,
        "quarantined": 0,
    }
    assert times_of(rows(store, "event")) == [at(n) for n in range(3)]
    assert totals(store)["lines"] == 3
    assert (strays(store), waiting(store)) == ([], [])


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("together", [True, False])
def test_a_content_is_loaded_once_whatever_its_name_place_and_packing(store, tmp_path, workers, together):
    content = lines(20)
    paths = [
        put(tmp_path / "a" / LOG, content),
        put(tmp_path / "b" / LOG, content),
        put(tmp_path / "other.log", content),
        put(tmp_path / f"{LOG}.gz", packed(content)),
        put(tmp_path / "members.gz", packed(content[:10], content[10:3000], content[3000:])),
    ]
    for group in [paths] if together else [[path] for path in paths]:
        load(store, *group, workers=workers)
    assert totals(store)["lines"] == 20
    assert (len(rows(store, "event")), rows(store, "copy")) == (20, [])
    with store.reading() as ledger:
        assert ledger.rows("SELECT count(*) FROM source")[0][0] == 1
        assert len(ledger.rows("SELECT url FROM place")) == 5
    assert load(store, *paths, workers=workers).known == 5


def test_a_file_that_is_named_twice_is_read_once(store, tmp_path):
    path = put(tmp_path / LOG, lines(3))
    summary = load(store, path, path)
    assert (summary.files, summary.counts["lines"], len(events(store))) == (1, 3, 3)


def test_files_that_begin_alike_and_are_as_long_are_told_apart(store, tmp_path):
    ones, others = (lines(1) + lines(3, first=first) for first in (10, 20))
    assert len(ones) == len(others)
    for _ in range(2):
        load(store, put(tmp_path / "ones.log", ones), put(tmp_path / "others.log", others))
        load(store, put(tmp_path / "again.log", ones), put(tmp_path / "once more.log", others))
    assert (len(events(store)), len(rows(store, "copy"))) == (7, 1)
    assert totals(store)["lines"] == 8


def test_files_that_begin_with_an_empty_line_are_all_read(store, tmp_path):
    for number in range(3):
        put(tmp_path / "logs" / f"{number}.log", b"\n" + lines(2, first=number * 2))
    load(store, tmp_path / "logs", workers=2)
    assert len(events(store)) == 6


def test_empty_files_hold_nothing_and_are_known_then(store, tmp_path):
    paths = [put(tmp_path / f"{n}.log", content) for n, content in enumerate([b"", packed(b""), b""])]
    summary = load(store, *paths)
    assert (summary.files, summary.counts["lines"], summary.failures) == (3, 0, [])
    assert load(store, *paths).known == 3
    assert totals(store)["lines"] == 0


def test_a_file_of_which_nothing_is_an_event_is_quarantined(store, tmp_path):
    load(store, put(tmp_path / LOG, b"no event\n\n{}\n"))
    found = [(row["offset"], row["length"], row["reason"], row["line"]) for row in rows(store, "quarantine")]
    assert sorted(found) == [(0, 8, "no object", "no event"), (10, 2, "no name", "{}")]
    assert totals(store) == {
        "lines": 3,
        "blank": 1,
        "joined": 0,
        "events": 0,
        "copies": 0,
        "quarantined": 2,
        "repaired": 0,
        "bytes": 13,
    }


def test_a_log_that_grew_is_read_on_where_it_ended(store, tmp_path):
    path = put(tmp_path / "tracking.log", lines(4), settled=False)
    assert load(store, path).bytes == len(lines(4))
    put(path, lines(6), settled=False)
    assert load(store, path).bytes == len(lines(6)) - len(lines(4))
    assert len(events(store)) == 6
    assert totals(store)["copies"] == 0


def test_a_log_that_was_rotated_is_known_and_read_on_under_its_new_name(store, tmp_path):
    path = put(tmp_path / "tracking.log", lines(4), settled=False)
    load(store, path)
    rotated = path.rename(tmp_path / f"{LOG}")
    rotated.write_bytes(lines(7))
    put(path, lines(2, first=7), settled=False)
    load(store, tmp_path)
    packed_log = put(tmp_path / f"{LOG}.gz", gzip.compress(rotated.read_bytes()))
    rotated.unlink()
    summary = load(store, packed_log)
    assert (summary.known, summary.counts["lines"]) == (1, 0)
    assert (len(events(store)), totals(store)["copies"]) == (9, 0)


def test_a_log_whose_beginning_changed_is_another_content(store, tmp_path):
    path = put(tmp_path / "tracking.log", lines(4), settled=False)
    load(store, path)
    put(path, line(100) + b"\n" + lines(4), settled=False)
    summary = load(store, path)
    assert counted(summary, "lines", "events", "copies") == (5, 1, 4)
    assert len(events(store)) == 5


def test_a_log_that_was_emptied_and_begun_anew_is_read_from_its_beginning(store, tmp_path):
    path = put(tmp_path / "tracking.log", lines(4), settled=False)
    load(store, path)
    put(path, lines(2, first=50), settled=False)
    load(store, path)
    put(path, lines(5, first=50), settled=False)
    load(store, path)
    assert (len(events(store)), totals(store)["copies"]) == (9, 0)


@pytest.mark.parametrize("workers", [1, 2])
def test_events_of_files_that_overlap_are_written_once(store, tmp_path, workers):
    for number in range(6):
        put(tmp_path / f"part{number}.log", lines(100, first=50 * number))
    load(store, tmp_path, workers=workers)
    assert len(events(store)) == 350
    assert totals(store)["copies"] == 250
    assert len({row["event_id"] for row in rows(store, "event")}) == 350


def test_events_that_share_a_line_are_events_of_their_own(store, tmp_path):
    load(store, put(tmp_path / LOG, line(1) + line(2) + b" " + line(3) + b"\n" + line(3) + b"\n"))
    assert totals(store)["joined"] == 2
    assert (len(events(store)), [row["offset"] for row in rows(store, "copy")]) == (3, [3 * len(line(1)) + 2])


def test_the_id_is_that_of_the_object_whatever_stands_around_it(store, tmp_path):
    prefix = b"2024-02-01 13:53:13,461 INFO 20 [tracking] [user 6] logger.py:41 - "
    around = [line(1), line(1) + b"\r", b"  " + line(1), line(1) + b" \t", b"\xef\xbb\xbf" + line(1), b"\0\0" + line(1)]
    load(store, put(tmp_path / LOG, b"\n".join([*around, prefix + line(1), line(1)]) + b"\n"))
    assert (len(events(store)), totals(store)["copies"]) == (1, 7)


CUT = line(5).partition(b', "time"')[0]


def test_cut_lines_that_begin_alike_are_not_merged(store, tmp_path):
    content = b"\n".join([line(1), CUT, line(2), CUT, line(3), b""])
    load(store, put(tmp_path / LOG, content))
    cut = [row for row in rows(store, "event") if row["time_quality"] == "neighbour"]
    assert times_of(cut) == [at(1), at(2)]
    assert len({row["event_id"] for row in cut}) == 2


def test_cut_lines_are_merged_where_the_same_log_comes_again_inside_another(store, tmp_path):
    content = b"\n".join([line(1), CUT, line(2), CUT, line(3), b""])
    load(store, put(tmp_path / LOG, content), put(tmp_path / "more.log", lines(1) + content + lines(2, first=8)))
    assert (len(events(store)), totals(store)["copies"]) == (8, 5)


def test_late_events_stand_under_the_day_of_their_own_time(store, tmp_path):
    load(store, put(tmp_path / LOG, line(0) + b"\n" + line(5, time=at(days=-3)) + b"\n"))
    found = [(row["day"], row["time_quality"]) for row in rows(store, "event")]
    assert sorted(found) == [(19751, "ok"), (19754, "ok")]


WRONG = {
    "ten years ago": (at(9, days=-3650), "outside"),
    "next year": (at(9, days=400), "outside"),
    "nine hours ago": (at(9, hours=-9), "ok"),
    "no time": ("2024-02-30 12:00", "unreadable"),
    "no such day": ("2024-02-30T00:00:00.000000+00:00", "unreadable"),
}


@pytest.mark.parametrize(("written", "quality"), WRONG.values(), ids=list(WRONG))
@pytest.mark.parametrize("name", [LOG, "tracking.log"])
def test_the_time_of_a_wrong_clock_is_kept_as_text_and_not_trusted(store, tmp_path, written, quality, name):
    around = [line(n) for n in range(12)]
    around.insert(6, line(99, time=written, event={"kept": 1}, event_source="server"))
    load(store, put(tmp_path / name, b"\n".join(around) + b"\n"))
    (found,) = [row for row in rows(store, "event") if row["extra"]]
    assert found["time_quality"] == quality
    if quality == "ok":
        assert (found["extra"], found["time"].isoformat(timespec="microseconds")) == ('{"kept":1}', written)
    else:
        assert (found["extra"], found["day"]) == (f'{{"kept":1,"time":"{written}"}}', 19754)
        assert found["time"].isoformat() == "2024-02-01T00:00:00+00:00"


@pytest.mark.parametrize("written", [at(9, days=-3650), "yesterday"])
def test_events_of_wrong_clocks_are_copies_in_a_log_of_another_day_too(store, tmp_path, written):
    odd = line(9, time=written) + b"\n"
    load(store, put(tmp_path / LOG, lines(2) + odd))
    load(store, put(tmp_path / "tracking.log-20240301", odd + lines(1)))
    assert (len(events(store)), totals(store)["copies"]) == (3, 2)


def test_an_event_that_was_late_in_one_log_and_right_in_another_is_one_event(store, tmp_path):
    late = line(9, time=at(days=30)) + b"\n"
    load(store, put(tmp_path / LOG, lines(2) + late), put(tmp_path / "tracking.log-20240302", late))
    assert sorted(row["time_quality"] for row in rows(store, "event")) == ["ok", "ok", "outside"]
    assert totals(store)["copies"] == 1


@pytest.mark.parametrize("hours", [1, 60])
@pytest.mark.parametrize("batch", [7, 50_000])
def test_a_log_without_a_date_may_go_on_for_months(store, tmp_path, monkeypatch, batch, hours):
    in_small_loads(monkeypatch, batch_events=batch, load_bytes=20_000)
    content = [line(0, time=at(hours=hours * n)) for n in range(60)]
    content[30] = line(0, time=at(days=-3650))
    load(store, put(tmp_path / "tracking.log", b"\n".join(content) + b"\n"))
    found = rows(store, "event")
    assert sorted({row["time_quality"]: 0 for row in found}) == ["ok", "outside"]
    assert times_of([row for row in found if row["time_quality"] == "ok"]) == [
        at(hours=hours * n) for n in range(60) if n != 30
    ]


def test_a_log_is_the_same_in_many_loads_as_in_one(store, tmp_path, monkeypatch):
    content = mixed(60)
    once = new_store(tmp_path, "once")
    load(once, put(tmp_path / LOG, content))
    in_small_loads(monkeypatch)
    load(store, put(tmp_path / LOG, content))
    with store.reading() as ledger:
        assert ledger.next_load() > 5
    assert contents_of(store) == contents_of(once)
    assert totals(store) == totals(once)
    assert load(store, tmp_path / LOG).known == 1


def mixed(count):
    """Lines of all kinds: whole ones, copies, cut ones, and such as are no events."""
    odd = [CUT, b"", b"no event", line(3), line(1, time="never"), line(2, event={"n": float("nan")}), line(7) + line(8)]
    found = [line(n) if n % 3 else odd[n // 3 % len(odd)] for n in range(1, count)]
    return b"\n".join(found) + b"\n"


MIXED = mixed(24)


BEFORE_CUT = MIXED.index(b"\n" + CUT + b"\n")


@example(cuts=[BEFORE_CUT], name=LOG)
@example(cuts=[BEFORE_CUT + 1], name=LOG)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(MIXED)), max_size=3, unique=True), name=st.sampled_from([LOG, "tracking.log"]))
def test_a_log_that_grows_comes_to_what_it_is_when_it_is_whole(tmp_path_factory, cuts, name):
    folder = tmp_path_factory.mktemp("growing")
    once, store = new_store(folder, "once"), new_store(folder)
    load(once, put(folder / "whole" / name, MIXED))
    for cut in sorted(cuts):
        load(store, put(folder / "growing" / name, MIXED[:cut], settled=False))
        os.utime(folder / "growing" / name, (1_800_000_000 + cut, 1_800_000_000 + cut))
    load(store, put(folder / "growing" / name, MIXED))
    assert contents_of(store) == contents_of(once)
    shutil.rmtree(folder)


def test_a_packed_log_that_is_being_written_is_read_on_when_it_is_whole(store, tmp_path):
    content = lines(300)
    whole = packed(content)
    path = put(tmp_path / f"{LOG}.gz", whole[: len(whole) // 2], settled=False)
    load(store, path)
    assert (0 < len(events(store)) < 300, totals(store)["quarantined"], totals(store)["repaired"]) == (True, 0, 0)
    load(store, put(path, whole))
    assert len(events(store)) == 300
    assert {**totals(store), "bytes": 0} == {
        "lines": 300,
        "blank": 0,
        "joined": 0,
        "events": 300,
        "copies": 0,
        "quarantined": 0,
        "repaired": 0,
        "bytes": 0,
    }


def test_a_damaged_packed_log_gives_what_can_be_unpacked_and_says_so(store, tmp_path):
    whole = packed(lines(50)) + packed(lines(50, first=50))
    cut = put(tmp_path / f"{LOG}.gz", whole[:-40])
    summary = load(store, cut)
    assert summary.damaged == [(str(cut), "gzip: cut")]
    assert len(events(store)) > 50
    assert load(store, cut).known == 1


TRASH = {
    "magic alone": b"\x1f\x8b\x08",
    "zeros": b"\x1f\x8b\x08" + bytes(100),
    "text": b"\x1f\x8b\x08this is no log",
    "magic again and again": b"\x1f\x8b\x08" * 50,
}


@pytest.mark.parametrize("trash", TRASH.values(), ids=TRASH)
def test_a_packed_file_of_which_nothing_comes_out_is_no_empty_log(store, tmp_path, trash):
    path = put(tmp_path / f"{LOG}.gz", trash)
    for _ in range(2):  # until it is whole, or gone
        summary = load(store, path)
        ((file, reason),) = summary.failures
        assert (file, reason[:6], summary.known) == (str(path), "gzip: ", 0)
        assert reason.endswith("; nothing could be unpacked")
    assert load(store, put(path, packed(lines(3)))).failures == []
    assert len(events(store)) == 3


def test_a_damaged_copy_of_what_is_loaded_is_not_taken_for_the_whole(store, tmp_path):
    load(store, put(tmp_path / LOG, lines(50)))
    copy = put(tmp_path / f"{LOG}.gz", packed(lines(50)) + packed(lines(50, first=50))[:15])
    assert load(store, copy).failures == [(str(copy), "gzip: cut; what could be unpacked is loaded already")]
    assert load(store, put(tmp_path / f"{LOG}-2.gz", packed(lines(50)))).known == 1


def test_the_last_line_without_an_end_waits_until_it_is_whole(store, tmp_path):
    path = put(tmp_path / "tracking.log", lines(2) + line(2)[:50], settled=False)
    assert counted(load(store, path), "lines", "quarantined") == (2, 0)
    assert counted(load(store, path), "lines", "quarantined") == (0, 0)
    put(path, lines(2) + line(2), settled=False)
    assert counted(load(store, path), "lines", "events") == (1, 1)
    put(path, lines(5), settled=False)
    load(store, path)
    assert (len(events(store)), totals(store)["copies"]) == (5, 0)


def test_the_last_line_without_an_end_of_a_log_that_is_left_is_taken(store, tmp_path):
    load(store, put(tmp_path / LOG, lines(2) + CUT))
    assert totals(store)["repaired"] == 1
    assert [row["time_quality"] for row in rows(store, "event")].count("neighbour") == 1


def test_a_file_that_vanished_is_named_and_the_others_are_read(store, tmp_path):
    from completion_aggregator.tracking.sources import listed

    paths = [put(tmp_path / f"{n}.log", lines(2, first=2 * n)) for n in range(3)]
    sources = [next(listed(str(path))) for path in paths]
    paths[1].unlink()
    summary = load(store, *sources)
    assert [file for file, _ in summary.failures] == [str(paths[1])]
    assert len(events(store)) == 4


class _Breaking:
    """A file system that breaks off once."""

    def __init__(self, path, after):
        self.path, self.after = path, after

    def open(self, path, mode, **_):
        stream = self.path.open(mode)
        after = self.after

        class Stream:
            def __getattr__(self, name):
                return getattr(stream, name)

            def read(self, size):
                if after is not None and stream.tell() + size > after:
                    raise OSError(5, "Input/output error")
                return stream.read(size)

        return Stream()


def test_a_file_that_breaks_off_is_loaded_so_far_and_read_on_by_the_next_run(store, tmp_path, monkeypatch):
    from completion_aggregator.tracking import contents, sources

    monkeypatch.setattr(contents, "_PACKED_BLOCK", 1000)
    monkeypatch.setattr(sources, "BLOCK", 1000)
    path = put(tmp_path / LOG, lines(30))
    (found,) = sources.listed(str(path))

    def remote(after):
        system = _Breaking(path, after)
        return sources.Source(found.url, found.name, found.size, found.stamp, "etag", system, str(path))

    for _ in range(2):
        summary = load(store, remote(6000))
        assert [file for file, _ in summary.failures] == [str(path)]
        assert 0 < len(events(store)) < 30
    load(store, remote(None))
    assert (len(events(store)), totals(store)["copies"], totals(store)["quarantined"]) == (30, 0, 0)


def test_dates_are_found_in_names():
    names = {
        "tracking.log-20240201.gz": "2024-02-01",
        "app10/tracking.log-20130609": "2013-06-09",
        "2024-02-01/tracking.log": "2024-02-01",
        "tracking.log-20241301": None,
        "tracking.log-20240230": None,
        "tracking.log-20240201-1706745600": "2024-02-01",
        "tracking.log": None,
    }
    assert {name: found and found.isoformat() for name in names for found in [loading.log_day_of(name)]} == names
