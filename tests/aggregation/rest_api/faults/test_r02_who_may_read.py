"""R2: any learner read any course's mean; course staff could not read their own course."""

import pytest

from tests.aggregation.builders import KEY
from tests.aggregation.rest_api.school import answer, get, give_role, keys, person, small

pytestmark = pytest.mark.django_db

DENIED = (403, {"detail": "You do not have permission to perform this action."})


def test_r02_a_learner_may_not_read_the_mean_of_her_course() -> None:
    ana = person("ana", small())
    assert answer(get(ana, f"v1/stats/{KEY}/")) == DENIED
    assert answer(get(ana, f"v1/course/{KEY}/")) == DENIED


@pytest.mark.parametrize("role", ["staff", "limited_staff", "instructor"])
def test_r02_course_staff_read_their_course_and_no_other(role: str) -> None:
    other = small(keys(1)[0])
    person("ana", small(), other)
    teacher = give_role(person("teacher"), role)
    status, body = answer(get(teacher, f"v1/course/{KEY}/"))
    assert (status, [entry["username"] for entry in body["results"]]) == (200, ["ana"])
    assert get(teacher, f"v1/course/{KEY}/", username="ana").status_code == 200
    assert get(teacher, f"v0/course/{KEY}/", username="ana").status_code == 200
    assert get(teacher, f"v1/stats/{KEY}/").status_code == 200
    for path in (f"v1/course/{other}/", f"v1/stats/{other}/"):
        assert answer(get(teacher, path)) == DENIED
    assert answer(get(teacher, f"v1/course/{other}/", username="ana")) == DENIED
