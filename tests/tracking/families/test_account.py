import pytest

from tests.tracking.families.events import Taken, taken

FORM = {
    "username": "alice",
    "name": "Alice A.",
    "email": "alice@example.org",
    "password": "secret",
    "year_of_birth": 1990,
    "level_of_education": "b",
    "gender": "f",
    "goals": "",
    "terms_of_service": True,
    "honor_code": "true",
    "course_id": "MITx/6.00x/2012_Fall",
    "csrfmiddlewaretoken": "t",
}
ROW = {
    "username": "alice",
    "name": "Alice A.",
    "email": "alice@example.org",
    "gender": "f",
    "year_of_birth": "1990",
    "level_of_education": "b",
    "honor_code": "true",
    "terms_of_service": "True",
}


@pytest.mark.parametrize(
    "name", ["/create_account", "/user_api/v1/account/registration/", "/api/user/v2/account/registration/"]
)
def test_the_form_of_a_new_account_is_private_and_has_no_password(name):
    sent = {"GET": {}, "POST": {field: [value] for field, value in FORM.items()}}
    assert taken(name, sent) == Taken("", {"account": [ROW]}, {})


def test_a_form_of_2012_is_flat():
    assert taken("/create_account", dict(FORM)) == Taken("", {"account": [ROW]}, {})


@pytest.mark.parametrize("sent", [{}, {"GET": {}}, {"POST": "cut"}, {"POST": {"password": ["secret"]}}])
def test_a_form_of_which_nothing_is_left_makes_no_row(sent):
    assert taken("/create_account", sent) == Taken("", {}, {})


def test_whether_somebody_wants_mail():
    found = taken("change-email-settings", {"receive_emails": "yes", "course": "a/b/c"})
    assert found == Taken("", {"account": [{"receive_emails": "yes"}]}, {"course": "a/b/c"})


@pytest.mark.parametrize(
    ("setting", "rows"),
    [("email", {"account": [{"email": "new@example.org"}]}), ("bio", {})],
)
def test_a_setting_that_tells_who_somebody_is_does_not_stay(setting, rows):
    sent = {
        "setting": setting,
        "old": "old@example.org",
        "new": "new@example.org",
        "table": "auth_user",
        "user_id": 12,
    }
    assert taken("edx.user.settings.changed", sent) == Taken("", rows, {"setting": setting, "table": "auth_user"})


def test_a_setting_that_tells_nothing_stays():
    sent = {"setting": "pref-lang", "old": None, "new": "en", "table": "user_api_userpreference", "user_id": 12}
    left = {"setting": "pref-lang", "old": None, "new": "en", "table": "user_api_userpreference"}
    assert taken("edx.user.settings.changed", sent) == Taken("", {}, left)
