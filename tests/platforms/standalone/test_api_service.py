"""Logging in to the standalone site, by page and by token, and how often."""

import subprocess
import sys
from base64 import b64encode
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.test import Client
from django.views import View
from rest_framework.authtoken.models import Token
from rest_framework.throttling import SimpleRateThrottle
from waffle.models import Switch

from completion_aggregator.exceptions import InvalidSetting
from completion_aggregator.platforms.standalone import access
from completion_aggregator.platforms.standalone.wsgi import application
from tests.aggregation.builders import KEY, usage
from tests.aggregation.rest_api.school import person, post, small
from tests.platforms.standalone.builders import learner
from tests.platforms.standalone.test_cli import environment_of

COURSES = "/completion-aggregator/v2/courses/"
PASSWORD = "correct horse"
SWITCH = "completion.enable_completion_tracking"
REFUSED = {"non_field_errors": ["Unable to log in with provided credentials."]}
PRINT_HARDENED = """
import json, django
django.setup()
from django.conf import settings
rates = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]
print(json.dumps([settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE, rates]))
"""


@pytest.fixture
def ana(db):
    return learner("ana", password=PASSWORD)


@pytest.fixture
def rates(monkeypatch):
    """Set rates, and forget what was counted."""

    def set_rates(**rates: str) -> None:
        cache.clear()
        monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", dict.fromkeys(access.RATES) | rates)

    yield set_rates
    cache.clear()


def ask_token(client, name="ana", password=PASSWORD, **how):
    return client.post("/api/token/", {"username": name, "password": password}, "application/json", **how)


def test_a_password_buys_a_token_always_the_same(client, ana):
    first, second = ask_token(client), ask_token(client)
    assert (first.status_code, first.json()) == (200, {"token": Token.objects.get(user=ana).key})
    assert second.json() == first.json()


def test_a_token_may_be_asked_for_with_a_form(client, ana):
    response = client.post("/api/token/", "username=ana&password=correct+horse", "application/x-www-form-urlencoded")
    assert response.json() == {"token": Token.objects.get(user=ana).key}


@pytest.mark.parametrize(("name", "password"), [("ana", "wrong"), ("nobody", PASSWORD)])
def test_a_refusal_does_not_say_whether_the_user_exists(client, ana, name, password):
    response = ask_token(client, name, password)
    assert (response.status_code, response.json()) == (400, REFUSED)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("{}", {"username": ["This field is required."], "password": ["This field is required."]}),
        ("[1]", {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}),
        ("nope", {"detail": "JSON parse error - Expecting value: line 1 column 1 (char 0)"}),
        (
            r'{"username": "\ud800", "password": "a\u0000b"}',
            {
                "username": ["Surrogate characters are not allowed: U+D800."],
                "password": ["Null characters are not allowed."],
            },
        ),
    ],
)
def test_a_body_that_is_no_log_in_is_refused_with_the_reason(client, db, body, answer):
    response = client.post("/api/token/", body, "application/json")
    assert (response.status_code, response.json()) == (400, answer)


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        ("[" * 100_000, "application/json", 400),
        ("username=ana", "text/plain", 415),
    ],
)
def test_no_body_ends_in_an_error_of_ours(client, ana, body, media_type, status):
    assert client.generic("POST", "/api/token/", body, media_type).status_code == status


@pytest.mark.parametrize("charset", ["hex", "zip", "undefined", "no-such", "utf-16", "UTF-8", '"utf-8"'])
def test_a_charset_that_is_not_for_text_does_no_harm(db, charset):
    environ: dict[str, Any] = {
        "PATH_INFO": "/login/",
        "QUERY_STRING": "next=%2Fx%FF",
        "CONTENT_TYPE": f"text/plain; charset={charset}",
        "HTTP_HOST": "testserver",
    }
    setup_testing_defaults(environ)
    said: list[str] = []
    list(application(environ, lambda status, headers: said.append(status)))
    assert said == ["200 OK"]


def test_an_address_that_is_none_is_told_to_programs_in_json_and_to_people_in_a_page(client, db):
    answers = [
        client.get(path) for path in ("/api/nothing/", "/completion-aggregator/v2/courses/a%0Ab/summary/", "/no/")
    ]
    assert [(each.status_code, each.headers["Content-Type"]) for each in answers] == [
        (404, "application/json"),
        (404, "application/json"),
        (404, "text/html; charset=utf-8"),
    ]
    assert answers[0].json() == {"detail": "Not found."}


@pytest.mark.parametrize(
    ("path", "media_type"), [("/api/docs/", "application/json"), ("/", "text/html; charset=utf-8")]
)
def test_an_error_of_ours_is_told_without_its_reason(client, monkeypatch, path, media_type):
    def fail(*_, **__):
        raise RuntimeError("a secret")

    monkeypatch.setattr(View, "setup", fail)
    client.raise_request_exception = False
    response = client.get(path)
    assert (response.status_code, response.headers["Content-Type"]) == (500, media_type)
    assert b"secret" not in response.content


def test_tokens_are_not_shown_to_get_requests(client, db):
    assert client.get("/api/token/").status_code == 405


def test_a_token_needs_neither_a_cookie_nor_heeds_one(ana):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana)
    assert ask_token(client, headers={"Authorization": "Token of-somebody-else"}).status_code == 200


def test_attempts_at_a_name_are_counted(client, ana, rates):
    rates(login="2/min")
    statuses = [ask_token(client, name, "wrong").status_code for name in ("ana", "Ana", "bob", "ana")]
    assert statuses == [400, 400, 400, 429]
    # Whatever it is dressed up in, as long as it is the same to whoever checks the password.
    assert [ask_token(client, name, PASSWORD).status_code for name in (" ana", "ana\t", "\uff41\uff4e\uff41")] == [
        429,
        429,
        429,
    ]
    response = ask_token(client)
    wait = response.headers["Retry-After"]
    assert 0 < int(wait) <= 60
    assert response.json() == {"detail": f"Request was throttled. Expected available in {wait} seconds."}


def test_attempts_from_an_address_are_counted_whatever_it_calls_itself(client, ana, rates):
    rates(anon="2/min")
    statuses = [
        ask_token(client, name, "wrong", headers={"X-Forwarded-For": f"10.0.0.{nth}"}).status_code
        for nth, name in enumerate(("ana", "bob", "eve"))
    ]
    assert statuses == [400, 400, 429]
    assert ask_token(client, REMOTE_ADDR="192.0.2.7").status_code == 200


def test_the_page_and_the_token_count_together(client, ana, rates):
    rates(login="2/min")
    ask_token(client, password="wrong")
    client.post("/login/", {"username": "ana", "password": "wrong"})
    response = client.post("/login/", {"username": "ana", "password": PASSWORD})
    assert response.status_code == 429
    assert f"Try again in {response.headers['Retry-After']} s." in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_a_learner_logs_in_and_out_with_the_pages(ana):
    client = Client()
    page = client.post("/login/", {"username": "ana", "password": PASSWORD}, follow=True)
    assert page.redirect_chain == [("/", 302)]
    assert "<span>ana</span>" in page.content.decode()
    assert client.get("/logout/").status_code == 405
    page = client.post("/logout/", follow=True)
    assert page.redirect_chain == [("/", 302)]
    assert "<span>ana</span>" not in page.content.decode()


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/completion-aggregator/progress_bar/x/?a=1&b=2", "/completion-aggregator/progress_bar/x/?a=1&b=2"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_after_logging_in_one_stays_on_this_site(client, ana, wanted, reached):
    response = client.post("/login/", {"username": "ana", "password": PASSWORD, "next": wanted})
    assert (response.status_code, response.headers["Location"]) == (302, reached)


def test_the_page_to_log_in_keeps_where_one_wanted_to_go(client, db):
    assert (
        '<input type="hidden" name="next" value="/a/?b=1&amp;c=&quot;">'
        in client.get("/login/", {"next": '/a/?b=1&c="'}).content.decode()
    )


@pytest.mark.parametrize("page", ["/login/", "/logout/"])
def test_forms_need_their_csrf_token(ana, page):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana)
    assert client.post(page, {"username": "ana", "password": PASSWORD}).status_code == 403


def test_the_admin_site_has_the_same_page_to_log_in(client, db):
    response = client.get("/admin/", follow=True)
    assert response.redirect_chain == [("/admin/login/?next=/admin/", 302), ("/login/?next=%2Fadmin%2F", 302)]
    assert response.status_code == 200


def test_a_user_who_may_not_enter_the_admin_site_is_not_sent_in_circles(client, ana):
    client.force_login(ana)
    assert client.get("/admin/", follow=True).status_code == 200


def test_the_first_page_leads_where_one_may_go(client, admin_client):
    links = [
        [link in each.get("/").content.decode() for link in ("/login/", "/api/docs/", "/admin/")]
        for each in (client, admin_client)
    ]
    assert links == [[True, True, False], [False, True, True]]


@pytest.mark.parametrize("page", ["/", "/login/", "/api/docs/", "/admin/login/?next=/"])
def test_every_page_says_what_a_browser_may_do_with_it(client, db, page):
    headers = client.get(page, follow=True).headers
    assert {name: headers[name] for name in ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy")} == {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
    }
    assert headers["Content-Security-Policy"].startswith("default-src 'self';")


@pytest.mark.parametrize("page", ["/", "/login/", "/api/docs/"])
def test_no_page_needs_what_its_policy_forbids(client, db, page):
    content = client.get(page).content.decode()
    assert content.count("<script>") == 0
    assert "//cdn" not in content
    assert "http://" not in content


@pytest.mark.parametrize(
    ("raw", "rate"), [("600/min", "600/min"), (" 5 / Hour ", "5/hour"), ("1/s", "1/s"), ("none", None), ("NONE", None)]
)
def test_a_rate_is_read_from_the_environment(monkeypatch, raw, rate):
    monkeypatch.setenv("API_RATE_USER", raw)
    assert access.rest_framework()["DEFAULT_THROTTLE_RATES"]["user"] == rate


@pytest.mark.parametrize("raw", ["600", "0/min", "-1/min", "ten/min", "5/fortnight", "5/10m", "/min"])
def test_a_rate_that_cannot_be_read_is_named(monkeypatch, raw):
    monkeypatch.setenv("API_RATE_LOGIN", raw)
    with pytest.raises(InvalidSetting, match=f"API_RATE_LOGIN='{raw}': expected requests per s, min, hour or day"):
        access.rest_framework()


def test_a_site_is_limited_without_being_told_and_cookies_stay_on_tls_where_all_is(tmp_path):
    environment = environment_of(tmp_path) | {
        "DJANGO_SETTINGS_MODULE": "completion_aggregator.platforms.standalone.settings",
        "HTTPS": "true",
    }
    done = subprocess.run([sys.executable, "-c", PRINT_HARDENED], env=environment, stdout=-1, text=True, check=True)
    assert done.stdout == '[true, true, {"anon": "60/min", "user": "600/min", "login": "10/min"}]\n'


def test_the_api_says_how_to_log_in(client, db):
    response = client.get(COURSES)
    assert (response.status_code, response.json()) == (401, {"detail": "Authentication credentials were not provided."})
    assert response.headers["WWW-Authenticate"] == "Token"


def test_the_api_takes_a_token_or_a_session(client, ana):
    token = Token.objects.create(user=ana).key
    assert client.get(COURSES, headers={"Authorization": f"Token {token}"}).json()["username"] == "ana"
    client.force_login(ana)
    assert client.get(COURSES).json()["username"] == "ana"


@pytest.mark.parametrize("header", ["Token of-nobody", "Token", "Token a b", "Token \xff"])
def test_a_token_of_nobody_is_refused(client, db, header):
    assert client.get(COURSES, headers={"Authorization": header}).status_code == 401


def test_a_token_of_a_user_who_was_shut_out_is_refused(client, ana):
    token = Token.objects.create(user=ana).key
    get_user_model().objects.update(is_active=False)
    assert client.get(COURSES, headers={"Authorization": f"Token {token}"}).status_code == 401
    assert ask_token(client).json() == REFUSED


def test_a_session_that_changes_something_needs_a_csrf_token_and_a_token_needs_none(ana):
    path = "/completion-aggregator/v1/course/course-v1:A+B+C/"
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana)
    refused = client.post(path, {"username": "ana"}, "application/json")
    assert (refused.status_code, refused.json()) == (403, {"detail": "CSRF Failed: CSRF cookie not set."})
    authorization = {"Authorization": f"Token {Token.objects.create(user=ana).key}"}
    # There is no such course: the request came as far as that.
    assert client.post(path, {"username": "ana"}, "application/json", headers=authorization).status_code == 404


def test_a_site_may_name_other_classes(client, ana, settings):
    settings.COMPLETION_AGGREGATOR_API_AUTHENTICATION_CLASSES = ["rest_framework.authentication.BasicAuthentication"]
    authorization = "Basic " + b64encode(f"ana:{PASSWORD}".encode()).decode()
    assert client.get(COURSES, headers={"Authorization": authorization}).json()["username"] == "ana"
    client.force_login(ana)
    assert client.get(COURSES).headers["WWW-Authenticate"] == 'Basic realm="api"'


@pytest.mark.django_db
@pytest.mark.parametrize("credentials", [{}, {"Authorization": "Token of-nobody"}])
def test_nobody_may_ask_more_often_than_the_rate_for_an_address(client, rates, credentials):
    rates(anon="2/min")
    answers = [client.get(COURSES, headers=credentials) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60


def test_a_body_that_is_too_large_is_refused_in_json(client, ana):
    client.force_login(ana)
    path = "/completion-aggregator/v1/course/course-v1:A+b+C/"
    response = client.post(path, '"' + "a" * 3_000_000 + '"', "application/json")
    assert (response.status_code, response.json()) == (400, {"detail": "Bad request."})


@pytest.mark.parametrize(
    "path", [COURSES, "/completion-aggregator/v1/course/?username=ana", "/completion-aggregator/v0/course/"]
)
def test_each_user_may_ask_so_often(client, ana, rates, path):
    rates(user="2/min")
    client.force_login(ana)
    assert [client.get(path).status_code for _ in range(3)] == [200, 200, 429]
    assert 0 < int(client.get(path).headers["Retry-After"]) <= 60
    client.force_login(learner("bob"))
    assert client.get(path.replace("ana", "bob")).status_code == 200


@pytest.mark.django_db(transaction=True)  # waffle forgets what it has cached when a change is committed
def test_a_running_site_notices_that_completion_is_switched_off_and_on() -> None:
    Switch.objects.update_or_create(name=SWITCH, defaults={"active": True})
    ana = person("ana", small())
    block = f"v0/course/{KEY}/blocks/{usage('html', 'a')}/"

    answers = [post(ana, block, {"completion": 1.0}).status_code]
    for active in (False, True):
        Switch.objects.update_or_create(name=SWITCH, defaults={"active": active})
        answers.append(post(ana, block, {"completion": 1.0}).status_code)

    assert answers == [201, 409, 200]
