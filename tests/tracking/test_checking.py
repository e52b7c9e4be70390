"""A dry look at logs."""

from completion_aggregator.tracking import checking
from completion_aggregator.tracking.sources import listed
from tests.tracking.builders import LOG, line, lines, packed, put


def report_of(path):
    (source,) = listed(str(path))
    return checking.check(source)


def test_a_report_says_what_is_in_a_log_and_what_is_wrong(tmp_path):
    content = lines(3) + b"\nno event\n" + line(5, name="my.own") + line(6) + b"\n" + line(7)[:-5] + b"\n"
    found = checking.as_json(report_of(put(tmp_path / LOG, content)))
    wanted = ("lines", "blank", "joined", "events", "quarantined", "repaired", "families", "unknown_names", "reasons")
    assert {name: found[name] for name in wanted} == {
        "lines": 7,
        "blank": 1,
        "joined": 1,
        "events": 6,
        "quarantined": 1,
        "repaired": 3,
        "families": {"navigation": 5, "other": 1},
        "unknown_names": {"my.own": 1},
        "reasons": {"no object": 1},
    }
    offset = len(lines(3)) + 1
    assert found["refused"] == [{"offset": offset, "length": 8, "reason": "no object", "line": "no event"}]


def test_a_line_without_an_end_is_looked_at_too(tmp_path):
    assert report_of(put(tmp_path / LOG, line(0))).counts["events"] == 1


def test_a_damaged_file_is_said_to_be(tmp_path):
    found = report_of(put(tmp_path / f"{LOG}.gz", packed(lines(200))[:-20]))
    assert found.damage == "gzip: cut"
    assert found.counts["lines"] > 100
