import pytest
from django.db import IntegrityError, OperationalError

from completion_aggregator.platforms.standalone.imports import attempts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(attempts, "SECONDS_BEFORE_NEXT", 0)


def failing(django_user_model, *, times, error=OperationalError):
    done: list[int] = []

    def work():
        django_user_model.objects.create(username=f"user{len(done)}")
        done.append(1)
        if len(done) <= times:
            raise error("Deadlock found when trying to get lock")
        return "done"

    return work


def test_what_failed_is_undone_and_done_again(django_user_model):
    assert attempts.in_transaction(failing(django_user_model, times=3)) == "done"
    assert list(django_user_model.objects.values_list("username", flat=True)) == ["user3"]


def test_it_is_not_tried_for_ever(django_user_model):
    with pytest.raises(OperationalError):
        attempts.in_transaction(failing(django_user_model, times=4))
    assert not django_user_model.objects.exists()


def test_another_error_is_not_tried_again(django_user_model):
    with pytest.raises(IntegrityError):
        attempts.in_transaction(failing(django_user_model, times=1, error=IntegrityError))
