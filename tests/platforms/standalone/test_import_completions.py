import csv
import json
from datetime import UTC, datetime, timedelta

import pytest
from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from completion_aggregator.aggregation.models import StaleCompletion
from completion_aggregator.platforms.standalone.imports import completions
from tests.platforms.standalone.builders import KEY, course, facts, learner, stale_rows, usage

pytestmark = pytest.mark.django_db

ONE, TWO = usage("html", "one"), usage("html", "two")
HEADER = "username,course_id,block_id,completion,modified\n"


def row(name="ana", block=ONE, completion="1.0", modified="2026-10-01T10:00:00.000001Z", course_id=str(KEY)):
    return f"{name},{course_id},{block},{completion},{modified}\n"


def ahead(*, minutes):
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


@pytest.fixture
def imported(tmp_path, capsys):
    """Import lines; return the exit status, the summary and the rejects."""

    def run(*lines: str, header: str = HEADER, options: tuple[str, ...] = ()):
        file, rejects = tmp_path / "completions.csv", tmp_path / "rejects.csv"
        file.write_text(header + "".join(lines))
        status = 0
        try:
            call_command("import_completions", str(file), "--json", "--rejects", str(rejects), *options)
        except SystemExit as ended:
            status = int(str(ended.code))
        summary = json.loads(capsys.readouterr().out)
        kept = list(csv.DictReader(rejects.read_text().splitlines())) if rejects.exists() else []
        return status, summary, kept

    return run


@pytest.fixture
def ana():
    course()
    user = learner("ana")
    StaleCompletion.objects.all().delete()
    return user


def counts(summary):
    return {name: number for name, number in summary.items() if isinstance(number, int) and number}


def test_rows_become_facts_and_mark_their_blocks(ana, imported):
    status, summary, rejects = imported(row(), row(block=TWO, completion="0.1"))
    assert (status, counts(summary), rejects) == (0, {"rows": 2, "written": 2}, [])
    assert facts() == {("ana", ONE): 1.0, ("ana", TWO): 0.1}
    assert stale_rows() == {("ana", str(KEY), ONE), ("ana", str(KEY), TWO)}
    stored = BlockCompletion.objects.get(block_key=ONE)
    moment = datetime(2026, 10, 1, 10, 0, 0, 1, tzinfo=UTC)
    assert (stored.modified, stored.created, stored.block_type) == (moment, moment, "html")
    assert stored.context_key == KEY


def test_the_same_file_again_changes_nothing_and_marks_nobody(ana, imported):
    lines = (row(), row(block=TWO, completion="0.3", modified=""))
    imported(*lines)
    before = list(BlockCompletion.objects.order_by("id").values())
    StaleCompletion.objects.all().delete()
    _, summary, _ = imported(*lines)
    assert counts(summary) == {"rows": 2, "unchanged": 2}
    assert list(BlockCompletion.objects.order_by("id").values()) == before
    assert stale_rows() == set()


def test_the_newer_of_two_rows_stands_whatever_their_order(ana, imported, monkeypatch):
    old, new = row(completion="0.2"), row(completion="0.9", modified="2026-10-02T00:00:00Z")
    for rows_per_chunk in (1, 10):
        monkeypatch.setattr(completions, "ROWS_PER_CHUNK", rows_per_chunk)
        for lines in ((old, new), (new, old)):
            BlockCompletion.objects.all().delete()
            imported(*lines)
            assert facts() == {("ana", ONE): 0.9}


def test_the_later_of_two_rows_of_the_same_time_stands(ana, imported):
    _, summary, _ = imported(row(completion="0.9"), row(completion="0.2"))
    assert counts(summary) == {"rows": 2, "written": 1, "superseded": 1}
    assert facts() == {("ana", ONE): 0.2}


def test_a_row_older_than_what_is_stored_is_left(ana, imported):
    BlockCompletion.objects.submit_completion(ana, KEY.make_usage_key("html", "one"), 0.4)
    StaleCompletion.objects.all().delete()
    _, summary, _ = imported(row())
    assert counts(summary) == {"rows": 1, "superseded": 1}
    assert (facts(), stale_rows()) == ({("ana", ONE): 0.4}, set())


def test_a_completion_may_go_down(ana, imported):
    imported(row())
    imported(row(completion="0.0", modified="2026-10-02T00:00:00Z"))
    assert facts() == {("ana", ONE): 0.0}


def test_a_time_without_offset_is_utc_and_others_are_converted(ana, imported):
    imported(row(modified="2026-10-01 10:00:00"), row(block=TWO, modified="2026-10-01T12:00:00+02:00"))
    expected = datetime(2026, 10, 1, 10, tzinfo=UTC)
    assert list(BlockCompletion.objects.values_list("modified", flat=True)) == [expected, expected]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (row(completion="much"), "the completion is not a number"),
        (row(completion=""), "the completion is not a number"),
        (row(completion="nan"), "the completion is not between 0 and 1"),
        (row(completion="1.0000001"), "the completion is not between 0 and 1"),
        (row(completion="-0.5"), "the completion is not between 0 and 1"),
        (row(completion="inf"), "the completion is not between 0 and 1"),
        (row(block="problem one"), "not a block key"),
        (row(block=usage("html", "x" * 250)), "not a block key"),
        (row(block=ONE.replace("Small", "Large")), "the block is of another course"),
        (row(course_id="Small"), "not a course key"),
        (row(course_id="course-v1:Org+small+1"), "unknown course: import_course comes first"),
        (row(name="ben"), "unknown user"),
        (row(name="ANA"), "unknown user"),
        (row(name=""), "unknown user"),
        (row(modified="yesterday"), "not an ISO 8601 time"),
        (row(modified="2099-01-01T00:00:00Z"), "modified in the future"),
        (row(modified="0001-01-01T00:00:00+01:00"), "the time is not between 1970 and 9998"),
        ("ana,only\n", "2 columns instead of at least 5"),
    ],
)
def test_a_bad_row_is_kept_with_its_line_and_reason_and_the_others_are_taken(ana, imported, line, reason):
    status, summary, rejects = imported(row(block=TWO), line)
    assert (status, counts(summary)) == (1, {"rows": 2, "written": 1, "rejected": 1})
    assert [(each["line"], each["reason"]) for each in rejects] == [("3", reason)]
    assert (facts(), summary["reasons"]) == ({("ana", TWO): 1.0}, {reason: 1})


def test_corrected_rejects_are_imported_as_they_are(ana, imported, tmp_path):
    imported(row(), row(block=TWO, completion="2"))
    rejects = (tmp_path / "rejects.csv").read_text().replace(",2,", ",0.2,")
    status, _, _ = imported(rejects, header="")
    assert (status, facts()) == (0, {("ana", ONE): 1.0, ("ana", TWO): 0.2})


def test_users_are_made_when_asked_for(ana, imported):
    status, summary, rejects = imported(row(), row(name="ben"), row(name="not/valid"), options=("--create-users",))
    assert (status, counts(summary)) == (1, {"rows": 3, "written": 2, "rejected": 1, "users_created": 1})
    assert [each["reason"] for each in rejects] == ["not a valid username"]
    assert not get_user_model().objects.get(username="ben").has_usable_password()


def test_users_may_be_called_what_learners_of_an_lms_are_called(ana, imported):
    names = ("ana maria", "jos\u00e9.k@x+y-z_1", "\u0639\u0644\u064a", "x" * 150)
    others = ("a\x07b", "a/b", "x" * 151, "\u200bana")
    status, _, rejects = imported(*(row(name=name) for name in (*names, *others)), options=("--create-users",))
    assert (status, {name for name, _ in facts()}) == (1, set(names))
    assert [each["reason"] for each in rejects] == ["not a valid username"] * 4


def test_a_block_that_the_course_does_not_have_is_kept_and_counted(ana, imported):
    removed = usage("problem", "removed")
    status, summary, _ = imported(row(block=removed))
    assert (status, counts(summary)) == (0, {"rows": 1, "written": 1, "unknown_blocks": 1})
    assert BlockCompletion.objects.get().block_type == "problem"
    assert facts() == {("ana", removed): 1.0}


def test_a_course_imported_meanwhile_is_known_to_the_next_run(imported):
    assert imported(row(name="ana"))[0] == 1
    course()
    learner("ana")
    assert imported(row(name="ana"))[0] == 0


def test_a_chunk_is_stored_with_its_stale_rows_or_not_at_all(ana, imported, monkeypatch):
    monkeypatch.setattr(completions, "ROWS_PER_CHUNK", 1)

    class Interrupted(Exception):
        pass

    class Broken(completions.CompletionsImport):
        def _store(self, course, facts):
            stored = super()._store(course, facts)
            if self.summary.written == 1:
                raise Interrupted
            return stored

    monkeypatch.setattr(
        "completion_aggregator.platforms.standalone.management.commands.import_completions.CompletionsImport", Broken
    )
    with pytest.raises(Interrupted):
        imported(row(), row(block=TWO))
    assert facts() == {("ana", ONE): 1.0}
    assert stale_rows() == {("ana", str(KEY), ONE)}


def test_the_number_of_queries_depends_on_the_chunks_alone(ana, imported, django_assert_max_num_queries):
    names = [learner(f"learner{number}").username for number in range(50)]
    lines = [row(name=name, block=usage("html", f"b{number}")) for name in names for number in range(10)]
    with django_assert_max_num_queries(12):
        imported(*lines)


def test_an_unusable_file_is_said_with_status_2(tmp_path):
    for content in ("", "a,b\n", None):
        file = tmp_path / "file.csv"
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content)
        with pytest.raises(CommandError) as error:
            call_command("import_completions", str(file), "--rejects", str(tmp_path / "rejects.csv"))
        assert error.value.returncode == 2


def test_the_summary_is_a_sentence_without_json(ana, tmp_path, capsys):
    file = tmp_path / "completions.csv"
    file.write_text(HEADER + row() + row(name="ben"))
    with pytest.raises(SystemExit):
        call_command("import_completions", str(file), "--rejects", str(tmp_path / "rejects.csv"))
    output = capsys.readouterr()
    assert output.out.startswith("Completions: 2 rows, 1 written, 1 rejected (")
    assert "rejected 1: unknown user" in output.err


def test_a_key_of_an_old_course_is_taken_and_one_of_another_course_is_not(ana, imported):
    old, other = "i4x://Org/Small/html/one", "i4x://Else/Small/html/one"
    status, summary, rejects = imported(row(block=old), row(block=other))
    assert (status, summary["written"], summary["rejected"]) == (1, 1, 1)
    assert [each["reason"] for each in rejects] == ["the block is of another course"]
    assert facts() == {("ana", old): 1.0}


def test_rejects_never_replace_the_file_to_import_or_a_device(ana, tmp_path):
    file = tmp_path / "completions.csv"
    file.write_text(HEADER + row())
    with pytest.raises(CommandError, match="is the file to import"):
        call_command("import_completions", str(file), "--rejects", str(file))
    with pytest.raises(CommandError, match="not a regular file"):
        call_command("import_completions", str(file), "--rejects", str(tmp_path))
    assert file.read_text() == HEADER + row()


def test_a_file_that_is_everything_deletes_what_it_lacks_and_is_not_newer(ana, imported):
    three = usage("html", "three")
    imported(row(), row(block=TWO), row(block=three, modified="2026-10-05T00:00:00Z"))
    StaleCompletion.objects.all().delete()
    _, summary, _ = imported(row(), options=("--complete-at", "2026-10-02T00:00:00Z"))
    assert counts(summary) == {"rows": 1, "unchanged": 1, "deleted": 1}
    assert facts() == {("ana", ONE): 1.0, ("ana", three): 1.0}
    assert stale_rows() == {("ana", str(KEY), TWO)}


def test_a_file_with_rejects_deletes_nothing(ana, imported):
    imported(row(), row(block=TWO))
    status, summary, _ = imported(row(), row(name="nobody"), options=("--complete-at", "2026-10-02T00:00:00Z"))
    assert (status, counts(summary)) == (1, {"rows": 2, "unchanged": 1, "rejected": 1})
    assert facts() == {("ana", ONE): 1.0, ("ana", TWO): 1.0}


def test_a_file_that_is_everything_deletes_nothing_in_other_courses(ana, imported):
    other = KEY.make_usage_key("html", "one").map_into_course(KEY.replace(run="2"))
    BlockCompletion.objects.submit_completion(ana, other, 1.0)
    imported(row(), options=("--complete-at", ahead(minutes=4)))
    assert set(facts()) == {("ana", ONE), ("ana", str(other))}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("noon", "'noon' is not an ISO 8601 time"),
        ("2026-10-02T00:00:00", "'2026-10-02T00:00:00' does not say its offset"),
        ("2026-10-02", "'2026-10-02' does not say its offset"),
    ],
)
def test_a_time_of_an_export_that_is_none_or_might_be_another_is_refused(ana, imported, text, message):
    imported(row(block=TWO))
    with pytest.raises(CommandError, match=message):
        imported(row(), options=("--complete-at", text))
    assert facts() == {("ana", TWO): 1.0}


def test_an_export_that_is_to_begin_in_the_future_is_refused(ana, imported):
    imported(row(block=TWO))
    with pytest.raises(CommandError, match="is in the future: no export began then") as error:
        imported(row(), options=("--complete-at", ahead(minutes=6)))
    assert (error.value.returncode, facts()) == (2, {("ana", TWO): 1.0})


def test_the_clock_of_the_lms_may_be_a_little_ahead(ana, imported):
    imported(row(block=TWO))
    status, summary, _ = imported(row(modified=ahead(minutes=4)), options=("--complete-at", ahead(minutes=4)))
    assert (status, counts(summary)) == (0, {"rows": 1, "written": 1, "deleted": 1})


def test_a_completion_of_the_future_does_not_stand_against_those_that_follow(ana, imported):
    status, _, rejects = imported(row(completion="0.5", modified=ahead(minutes=6)))
    assert (status, [each["reason"] for each in rejects]) == (1, ["modified in the future"])
    BlockCompletion.objects.submit_completion(ana, KEY.make_usage_key("html", "one"), 1.0)
    assert facts() == {("ana", ONE): 1.0}
