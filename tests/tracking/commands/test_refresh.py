import io
import json

import pyarrow.parquet as pq
import pytest

from completion_aggregator.platforms.standalone.models import LmsUser
from completion_aggregator.tracking.commands import tree
from completion_aggregator.tracking.store import Store
from tests.platforms.standalone.builders import course, learner
from tests.tracking.refresh.bson_writing import encode
from tests.tracking.refresh.sources import dump_of
from tests.tracking.refresh.test_activity import STATE, of
from tests.tracking.refresh.test_forum import MONGO
from tests.tracking.refresh.test_grades import TABLES as GRADES
from tests.tracking.refresh.test_platform import TABLES as PLATFORM


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store", tmp_path / "private", tmp_path / "keys.json")
    store.create()
    return store


@pytest.fixture
def place(store, settings):
    settings.COMPLETION_AGGREGATOR_TRACKING_STORE = store.folder
    settings.COMPLETION_AGGREGATOR_TRACKING_PRIVATE_STORE = store.private_folder
    settings.COMPLETION_AGGREGATOR_TRACKING_KEYS = store.keys_path
    settings.COMPLETION_AGGREGATOR_PLATFORM = "tests.fakes.platform.FakePlatform"
    return store


@pytest.fixture
def dump(tmp_path):
    path = tmp_path / "lms.sql"
    path.write_bytes(dump_of({**GRADES, **PLATFORM, **of(("problem", 1.0, 4.0, json.dumps(STATE)))}))
    return path


@pytest.fixture(autouse=True)
def only_this(monkeypatch):
    monkeypatch.setattr(tree, "COMMANDS", ("refresh",))


def run(*words):
    out, err = io.StringIO(), io.StringIO()
    status = tree.run("tracking", ["refresh", *map(str, words)], out, err)
    return status, out.getvalue(), err.getvalue()


def names(folder):
    return sorted(path.stem for path in folder.iterdir())


@pytest.mark.django_db
def test_all_is_refreshed_from_dumps(place, dump, tmp_path):
    forum = tmp_path / "contents.bson"
    forum.write_bytes(b"".join(map(encode, MONGO)))
    status, out, err = run("all", "--from-dump", dump, "--forum-dump", forum, "--json")
    assert (status, err) == (0, "")
    assert [(each["refresh"], each["rows"], each["error"]) for each in json.loads(out)] == [
        ("courses", {"block": 0, "course": 0}, None),
        ("grades", {"grade": 8}, None),
        (
            "platform",
            {"enrollment_now": 2, "cohort_member": 2, "team_member": 1, "partition_member": 1, "course_role": 1}
            | {"lti_person": 1, "anonymous_id": 2, "user": 2, "profile": 2},
            None,
        ),
        ("forum", {"post": 3}, None),
        ("activity", {"activity": 1}, None),
    ]
    assert names(place.tables_folder) == [
        "activity", "block", "cohort_member", "course", "course_role", "enrollment_now", "grade", "partition_member",
        "post", "team_member",
    ]  # fmt: skip
    assert names(place.private_folder / "tables") == ["anonymous_id", "lti_person", "profile", "user"]


def test_people_are_those_of_the_events(place, dump):
    assert run("platform", "--tables", "user,enrollment_now", "--from-dump", dump)[0] == 0
    (ana, _) = pq.read_table(place.private_folder / "tables" / "user.parquet").to_pylist()
    (enrollment, _) = pq.read_table(place.tables_folder / "enrollment_now.parquet").to_pylist()
    assert ana["person"] == enrollment["person"]
    assert ana["person"].bytes == place.pseudonym(7, "ana")


@pytest.mark.django_db
def test_what_fails_is_said_and_the_rest_is_done(place, dump):
    status, out, err = run("all", "--from-dump", dump)
    assert status == 1
    assert err.startswith(f"forum failed: {dump} has no table django_content_type; it has auth_user, auth_userprofile")
    assert [line.split(":")[0] for line in out.splitlines() if line[0] != " "] == [
        "courses", "grades", "platform", "activity",
    ]  # fmt: skip
    assert "grades: grade 8 rows, " in out


@pytest.mark.django_db
def test_a_database_without_the_tables_says_so(place):
    status, out, err = run("grades")
    assert (status, out) == (1, "")
    assert err.startswith("grades failed: the database 'default' has no table grades_persistentcoursegrade; it has ")


@pytest.mark.django_db
def test_of_a_site_that_is_no_lms_it_brings_what_that_lists(place, settings):
    """The site's accounts have numbers of their own, which are those of others in the logs."""
    settings.COMPLETION_AGGREGATOR_PLATFORM = "completion_aggregator.platforms.standalone.platform.StandalonePlatform"
    course()
    LmsUser.objects.create(lms_id=7, user=learner("ana"))
    learner("ben")
    status, out, err = run("platform", "--json")
    assert (status, err) == (0, "")
    (summary,) = json.loads(out)
    assert summary["rows"] == {"enrollment_now": 2, "cohort_member": 0}
    persons = pq.read_table(place.tables_folder / "enrollment_now.parquet").column("person").to_pylist()
    assert [each.bytes for each in persons] == [place.pseudonym(7, ""), place.pseudonym(None, "ben")]
    assert not (place.private_folder / "tables").exists()
    assert run("platform", "--tables", "user")[0] == 1


def test_what_cannot_be_meant_is_refused(place, dump, tmp_path, capsys):
    assert run("grades", "--tables", "user", "--from-dump", dump) == (
        2,
        "",
        "--tables chooses tables of platform, not of grades\n",
    )
    assert run("platform", "--tables", "wages") == (2, "", "")
    assert "no table wages; there are enrollment_now, " in capsys.readouterr().err
    assert run("grades", "--using", "replica") == (1, "", "Error: the site has no database 'replica'; it has default\n")
    status, _, err = run("grades", "--from-dump", tmp_path / "absent.sql")
    assert (status, err) == (1, f"grades failed: {tmp_path / 'absent.sql'} cannot be read: No such file or directory\n")
    status, _, err = run("courses", "--store", tmp_path / "nowhere")
    assert status == 1
    assert "there is no store in" in err
