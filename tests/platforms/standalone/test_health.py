from threading import Event
from threading import enumerate as enumerate_threads
from time import monotonic

import pytest
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from completion_aggregator.platforms.standalone import health
from completion_aggregator.platforms.standalone.celery import app
from tests.platforms.standalone.builders import course, learner


@pytest.mark.django_db
def test_a_healthy_service_says_so_to_anybody(client):
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "database": connection.vendor})


@pytest.mark.django_db
def test_health_is_told_whatever_we_are_called(client, settings):
    settings.MIDDLEWARE = [
        "completion_aggregator.platforms.standalone.health.answer_any_host",
        "django.middleware.common.CommonMiddleware",
    ]
    assert client.get("/healthz", headers={"Host": "10.0.0.1"}).status_code == 200
    assert client.get("/", headers={"Host": "10.0.0.1"}).status_code == 400


@pytest.mark.django_db
def test_without_its_database_it_is_unavailable_and_tells_no_more(client, monkeypatch):
    def unreachable(*_):
        raise OperationalError("no route to 10.0.0.1")

    monkeypatch.setattr(connections[DEFAULT_DB_ALIAS], "cursor", unreachable)
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (503, {"status": "unavailable", "database": "unreachable"})


# --- ready ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def asked_anew():
    health.forget()
    yield
    health.forget()


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_are_answered_whatever_we_are_called(client, settings, asked_anew, transactional_db, path):
    settings.MIDDLEWARE = [
        "completion_aggregator.platforms.standalone.health.answer_any_host",
        "django.middleware.common.CommonMiddleware",
    ]
    assert client.get(path, headers={"Host": "10.0.0.1"}).status_code == 200


def test_a_site_that_can_work_is_ready(client, asked_anew, transactional_db):
    response = client.get("/readyz")
    checks = {"database": "ok", "migrations": "ok", "cache": "ok"}
    assert (response.status_code, response.json()) == (200, {"status": "ready", "checks": checks})


def test_a_process_lives_without_its_database_and_is_not_ready(
    client, asked_anew, transactional_db, monkeypatch, caplog
):
    def unreachable(*_):
        raise OperationalError("no route to 10.0.0.1")

    with monkeypatch.context() as patched:
        patched.setattr(type(connections[DEFAULT_DB_ALIAS]), "cursor", unreachable)
        response = client.get("/readyz")
        assert client.get("/livez").status_code == 200
    checks = {"database": "failed", "migrations": "failed", "cache": "ok"}
    assert (response.status_code, response.json()) == (503, {"status": "unavailable", "checks": checks})
    assert "not ready check=database: OperationalError" in caplog.text


def test_a_database_that_hangs_does_not_hang_the_answer(client, asked_anew, transactional_db, monkeypatch):
    end = Event()

    def hang(*_):
        end.wait(30)
        raise OperationalError("at last")

    with monkeypatch.context() as patched:
        patched.setattr(type(connections[DEFAULT_DB_ALIAS]), "cursor", hang)
        start = monotonic()
        responses = [client.get("/readyz") for _ in range(2)]
        took, asking = monotonic() - start, [each for each in enumerate_threads() if each.name == "probe"]
        end.set()
        for each in asking:
            each.join(10)
    assert took < 2 * health.PATIENCE + 2
    assert len(asking) == 2  # however often they are asked
    assert {each.status_code for each in responses} == {503}
    assert responses[0].json()["checks"] == {"database": "no answer", "migrations": "no answer", "cache": "ok"}


def test_missing_migrations_and_a_cache_that_forgets_are_told(client, asked_anew, transactional_db, settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    recorder = MigrationRecorder(connection)
    (newest,) = MigrationLoader(connection).graph.leaf_nodes("completion_aggregator")
    recorder.record_unapplied(*newest)
    try:
        response = client.get("/readyz")
    finally:
        recorder.record_applied(*newest)
    assert response.status_code == 503
    assert response.json()["checks"] == {"database": "ok", "migrations": "failed", "cache": "failed"}


def test_a_broker_that_is_away_is_told_and_turns_nobody_away(
    client, asked_anew, transactional_db, settings, monkeypatch
):
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setitem(app.conf, "broker_url", settings.CELERY_BROKER_URL)
    response = client.get("/readyz")
    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "degraded"
    assert body["checks"]["broker"] in {"failed", "no answer"}


# --- the admin site ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model", ["course", "courseversion", "enrollment", "courserole", "cohort", "cohortmembership", "groupassignment"]
)
def test_every_table_can_be_looked_at(admin_client, model):
    course()
    learner("ana")
    assert admin_client.get(f"/admin/completion_aggregator_standalone/{model}/").status_code == 200


def test_content_is_not_edited_by_hand(admin_client):
    version = course().current_id
    assert admin_client.get("/admin/completion_aggregator_standalone/course/add/").status_code == 403
    page = f"/admin/completion_aggregator_standalone/courseversion/{version}/change/"
    assert admin_client.get(page).status_code == 200
    assert admin_client.post(page, {"number": 7}).status_code == 403
