import re

import pytest
from common.djangoapps.student.models import CourseAccessRole
from django.contrib.auth.models import User
from django.db import connection
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.platforms.openedx.tables import among, exactly
from tests.platforms.openedx.graphs import KEY
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


def test_a_key_is_that_key_to_the_letter_and_still_found_by_index():
    ann = learner("ann")
    keys = [KEY, *(KEY.replace(run=f"r{number}") for number in range(3000))]
    CourseAccessRole.objects.bulk_create(CourseAccessRole(user=ann, course_id=key, role="staff") for key in keys)
    for key, count in ((KEY, 1), (CourseKey.from_string(str(KEY).lower()), 0)):
        assert CourseAccessRole.objects.filter(exactly("course_id", key)).count() == count
        assert CourseAccessRole.objects.filter(exactly("course_id", key), course_id=key).count() == count
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {'TABLE ' if connection.vendor == 'mysql' else ''}student_courseaccessrole")
    plan = CourseAccessRole.objects.filter(exactly("course_id", KEY), course_id=KEY).explain()
    assert re.search(r"student_courseaccessrole_course_id_\w+", plan)
