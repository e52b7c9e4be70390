import pytest
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections

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
