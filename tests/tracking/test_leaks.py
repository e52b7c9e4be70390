"""No byte of the open tables says who somebody is, or what they wrote."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tracking.builders import COURSE, line, load, new_store, put, rows

WHO = "wilhelmina.q"
NUMBER = 918273
MARK = "xyzzyplugh"  # in whatever a learner writes
OTHER = "zebediah_k"
SECRETS = (WHO, OTHER, MARK, "198.51.100.77", "5e5510n5e5510n", "w.q@mail.example", "hunter2hunter2", str(NUMBER))
TEXT = f"my words {MARK} and more"
BLOCK = "block-v1:DemoU+C001+2024_T1+type@{}+block@0b9e39477cf34507a7a48f74be381fdd"


def written(second, name, payload, source="server", **fields):
    context = {"user_id": NUMBER, "path": fields.pop("path", "/event"), "course_id": COURSE, "org_id": "DemoU"}
    who = {"username": WHO, "ip": "198.51.100.77", "session": "5e5510n5e5510n"}
    return line(second, name=name, event=payload, event_source=source, context=context, **(who | fields))


def _posted(**form):
    return json.dumps({"GET": {}, "POST": form})


EVENTS = [
    ("edx.forum.thread.created", {"title": TEXT, "body": TEXT, "target_username": OTHER, "id": "post"}),
    ("edx.forum.comment.edited", {"body": TEXT, "target_username": OTHER, "url": f"https://x.example/u/{OTHER}"}),
    ("edx.forum.searched", {"query": f"posts of {WHO}", "corrected_text": f"posts of {WHO}", "total_results": 1}),
    ("edx.forum.unheard_of", {"body": TEXT, "username": OTHER, "author": {"name": OTHER}}),
    ("openassessmentblock.create_submission", {"answer": {"parts": [{"text": TEXT}]}, "submission_uuid": "u"}),
    ("openassessmentblock.save_submission", {"saved_response": {"text": TEXT}}),
    ("openassessmentblock.peer_assess", {"feedback": TEXT, "parts": [{"feedback": TEXT, "criterion": {"name": "c"}}]}),
    ("openassessmentblock.submit_feedback_on_assessments", {"feedback_text": TEXT, "options": ["a"]}),
    ("openassessment.unheard_of", {"answer": {"text": TEXT}, "student_id": WHO, "feedback": TEXT}),
    ("edx.course.student_notes.added", {"note_text": TEXT, "highlighted_content": TEXT, "tags": [TEXT]}),
    ("edx.bookmark.added", {"bookmark_id": f"{WHO},{BLOCK.format('vertical')}", "component_type": "vertical"}),
    ("edx.user.settings.changed", {"setting": "email", "old": "w.q@mail.example", "new": "w.q@mail.example"}),
    ("edx.user.settings.changed", {"setting": "bio", "old": TEXT, "new": TEXT, "user_id": NUMBER}),
    ("/login_ajax", _posted(email=["w.q@mail.example"], password=["hunter2hunter2"])),
    ("/create_account", _posted(username=[WHO], email=["w.q@mail.example"], password=["hunter2hunter2"], name=[TEXT])),
    (f"/u/{WHO}", _posted(note=[TEXT])),
    (f"/api/user/v1/accounts/{WHO}", _posted(bio=[TEXT])),
    (f"/courses/{COURSE}/progress/{NUMBER}/", _posted()),
    (f"/courses/{COURSE}/wiki/{MARK}/", _posted(content=[TEXT])),
    (f"/search?q={MARK}", _posted()),
    ("/event", f'{{"POST": {{"password": ["hunter2hunter2"], "answer": ["{TEXT}'),
    ("problem_check", {"problem_id": BLOCK.format("problem"), "answers": {"x_2_1": f"I am {WHO}"}, "student": OTHER}),
    ("edx.cohort.user_added", {"cohort_id": 1, "cohort_name": "A", "user_id": NUMBER}),
    ("edx.team.learner_added", {"team_id": "t", "user_id": NUMBER, "add_method": f"by {WHO}"}),
    (
        "edx.instructor.report.requested",
        {"report_type": "grades", "student": OTHER, "unique_student_identifier": OTHER},
    ),
    ("add-instructor", {"instructor": OTHER, "course": COURSE}),
    ("list-students", {"group_user": OTHER}),
    ("reset-student-attempts", {"old_attempts": 1, "student": OTHER, "instructor": WHO, "problem": "p"}),
    ("edx.newplugin.thing", {"who": WHO, "mail": "w.q@mail.example", "note": f"{WHO} came from 198.51.100.77"}),
    ("edx.newplugin.thing", {WHO: 5, "nested": {"by": {"x": [f"/u/{WHO}/y"]}}, "username": OTHER, "essay": TEXT}),
    (
        "edx.newplugin.thing",
        json.dumps({"password": "hunter2hunter2", "deep": json.dumps({"password": "hunter2hunter2"})}),
    ),
    ("edx.newplugin.thing", f"user={WHO}&password=hunter2hunter2"),
    ("edx.course.enrollment.activated", {"user_id": NUMBER, "mode": "audit", "course_id": COURSE}),
    (
        "edx.certificate.created",
        {"user_id": NUMBER, "certificate_url": f"https://x.example/certificates/user/{NUMBER}/c"},
    ),
    ("edx.special_exam.proctored.attempt.submitted", {"attempt_user_id": NUMBER, "exam_name": "e"}),
    (
        "edx.grades.problem.submitted",
        {"user_id": str(NUMBER), "problem_id": BLOCK.format("problem"), "weighted_earned": 1},
    ),
    ("textbook.pdf.search.executed", {"query": f"{WHO} book", "chapter": "c", "page": 1}, "browser"),
    (
        "edx.ui.lms.link_clicked",
        {"current_url": f"https://x.example/u/{WHO}?a={MARK}", "target_url": f"/u/{WHO}"},
        "browser",
    ),
]
PLACES = [
    {"page": f"https://x.example/u/{WHO}/?user={WHO}", "path": f"/u/{WHO}"},
    {"page": f"https://{WHO}:hunter2hunter2@x.example/a?email=w.q@mail.example#{MARK}", "path": f"/api/{WHO}?q={MARK}"},
    {"page": f"https://x.example/courses/{COURSE}/progress/{NUMBER}", "path": f"/courses/{COURSE}/progress/{NUMBER}"},
    {"page": f"https://x.example/courses/{COURSE}/discussion/forum/users/{NUMBER}", "path": "/event"},
    {"agent": f"App/1.0 ({WHO})", "host": "x.example"},
]


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Return a store into which all of it was loaded, whole and cut."""
    folder = tmp_path_factory.mktemp("planted")
    whole = [written(n, *each) for n, each in enumerate(EVENTS)]
    whole += [written(100 + n, "page_close", "{}", "browser", **place) for n, place in enumerate(PLACES)]
    cut = [each[: each.index(b'"time"') - 2] for each in whole]
    cut += [each[:at] for each in whole for at in (350, 420, 500) if at < len(each)]
    store = new_store(folder)
    log = put(folder / "tracking.log-20240201", b"\n".join([*whole, *cut]) + b"\n")
    load(store, log, keeps_text=True, keeps_raw=True)
    return store


def open_text(store):
    """All that stands in open tables, by part and column, and all other bytes that are not private."""
    found = {}
    for path in store.folder.rglob("*"):
        if path.suffix == ".parquet":
            table = pq.ParquetFile(path).read()
            for name in table.column_names:
                if pa.types.is_string(table[name].type):
                    values = [each for each in table[name].to_pylist() if each is not None]
                    found[f"{path.relative_to(store.folder)} {name}"] = "\n".join(values).encode()
        if path.is_file():
            found[str(path.relative_to(store.folder))] = path.read_bytes()
    return found


@pytest.mark.parametrize("secret", SECRETS)
def test_nothing_that_is_private_stands_in_open_tables(planted, secret):
    pattern = re.compile(rf"(?<![0-9A-Za-z]){re.escape(secret)}(?![0-9A-Za-z])".encode(), re.IGNORECASE)
    leaks = {
        place: text[max(0, found.start() - 60) : found.end() + 30]
        for place, text in open_text(planted).items()
        if (found := pattern.search(text))
    }
    assert leaks == {}


def test_what_is_private_is_where_it_is_to_be(planted):
    private = rows(planted, "event_private")
    assert {(row["username"], row["ip"]) for row in private if row["username"]} >= {(WHO, "198.51.100.77")}
    assert {row["kind"] for row in rows(planted, "text")} >= {"title", "body", "answer", "feedback", "query"}
    assert {(row["username"], row["email"]) for row in rows(planted, "account")} >= {(WHO, "w.q@mail.example")}
    assert [row["user_id"] for row in rows(planted, "person") if row["username"] == WHO] == [NUMBER]


def test_passwords_are_nowhere_but_in_raw_objects(planted):
    for name in ("account", "text", "person"):
        assert "hunter2hunter2" not in repr(rows(planted, name))


def test_names_and_addresses_of_a_generated_log_stand_in_no_open_table(generated_log, tmp_path):
    store = new_store(tmp_path)
    load(store, *generated_log.paths)
    told = {}
    for field in ("username", "ip", "session"):
        values = {row[field] for row in rows(store, "event_private") if row[field]}
        assert len(values) > 100
        told[field] = {value.encode() for value in values if len(value) > 4}
    names = {name for value in told["username"] for name in (value, json.dumps(value.decode())[1:-1].encode())}
    secrets = names | told["ip"] | told["session"]
    words = re.compile(rb"[^\s\"/,;:&?=@<>(){}\[\]|#]+")
    leaks = {place: secrets & set(words.findall(text)) for place, text in open_text(store).items()}
    assert {place: found for place, found in leaks.items() if found} == {}


def test_free_text_of_a_generated_log_stands_in_no_open_table(generated_log, tmp_path):
    """Its words are few, so some of them in a row are text that somebody wrote."""
    store = new_store(tmp_path)
    load(store, *generated_log.paths)
    word = (
        "(?:learning|model|student|answer|because|energy|matrix|market|policy|history|état|naïve|Größe|данные|القيمة)"
    )
    text = re.compile(rf"{word} \w+ {word} ", re.IGNORECASE)
    kept = [row["extra"] for row in rows(store, "event") if row["family"] in {"forum", "assessment"}]
    searched = [{**row, "query": ""} for row in rows(store, "forum")]
    assert len(kept) > 40
    assert not text.search(repr([kept, searched, rows(store, "assessment"), rows(store, "assessment_part")]))


def test_private_files_are_closed_to_others(planted):
    assert planted.private_folder.stat().st_mode & 0o777 == 0o700
    assert planted.keys_path.stat().st_mode & 0o777 == 0o600
    assert not planted.private_folder.is_relative_to(planted.folder)
