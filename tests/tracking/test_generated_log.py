"""Against what the generator says of its logs: every count that it gives."""

import json
from collections import Counter

import pytest

from completion_aggregator.tracking import catalogue
from tests.tracking.builders import contents_of, events, load, new_store, rows, totals


@pytest.fixture(scope="module")
def loaded(generated_log, tmp_path_factory):
    """Return the log in a store."""
    store = new_store(tmp_path_factory.mktemp("loaded"))
    load(store, *generated_log.paths, keeps_raw=True)
    return store


@pytest.fixture(scope="module")
def private(loaded):
    """Return what is known of each event besides."""
    return {row["event_id"]: row for row in rows(loaded, "event_private")}


@pytest.fixture(scope="module")
def found(loaded):
    """Return all events."""
    return rows(loaded, "event")


@pytest.fixture(scope="module")
def whole(found, private):
    """Return the events that the generator counts: not those that it cut, though some of their fields are left."""
    return [row for row in found if not _is_cut(private[row["event_id"]]["raw"])]


def _is_cut(raw):
    try:
        json.loads(raw.replace("\\xff\\xfe\\xc3", ""))
    except ValueError:
        return True
    return False


def test_every_line_is_accounted_for(generated_log, loaded, found, whole):
    manifest, counts = generated_log.manifest, totals(loaded)
    damage = Counter(manifest["damage"])
    refused = Counter(row["reason"] for row in rows(loaded, "quarantine"))
    cut = len(found) - len(whole)
    assert len(whole) == manifest["whole_events_excluding_exact_duplicates"]
    assert refused["no object"] == damage["plain_text"]
    assert cut + refused["cut before its name"] == damage["cut_line"] + damage["cut_at_50000"]
    repaired = sum(damage[name] for name in ("bad_utf8", "nan_token", "lone_surrogate", "log_prefix", "nul_bytes"))
    assert counts == {
        "lines": manifest["lines"],
        "bytes": manifest["bytes"],
        "blank": damage["blank"],
        "joined": damage["two_on_a_line"],
        "copies": manifest["exact_duplicate_lines"],
        "quarantined": refused.total(),
        "events": len(whole) + cut,
        "repaired": repaired + 2 * damage["two_on_a_line"] + cut,
    }


def test_events_are_counted_by_name(generated_log, whole):
    found = Counter("/url" if row["family"] == "url" else row["name"] for row in whole)
    assert dict(found) == generated_log.manifest["by_name"]


def test_events_are_counted_by_source_and_course(generated_log, whole):
    assert dict(Counter(row["source"] for row in whole)) == generated_log.manifest["by_source"]
    # Of events without a course in their context, the address may name one.
    assert dict(Counter(row["course"] for row in whole if row["course"])) == generated_log.manifest["by_course"]


def test_events_are_counted_by_day(generated_log, whole):
    """Of clocks that are far off, the generator counts the day that was written, and we that of the log."""
    found = Counter(
        row["time"].date().isoformat() if row["time_quality"] == "ok" else row["extra"].rpartition('"time":"')[2][:10]
        for row in whole
    )
    assert dict(sorted(found.items())) == generated_log.manifest["by_day"]


def test_learners_are_counted(generated_log, found, whole, private):
    named = {private[row["event_id"]]["username"] for row in whole}
    assert len(named - {None}) + (None in named) == generated_log.manifest["distinct_usernames"]
    people = {(row["person"], private[row["event_id"]]["username"]) for row in found} - {(None, None)}
    people = {(person, name) for person, name in people if name}  # of cut ones only the number may be left
    assert len(people) == len({person for person, _ in people}) == len({name for _, name in people})


def test_each_event_of_a_family_with_a_table_has_a_row_there(loaded, found):
    for family in ("video", "enrollment", "forum", "assessment", "progress", "grouping", "navigation"):
        wanted = {row["event_id"] for row in found if row["family"] == family and _is_taken(row)}
        assert wanted <= {row["event_id"] for row in rows(loaded, family)}, family


def _is_taken(row):
    return catalogue.entry(row["name"], row["source"] or "").transform is not None


def test_packed_and_in_two_processes_it_is_the_same(generated_gz, generated_log, loaded, tmp_path):
    store = new_store(tmp_path)
    summary = load(store, *generated_gz.paths, workers=2, keeps_raw=True)
    assert summary.failures == []
    assert contents_of(store) == contents_of(loaded)
    assert totals(store) == totals(loaded)
    again = load(store, *generated_log.paths, workers=2)
    assert (again.known, again.counts["lines"]) == (4, 0)
    assert events(store) == events(loaded)
