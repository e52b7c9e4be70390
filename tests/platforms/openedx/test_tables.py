import pytest
from django.contrib.auth.models import User
from django.db import connection

from completion_aggregator.platforms.openedx.tables import among
from tests.platforms.openedx.people import learner

pytestmark = pytest.mark.django_db


def test_ids_find_those_who_have_them():
    people = [learner(name) for name in ("ann", "ben", "cleo")]
    chosen = [people[2].pk, people[0].pk]
    assert set(User.objects.filter(among("pk", chosen)).values_list("pk", flat=True)) == set(chosen)
    assert not User.objects.filter(among("pk", [])).exists()


def test_a_condition_on_ids_uses_the_index_of_the_database():
    User.objects.bulk_create([User(username=f"u{number}") for number in range(3000)])
    some = User.objects.filter(among("pk", list(User.objects.values_list("pk", flat=True)[:20])))
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {'TABLE ' if connection.vendor == 'mysql' else ''}auth_user")
    names = {"mysql": "PRIMARY", "postgresql": "auth_user_pkey", "sqlite": "USING INTEGER PRIMARY KEY"}
    assert names[connection.vendor] in some.explain()
