import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.tracking import redact
from completion_aggregator.tracking.pseudonyms import Keys, Pseudonyms
from completion_aggregator.tracking.redact import Line, Redacted, RedactFailed, redact_file, redact_folder
from completion_aggregator.tracking.sources import listed

NAMES = Pseudonyms(Keys(b"p" * 32, b"s" * 32, b"a" * 32))
BLOCK = "block-v1:Org+CS101+2024+type@video+block@0123456789abcdef0123456789abcdef"


class Silent:
    def show(self, done: int, text: str) -> None:
        pass


def person(number: int) -> str:
    found = NAMES.person(number, "")
    assert found
    return found.hex()


def keyed(domain: str, value: str) -> str:
    return NAMES.keyed(domain, value).hex()


def event(**fields: Any) -> dict[str, Any]:
    return {
        "name": "play_video", "username": "anasilva", "session": "abc", "ip": "10.1.2.3", "event_type": "play_video",
        "context": {"user_id": 7, "path": "/event", "course_id": "course-v1:O+C+R"}, "event": {},
    } | fields  # fmt: skip


def told(**fields: Any) -> dict[str, Any]:
    """Return what is left of an event with these fields."""
    out, reason = Line(NAMES)(json.dumps(event(**fields)).encode())
    assert reason == ""
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_an_event_keeps_its_shape_without_anybody_in_it():
    assert told() == {
        "name": "play_video",
        "username": person(7),
        "session": keyed("session", "abc"),
        "ip": keyed("address", "10.1.2.3"),
        "event_type": "play_video",
        "context": {"user_id": person(7), "path": "/event", "course_id": "course-v1:O+C+R"},
        "event": {},
    }


def test_sessions_may_stay():
    out, _ = Line(NAMES, keeps_sessions=True)(json.dumps(event()).encode())
    assert json.loads(out)["session"] == "abc"


def test_a_name_without_a_number_is_keyed_by_the_name():
    assert told(context={"user_id": ""})["username"] == keyed("username", "anasilva")
    assert told(username="", context={})["username"] == ""


def test_a_payload_that_is_text_stays_text():
    payload = json.dumps({"id": BLOCK, "email": "Bob@x.org", "user_id": "8", "currentTime": 1.5})
    assert json.loads(told(event=payload)["event"]) == {
        "id": BLOCK,
        "email": keyed("text", "Bob@x.org"),
        "user_id": person(8),
        "currentTime": 1.5,
    }


def test_of_free_text_its_length_is_left():
    post = {"title": "Help", "body": "I am Ana", "answer": {"parts": [{"text": "Mine"}]}, "feedback": ["Good"]}
    assert told(event_type="edx.forum.thread.created", event=post)["event"] == {
        "title": "[length 4]",
        "body": "[length 8]",
        "answer": {"parts": [{"text": "[length 4]"}]},
        "feedback": ["[length 4]"],
    }


def test_answers_to_problems_stay():
    payload = {"answers": {"x_2_1": "choice_1"}, "submission": {"x_2_1": {"answer": "Blue", "correct": True}}}
    assert told(event_type="problem_check", event=payload)["event"] == payload


def test_secrets_are_not_even_keyed():
    payload = json.dumps({"POST": {"password": ["pw"], "csrfmiddlewaretoken": ["x"], "name": ["Ana S"]}, "GET": {}})
    assert json.loads(told(event=payload)["event"]) == {
        "POST": {"password": ["*"], "csrfmiddlewaretoken": ["*"], "name": [keyed("text", "Ana S")]},
        "GET": {},
    }


def test_the_name_of_an_account_is_no_name_of_an_event():
    assert told(event={"name": "Ana Silva"})["event"] == {"name": keyed("text", "Ana Silva")}
    payload = {"parts": [{"criterion": {"name": "Ideas"}, "option": {"name": "Fair"}}]}
    assert told(event=payload)["event"] == payload


def test_a_changed_setting_is_keyed_where_it_says_who():
    assert told(event={"setting": "email", "old": "a@x.org", "new": None})["event"] == {
        "setting": "email",
        "old": keyed("text", "a@x.org"),
        "new": None,
    }
    assert told(event={"setting": "language", "old": "de", "new": "en"})["event"]["new"] == "en"


def test_addresses_name_nobody():
    found = told(event_type="/u/bob", name="/u/bob", page=f"https://x.org/xblock/{BLOCK}?a=1", referer="https://x.org/")
    assert (found["event_type"], found["name"]) == ("/u/*", "/u/*")
    assert (found["page"], found["referer"]) == (f"https://x.org/xblock/{BLOCK}", "https://x.org/")


def test_a_browser_stays_unless_it_names_somebody():
    browser = "Mozilla/5.0 (X11) Chrome/120.0.0.0 Safari/537.36"
    assert told(agent=browser)["agent"] == browser
    assert told(agent="bot of bob@x.org for anasilva")["agent"] == "bot of [mail] for [name]"


def test_a_cut_payload_is_its_length():
    assert told(event='{"POST": {"username": ["bo')["event"] == "[length 26]"


def test_the_prefix_of_a_container_names_nobody():
    prefix = "2023-05-23 13:53:13,461 INFO 20 [tracking] [user 6] [ip 10.0.0.1] logger.py:41 - "
    out, _ = Line(NAMES)(prefix.encode() + json.dumps({"username": ""}).encode())
    assert out == b'2023-05-23 13:53:13,461 INFO 20 [tracking] [user *] [ip *] logger.py:41 - {"username": ""}'


@pytest.mark.parametrize(
    "line", [b"text of anasilva", b'{"username": "anasilva", "ev', b'{"a": 1}{"a": 2}', b"[1]", b'{"a":' * 9000]
)
def test_a_line_that_is_no_object_is_its_length(line: bytes):
    expected = {"redacted": "no JSON object", "length": len(line)}
    out, reason = Line(NAMES)(line)
    assert (json.loads(out), reason) == (expected, "no JSON object")


def test_bytes_that_are_no_text_and_numbers_that_are_none_stay_readable():
    out, _ = Line(NAMES)(b'{"a": "\xff\\ud800", "b": NaN, "c": 12345678901234567890123}')
    assert out.isascii()
    assert json.loads(out)["c"] == 12345678901234567890123


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


@given(any_json, any_json, st.sampled_from(["user", "email", "body", "x", "setting", "name"]))
def test_every_line_stays_a_line_without_the_name(payload, context, key):
    value = event(event=payload, context={"user_id": 7, key: ["anasilva", context]}, note="by AnaSilva")
    out, _ = Line(NAMES)(json.dumps(value).encode())
    assert b"\n" not in out
    assert b"anasilva" not in out.lower()
    json.loads(out)


@given(st.binary(max_size=200))
def test_no_line_is_too_odd(line):
    out, _ = Line(NAMES)(line)
    assert b"\n" not in out


def copied(source: Path, out: Path) -> Redacted:
    (one,) = listed(str(source))
    return redact_file(one, out, Line(NAMES), meter=Silent())


def test_a_file_is_copied_line_by_line_packed_or_not(tmp_path: Path):
    content = json.dumps(event()).encode() + b"\r\n\nnonsense\n" + json.dumps(event(session="")).encode()
    (tmp_path / "a.log").write_bytes(content)
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(content))
    plain = copied(tmp_path / "a.log", tmp_path / "out.log")
    packed = copied(tmp_path / "b.log.gz", tmp_path / "out.log.gz")
    assert (plain.lines, plain.replaced, packed.lines) == (4, {"no JSON object": 1}, 4)
    first, blank, odd, last, end = (tmp_path / "out.log").read_bytes().split(b"\n")
    assert (blank, json.loads(odd), end) == (b"", {"redacted": "no JSON object", "length": 8}, b"")
    assert (json.loads(first)["username"], json.loads(last)["session"]) == (person(7), "")
    assert gzip.decompress((tmp_path / "out.log.gz").read_bytes()) == (tmp_path / "out.log").read_bytes()


def test_a_damaged_file_is_copied_as_far_as_it_goes(tmp_path: Path):
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(b"{}\n" * 1000 + os.urandom(5000).hex().encode())[:-2000])
    result = copied(tmp_path / "a.log.gz", tmp_path / "out.log")
    assert [damage for _, damage in result.damaged] == ["gzip: cut"]
    assert (tmp_path / "out.log").read_bytes().startswith(b"{}\n" * 1000)


def test_a_line_that_is_too_long_is_its_length(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(redact, "LONGEST_LINE", 100)
    (tmp_path / "a.log").write_bytes(b"{}\n" + b"x" * 5_000_000 + b"\n{}\n" + b"y" * 200)
    result = copied(tmp_path / "a.log", tmp_path / "out.log")
    long = b'{"redacted": "too long", "length": 100}\n'
    assert (tmp_path / "out.log").read_bytes() == b"{}\n" + long + b"{}\n" + long
    assert result.replaced == {"too long": 2}


def test_a_folder_is_copied_but_for_what_cannot_be_read(tmp_path: Path):
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "in" / "a" / "x.log").write_bytes(b"{}\n")
    (tmp_path / "in" / "y.log").write_bytes(b"{}\n{}\n")
    sources = list(listed(str(tmp_path / "in")))
    result = redact_folder(sources, tmp_path / "out", Line(NAMES), meter=Silent())
    assert (result.files, result.lines) == (2, 3)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "out").rglob("*.log")) == [
        "out/a/x.log",
        "out/y.log",
    ]
    (tmp_path / "in" / "y.log").unlink()
    result = redact_folder(sources, tmp_path / "again", Line(NAMES), meter=Silent())
    assert (result.files, result.lines, [url for url, _ in result.unread]) == (1, 1, [f"{tmp_path}/in/y.log"])
    assert [path.name for path in (tmp_path / "again").rglob("*.log")] == ["x.log"]


def test_a_folder_that_cannot_be_written_whole_is_not_there(tmp_path: Path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.log").write_bytes(b"{}\n")
    (tmp_path / "in" / "b.log").write_bytes(b"{}\n" * 2)
    sources = list(listed(str(tmp_path / "in")))

    def full(written: int) -> None:
        if os.fstat(written).st_size > 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RedactFailed, match="No space left"):
        redact_folder(sources, tmp_path / "out", Line(NAMES), meter=Silent())
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_nothing_is_overwritten(tmp_path: Path):
    (tmp_path / "a.log").write_bytes(b"{}\n")
    with pytest.raises(RedactFailed, match="exists, and nothing is overwritten"):
        copied(tmp_path / "a.log", tmp_path / "a.log")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(RedactFailed, match="exists"):
        redact_folder([], tmp_path / "link", Line(NAMES), meter=Silent())
    assert (tmp_path / "a.log").read_bytes() == b"{}\n"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "a.log").write_bytes(b"{}\n")
    with pytest.raises(RedactFailed, match="No such file or directory"):
        copied(tmp_path / "a.log", tmp_path / "nowhere" / "out.log")
