import json
import string
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from completion_aggregator.tracking.drift import fields
from completion_aggregator.tracking.scrub import (
    LARGEST_EXTRA,
    address,
    clean,
    is_free_text,
    is_harmless,
    is_personal,
    scrub,
)
from tests.tracking.limits import ends

BLOCK = "block-v1:Org.X+CS101+2024_T1+type@video+block@intro.v2"

any_text = st.text(st.characters(exclude_categories=()), max_size=60)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(any_text, inner, max_size=5),
    max_leaves=25,
)
payloads = st.dictionaries(any_text, json_values, max_size=6)
usernames = st.text(string.ascii_letters + string.digits + "_-.+@", min_size=3, max_size=20)
mails = st.builds(
    "{}@{}.{}".format,
    st.text(string.ascii_letters + string.digits + "._%+'-", min_size=1, max_size=20),
    st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=20),
    st.sampled_from(["org", "edu", "co.uk", "xn--p1ai"]),
)
ips = st.ip_addresses().map(str).filter(lambda ip: ip != "::")


def plant(draw: st.DrawFn, secret: str) -> dict[str, Any]:
    """Return a payload that holds the secret in a text and in a key, at some depth."""
    around = st.sampled_from(["", " ", "\n", "(", "), ", "see <", '"', "é ", "\U0001f600 "])
    value: Any = f"{draw(around)}{secret}{draw(st.sampled_from(['', ' ', ', ', ')', '>', '. ', '!']))}"
    if draw(st.booleans()):
        value = "x " * draw(st.integers(0, 800)) + value
    for _ in range(draw(st.integers(0, 4))):
        value = draw(
            st.sampled_from([{"a": value}, [1, value], {value: 1} if isinstance(value, str) else {"b": [value]}])
        )
    if draw(st.booleans()):
        value = json.dumps({"inner": value})
    return {**draw(payloads), "planted": value}


@st.composite
def payload_with(draw: st.DrawFn, secrets: st.SearchStrategy[str]) -> tuple[dict[str, Any], str]:
    secret = draw(secrets)
    return plant(draw, secret), secret


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for key, each in value.items() for text in (key, *texts(each))]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    return [value] if isinstance(value, str) else []


@given(payloads, any_text)
def test_anything_becomes_json_of_bounded_size(payload, username):
    extra = scrub(payload, username=username)
    assert extra is None or len(msgspec.json.encode(extra)) <= LARGEST_EXTRA
    assert list(fields(extra or {})) is not None


@given(payload_with(usernames))
def test_the_name_of_the_event_is_nowhere(case):
    payload, username = case
    for text in texts(scrub(payload, username=username)):
        assert username.lower() not in text.lower()


@given(payload_with(any_text.filter(bool)))
def test_any_name_is_nowhere(case):
    payload, username = case
    if len(username) < 3 or not username.isprintable() or username.lower() in {"cut", "length", "planted"}:
        return
    for text in texts(scrub(payload, username=username)):
        assert username.lower() not in text.lower() or text in {"length", "cut"}


@given(payload_with(mails))
def test_no_mail_is_left(case):
    payload, mail = case
    for text in texts(scrub(payload, username="")):
        assert mail.lower() not in text.lower()


@given(payload_with(ips))
def test_no_address_of_a_network_is_left(case):
    payload, ip = case
    for text in texts(scrub(payload, username="")):
        assert ip not in text.split()
        assert ip not in text or ip.count(":") == 2  # what looks like a time of the day, beside other digits


@pytest.mark.parametrize(
    "key",
    [
        "username", "USERNAME", "userName", "email", "target_username", "user", "user_name", "user_id", "student",
        "student_id", "password", "password2", "passwd", "csrfmiddlewaretoken", "csrf_token", "X-CSRFToken", "token",
        "access_token", "secret", "client_secret", "session", "session_id", "sessionid", "ip", "bookmark_id", "name",
        "first_name", "last_name", "full_name", "real_name", "phone", "phone_number", "address", "mailing_address",
        "requesting_student_id", "scorer_id", "year_of_birth", "anonymous_user_id", "instructor_id", "group_user",
    ],
)  # fmt: skip
def test_what_is_somebodys_goes_at_any_depth(key):
    payload = {"kept": 1, key: "x", "deep": [{key: {"a": 1}, "b": 2}]}
    assert scrub(payload, username="ana") == {"kept": 1, "deep": [{"b": 2}]}


def test_what_says_nothing_of_anybody_stays_as_it_is():
    payload = {
        "course_id": "course-v1:Org+CS101+2024",
        "block": BLOCK,
        "old_block": "i4x://Org/CS101/video/abc",
        "user_course_roles": ["Student"],
        "value": 0.25,
        "whole": 3,
        "flag": True,
        "none": None,
        "when": "2024-02-01T10:11:12.5+00:00",
        "version": "4.1.0",
        "list": [],
        "ratio": "10:15:20",
        "widget": {"deep": [{"a": 1}]},
    }
    assert scrub(payload, username="ana") == payload


def test_nothing_is_none():
    assert scrub({}, username="ana") is None
    assert scrub({"username": "ana"}, username="ana") is None


def test_of_free_text_the_length_stays():
    payload = {"body": "Hello all", "title": "", "answer": {"parts": [{"text": "Mine"}]}, "feedback": ["Good", "Bad"]}
    assert scrub(payload, username="ana") == {
        "body": {"length": 9},
        "title": {"length": 0},
        "answer": {"parts": [{"text": {"length": 4}}]},
        "feedback": [{"length": 4}, {"length": 3}],
    }


def test_a_changed_setting_is_told_only_where_it_says_nothing():
    assert scrub({"setting": "language", "old": "de", "new": "en"}, username="") == {
        "setting": "language",
        "old": "de",
        "new": "en",
    }
    assert scrub({"setting": "bio", "old": None, "new": "I am"}, username="") == {"setting": "bio"}
    assert scrub({"setting": ["name"], "old": "A", "new": "B"}, username="") == {"setting": ["name"]}


def test_a_form_sent_as_text_is_scrubbed_inside():
    form = json.dumps({"username": "bob", "password": "x", "n": 1, "body": "abc"})
    told = '{"n":1,"body":{"length":3}}'
    assert scrub({"POST": form}, username="") == {"POST": told}
    assert scrub({"POST": {form: [""]}}, username="") == {"POST": {told: [""]}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("username=bob&x=1", "username=*&x=1"),
        ('{"password": "a b\\"c", "x": 1', '{"password": *, "x": 1'),
        ("csrfmiddlewaretoken=abc", "csrfmiddlewaretoken=*"),
        ("{'email': ['x y'], 'n': 1", "{'email': [*], 'n': 1"),
        ("mail bob.o'x+1@example.co.uk.", "mail [mail]."),
        ("next=/u/bob%40example.org", "next=/u/[mail]"),
        ("from 10.1.2.3:80 to fe80::1%eth0.", "from [address]:80 to [address]%eth0."),
        ("::ffff:10.0.0.1", "[address]:[address]"),
        ("std::vector at 10:15:20", "std::vector at 10:15:20"),
        (BLOCK, BLOCK),
        (f"https://x.org/jump_to/{BLOCK}/", f"https://x.org/jump_to/{BLOCK}/"),
        (BLOCK.replace(":", "%3A").replace("+", "%2B").replace("@", "%40"),) * 2,
        (f"{BLOCK}@example.org", "block-v1:Org.X+CS101+2024_T1+type@[mail]@example.org"),
        ("Ana says ANA, bandana", "[name] says [name], band[name]"),
        ("", ""),
    ],
)
def test_a_text_is_cleaned(text, told):
    assert clean(text, "ana") == told


def test_a_short_name_counts_as_a_word_only():
    assert clean("ab, about Ab-ab cab", "ab") == "[name], about [name]-[name] cab"


def test_a_name_is_found_in_all_its_writings():
    assert clean("/u/ana%2Bx /u/ana+x ANA%2bX", "ana+x") == "/u/[name] /u/[name] [name]"
    assert clean(r"{\u00e9mile} ÉMILE %C3%A9mile", "émile") == "{[name]} [name] [name]"


@pytest.mark.parametrize("username", ["name", "NAM", "e]x", "[na", "mail", "address", "e", "*", "[*]", "[*#]"])
def test_what_stands_for_a_name_is_no_name(username):
    told = clean(f"{username} {username}{username} x{username}x bob@x.org", username)
    assert username.lower() not in told.lower() or len(username) < 3
    assert username.lower() not in told.lower().split()


def test_a_long_text_is_cut_and_says_so():
    assert scrub({"a": "x" * 5000}, username="") == {"a": "x" * 1000, "cut": True}


@pytest.mark.parametrize("shift", range(0, 60, 7))
def test_a_cut_leaves_no_half_of_a_name(shift):
    text = "x " * 480 + "y" * shift + " anastasia.von.berg@example.org " + "z" * 900
    assert "anastasia" not in scrub({"a": text}, username="")["a"]  # type: ignore[index]


def test_too_much_is_cut_and_says_so():
    payload = {"kept": 1, "many": [{"number": n} for n in range(100_000)], "late": 1}
    extra = scrub(payload, username="")
    assert extra is not None
    assert (extra["kept"], extra["cut"], "late" in extra) == (1, True, False)
    assert extra["many"][:2] == [{"number": 0}, {"number": 1}]
    assert 2000 < len(msgspec.json.encode(extra)) <= LARGEST_EXTRA


def test_too_deep_is_cut_and_says_so():
    payload: Any = {"a": 1}
    for _ in range(500):
        payload = {"a": [payload]}
    extra = scrub(payload, username="")
    assert extra is not None
    assert extra["cut"] is True


def test_a_field_called_cut_is_not_taken_for_ours():
    assert scrub({"cut": 5}, username="") == {"cut *": 5}


def test_keys_that_become_one_stay_two():
    assert scrub({"a@x.org": 1, "b@x.org": 2}, username="") == {"[mail]": 1, "[mail]*": 2}


def test_numbers_that_no_column_holds_are_not_kept():
    payload = {"big": 2**64, "huge": 10**5000, "nan": float("nan"), "inf": float("-inf"), "fits": -(2**63)}
    assert scrub(payload, username="") == {"big": None, "huge": None, "nan": None, "inf": None, "fits": -(2**63)}


def test_halves_of_surrogates_are_replaced():
    assert scrub({"a\ud800": "b\udc00"}, username="") == {"a\ufffd": "b\ufffd"}


@pytest.mark.parametrize(
    "text",
    [
        "block-v1:" * 20_000,
        "a." * 50_000,
        "a%40" * 40_000,
        "1." * 50_000,
        "1" * 100_000 + ".1.1.",
        "a:" * 50_000,
        ":" * 100_000,
        "username=" * 20_000,
        'password="' + "\\" * 100_000,
        "block-v1:" + "a+" * 50_000,
        "," * 50_000 + "%2" * 20_000,
    ],
)  # fmt: skip
def test_no_text_takes_long(text):
    with ends(within=30):
        clean(text, "ana")
        address("/u/" + text, "ana")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", ""),
        ("x_module", "x_module"),
        ("/event", "/event"),
        ("https://bob:pw@lms.example.org:8000/a/b/?email=x#y", "https://lms.example.org:8000/a/b/"),
        ("//bob@lms.example.org", "//lms.example.org"),
        (f"https://x.org/xblock/{BLOCK}?show_title=0", f"https://x.org/xblock/{BLOCK}"),
        ("/courses/Org/CS101/2024/courseware/week_1/", "/courses/Org/CS101/2024/courseware/week_1/"),
        ("/u/bob", "/u/*"),
        ("/users/17/followed/", "/users/*/followed/"),
        ("/api/user/v1/accounts/bob", "/api/user/v1/accounts/*"),
        ("/api/user/v1/me", "/api/user/v1/me"),
        ("/api/profile_images/v1/bob/upload", "/api/profile_images/v1/*/upload"),
        ("/api/mobile/v0.5/users/bob/course_enrollments/", "/api/mobile/v0.5/users/*/course_enrollments/"),
        ("/profile/bob/", "/profile/*/"),
        ("/accounts/login", "/accounts/login"),
        ("/courses/course-v1:O+C+R/progress/123/", "/courses/course-v1:O+C+R/progress/*/"),
        ("/courses/course-v1:O+C+R/progress", "/courses/course-v1:O+C+R/progress"),
        ("/courses/course-v1:O+C+R/student_progress/bob", "/courses/course-v1:O+C+R/student_progress/*"),
        (
            "/courses/course-v1:O+C+R/discussion/forum/users/55/followed",
            "/courses/course-v1:O+C+R/discussion/forum/users/*/followed",
        ),
        ("/api/enrollment/v1/enrollment/bob,course-v1:O+C+R", "/api/enrollment/v1/enrollment/*,course-v1:O+C+R"),
        ("/api/enrollment/v1/enrollment/bob,O/C/R", "/api/enrollment/v1/enrollment/*,O/C/R"),
        ("/api/enrollment/v1/course/course-v1:O+C+R", "/api/enrollment/v1/course/course-v1:O+C+R"),
        ("/api/bookmarks/v1/bookmarks/bob%2Cblock-v1%3AO/", "/api/bookmarks/v1/bookmarks/*,block-v1%3AO/"),
        ("/certificates/0123456789abcdef0123456789abcdef", "/certificates/*"),
        ("/password_reset_confirm/abc-def/", "/password_reset_confirm/*/"),
        ("/activate/abcdef", "/activate/*"),
        ("/x/bob@example.org/y", "/x/*/y"),
        ("/x/10.0.0.1/y", "/x/*/y"),
        ("/x/Ana-profile/y", "/x/*-profile/y"),
        ("/x;jsessionid=abc/i4x:;_;_O", "/x/i4x:;_;_O"),
        ("/login%3Fnext=/u/bob", "/login"),
    ],
)
def test_an_address_names_nobody(url, told):
    assert address(url, "ana") == told
    assert address(url, "ana") == told  # remembered


@given(st.text(max_size=30), mails, st.text(max_size=30))
def test_an_address_holds_no_mail(before, mail, after):
    for url in (f"https://x.org/{before}/{mail}/{after}", f"{mail}/{after}", f"http://{mail}/{after}"):
        assert mail.lower() not in address(url, "").lower()


@given(st.text(max_size=30), usernames, st.text(max_size=30))
def test_an_address_does_not_hold_the_own_name(before, username, after):
    assume("*" not in username)
    assert username.lower() not in address(f"{before}/{username}/{after}", username).lower()


def test_an_address_is_bounded():
    assert len(address("https://x.org/" + "a/" * 100_000, "ana")) < 2_500


def test_fields_are_paths_with_types():
    payload = {
        "widget": {"deep": [{"a": 1}, {"a": 2}, {"a": None}]},
        "x": 0.5,
        "t": "",
        "f": False,
        "e": {},
        "l": [],
        "0123456789abcdef01234567_2_1": "choice",
        "17": 1,
        "[name]": 1,
    }
    assert list(fields(payload)) == [
        ("widget.deep[].a", "integer"),
        ("widget.deep[].a", "null"),
        ("x", "number"),
        ("t", "string"),
        ("f", "boolean"),
        ("e", "object"),
        ("l", "array"),
        ("*", "string"),
        ("*", "integer"),
    ]


@given(payloads)
def test_fields_are_bounded(payload):
    payload["many"] = [{f"a{chr(97 + n % 26)}{chr(97 + n // 26)}": n} for n in range(400)]
    payload["long"] = {"x" * 60: {"y" * 60: {"z" * 60: {"v" * 60: 1}}}}
    found = list(fields(payload))
    assert len(found) <= 200
    assert all(len(path) <= 200 for path, _ in found)
    assert len(set(found)) == len(found)


def test_a_deep_payload_has_fields_without_recursion():
    payload: Any = {"a": 1}
    for _ in range(5000):
        payload = {"a": payload}
    assert list(fields(payload)) == []


@pytest.mark.parametrize(
    ("written", "low", "found"),
    [
        (b'{"block_type":"html","is_new":true}', b"anna1", True),
        (b'{"by":"Anna1"}', b"anna1", False),
        (b'{"at":"a@b.org"}', b"anna1", False),
        (b'{"at":"10.0.0.1"}', b"anna1", False),
        (b'{"at":"2001:db8:0:0:0:0:0:1"}', b"anna1", False),
        (b'{"q":"a=b"}', b"anna1", True),
        (b'{"q":"token=b"}', b"anna1", False),
        ('{"q":"\u00e9t\u00e9"}'.encode(), b"anna1", True),
        ('{"q":"a@b.\u00e9t"}'.encode(), b"anna1", False),
        ('{"q":"\u212aofi"}'.encode(), b"kofi", False),
        (b'{"q":"%41nna1"}', b"anna1", False),
        (b'{"q":"\\u0041nna1"}', b"anna1", False),
        (b'{"q":"' + b"x" * 1000 + b'"}', b"anna1", False),
    ],
)
def test_json_is_harmless_where_nothing_in_it_is_of_concern(written, low, found):
    assert is_harmless(written, low) is found


def test_fields_are_told_apart_by_their_names():
    assert [is_personal(key) for key in ("userName", "body", "block_id")] == [True, False, False]
    assert [is_free_text(key) for key in ("userName", "body", "block_id")] == [False, True, False]
