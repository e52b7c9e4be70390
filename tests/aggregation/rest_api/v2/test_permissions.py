"""Who may read what, on the roles of the standalone platform; and that a denial tells nothing."""

import pytest
from django.contrib.auth.models import User
from opaque_keys.edx.keys import CourseKey
from rest_framework.response import Response
from rest_framework.test import APIClient

from completion_aggregator.platforms.standalone.models import Course, CourseRole, Enrollment
from tests.platforms.standalone import builders
from tests.platforms.standalone.builders import KEY

pytestmark = pytest.mark.django_db

ROOT = "/completion-aggregator/v2/courses/"
ELSEWHERE = CourseKey.from_string("course-v1:Org+Elsewhere+1")
UNKNOWN = CourseKey.from_string("course-v1:Org+Unknown+1")
DENIED = {"detail": "You do not have permission to perform this action."}

#: Whom, and of whom is asked; "own" and "other" are learners of the course, "me" is the one who asks.
OPERATIONS = {
    "my courses": ROOT,
    "courses of another": f"{ROOT}?username=other",
    "courses of nobody": f"{ROOT}?username=nobody",
    "myself": f"{ROOT}{KEY}/learners/{{me}}/",
    "another": f"{ROOT}{KEY}/learners/other/",
    "nobody": f"{ROOT}{KEY}/learners/nobody/",
    "somebody not enrolled": f"{ROOT}{KEY}/learners/outsider/",
    "another in an unknown course": f"{ROOT}{UNKNOWN}/learners/other/",
    "the class": f"{ROOT}{KEY}/learners/",
    "the class as CSV": f"{ROOT}{KEY}/learners/?format=csv",
    "the class as NDJSON": f"{ROOT}{KEY}/learners/?format=ndjson",
    "an unknown class": f"{ROOT}{UNKNOWN}/learners/",
    "the summary": f"{ROOT}{KEY}/summary/",
    "an unknown summary": f"{ROOT}{UNKNOWN}/summary/",
}
LEARNER = {"my courses": 200, "myself": 200}
OUTSIDER = {"my courses": 200, "myself": 404}
STAFF = {
    "my courses": 200,
    "myself": 404,
    "another": 200,
    "nobody": 404,
    "somebody not enrolled": 404,
    "the class": 200,
    "the class as CSV": 200,
    "the class as NDJSON": 200,
    "the summary": 200,
}
EVERYTHING = {
    **STAFF,
    "courses of another": 200,
    "courses of nobody": 404,
    "another in an unknown course": 404,
    "an unknown class": 404,
    "an unknown summary": 404,
}
#: What each may do; all else is 403.
MATRIX = {
    "learner": LEARNER,
    "beta tester": LEARNER,
    "enrolled elsewhere": OUTSIDER,
    "staff of another course": OUTSIDER,
    "inactive learner": LEARNER,
    "inactive staff": OUTSIDER,
    "inactive global staff": OUTSIDER,
    "staff": STAFF,
    "limited staff": STAFF,
    "instructor": STAFF,
    "global staff": EVERYTHING,
}


@pytest.fixture
def courses() -> None:
    """Make two courses; "other" is enrolled in one of them, "outsider" is not."""
    builders.course()
    elsewhere = Course.objects.create(course_key=ELSEWHERE, title="Elsewhere", current=Course.objects.get().current)
    here = Course.objects.get(course_key=KEY)
    Enrollment.objects.create(user=User.objects.create_user("other"), course=here)
    Enrollment.objects.create(user=User.objects.create_user("outsider"), course=elsewhere)


def person(role: str) -> User:
    """Return a user with this role, with an upper-case letter in the name."""
    here, elsewhere = Course.objects.get(course_key=KEY), Course.objects.get(course_key=ELSEWHERE)
    user = User.objects.create_user("Me", is_active=not role.startswith("inactive"), is_staff="global staff" in role)
    if role in ("learner", "inactive learner", "beta tester"):
        Enrollment.objects.create(user=user, course=here)
    if role == "enrolled elsewhere":
        Enrollment.objects.create(user=user, course=elsewhere)
        Enrollment.objects.create(user=user, course=here, is_active=False)
    kinds = CourseRole.Role
    held = {
        "beta tester": kinds.BETA_TESTERS, "staff": kinds.STAFF, "inactive staff": kinds.STAFF,
        "limited staff": kinds.LIMITED_STAFF, "instructor": kinds.INSTRUCTOR,
    }  # fmt: skip
    if role in held:
        CourseRole.objects.create(user=user, course=here, role=held[role])
    if role == "staff of another course":
        CourseRole.objects.create(user=user, course=elsewhere, role=kinds.STAFF)
    return user


def client(user: User | None) -> APIClient:
    asking = APIClient()
    if user is not None:
        asking.force_authenticate(user)
    return asking


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("role", MATRIX)
def test_everybody_may_do_what_the_matrix_says(courses: None, role: str, operation: str):
    address = OPERATIONS[operation].format(me="me")  # not as it is stored
    answer = client(person(role)).get(address)
    assert answer.status_code == MATRIX[role].get(operation, 403)
    if answer.status_code == 403:
        assert answer.json() == DENIED


@pytest.mark.parametrize("operation", OPERATIONS)
def test_who_is_not_logged_in_gets_one_answer(courses: None, operation: str):
    answer = client(None).get(OPERATIONS[operation].format(me="other"))
    assert (answer.status_code, answer.json()) == (
        401,
        {"detail": "Authentication credentials were not provided."},
    )


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("verb", ["post", "put", "patch", "delete"])
def test_nothing_can_be_written(courses: None, operation: str, verb: str):
    answer = getattr(client(person("global staff")), verb)(OPERATIONS[operation].format(me="me"))
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("role", ["learner", "enrolled elsewhere", "staff of another course", "inactive staff"])
@pytest.mark.parametrize("verb", ["get", "head"])
def test_a_denial_is_the_same_whether_course_and_learner_exist_or_not(courses: None, role: str, verb: str):
    asking = client(person(role))
    answers: list[Response] = [
        getattr(asking, verb)(f"{ROOT}{key}/{rest}")
        for key in (KEY, UNKNOWN)
        for rest in ("learners/other/", "learners/nobody/", "learners/", "learners/?format=csv", "summary/")
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(403, answers[0].content)}
    shown = [{name: value for name, value in answer.headers.items() if name != "Content-Length"} for answer in answers]
    assert all(each == shown[0] for each in shown)


@pytest.mark.parametrize("role", ["learner", "global staff"])
@pytest.mark.parametrize("verb", ["options", "post"])
def test_other_verbs_tell_nothing_of_a_course_either(courses: None, role: str, verb: str):
    asking = client(person(role))
    known, unknown = (getattr(asking, verb)(f"{ROOT}{key}/learners/") for key in (KEY, UNKNOWN))
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)


def test_for_oneself_an_unknown_course_is_like_one_where_one_is_not_enrolled(courses: None):
    asking = client(person("enrolled elsewhere"))
    answers = [asking.get(f"{ROOT}{key}/learners/Me/") for key in (KEY, UNKNOWN)]
    assert [(each.status_code, each.json()) for each in answers] == [
        (404, {"detail": f"User 'Me' does not have an active enrollment in course '{key}'."}) for key in (KEY, UNKNOWN)
    ]


def test_course_staff_do_not_learn_who_has_an_account(courses: None):
    asking = client(person("staff"))
    answers = [asking.get(f"{ROOT}{KEY}/learners/{name}/") for name in ("nobody", "outsider", "OUTSIDER")]
    assert [(each.status_code, each.json()) for each in answers] == [
        (404, {"detail": f"User '{name}' does not have an active enrollment in course '{KEY}'."})
        for name in ("nobody", "outsider", "OUTSIDER")
    ]


def test_a_learner_is_spelled_as_stored(courses: None):
    assert client(person("learner")).get(f"{ROOT}{KEY}/learners/mE/").json()["username"] == "Me"


def test_an_inactive_user_is_nobody_to_a_session(courses: None):
    user, asking = person("inactive learner"), APIClient()
    asking.force_login(user)
    assert asking.get(f"{ROOT}{KEY}/learners/Me/").status_code == 401


@pytest.mark.parametrize("key", ["nonsense", "course-v1:a", "library-v1:Org+Lib", "a" * 300])
def test_what_is_no_course_key_is_not_found(courses: None, key: str):
    asking = client(person("learner"))
    answers = [asking.get(f"{ROOT}{key}/{rest}") for rest in ("learners/Me/", "learners/", "summary/")]
    assert [(each.status_code, each.json()) for each in answers] == [
        (404, {"detail": f"Invalid course key: '{key}'."})
    ] * 3
