import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.tracking.values import (
    flag,
    integer,
    number,
    of_module,
    plain,
    prune,
    seconds,
    take_flag,
    take_integer,
    take_key,
    take_number,
    take_term,
    text,
    usage_key,
    words,
)

HEX = "0b9e39477cf34507a7a48f74be381fdd"
COURSE = "course-v1:DemoU+C001+2024_T1"
BLOCK = f"block-v1:DemoU+C001+2024_T1+type@video+block@{HEX}"
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def cleaned_term(payload, key):
    return take_term(payload, key, lambda text: text.replace("Alice", "[name]"))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (1.5, 1.5),
        (2, 2.0),
        ("3.25", 3.25),
        (" 4 ", 4.0),
        ("1e3", 1000.0),
        *((wrong, None) for wrong in (float("nan"), float("inf"), "nan", "inf", "", "x", "1" * 50, 10**400)),
        *((wrong, None) for wrong in (True, None, [1], {"a": 1})),
    ],
)
def test_a_number_is_finite_and_may_be_text(value, found):
    assert number(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [(1, 1), ("2", 2), (3.0, 3), (3.5, None), (2**63, None), (-(2**63), -(2**63)), (True, None), ("x", None)],
)
def test_a_whole_number_has_64_bits(value, found):
    assert integer(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [(1.5, 1.5), ("00:01:30", 90.0), ("02:03.5", 123.5), ("01:00:00", 3600.0), ("1:2:3:4", None), ("x:y", None)],
)
def test_seconds_may_be_a_clock(value, found):
    assert seconds(value) == found


def test_a_text_has_no_space_around_it():
    assert [text(each) for each in (" a ", " ", "", None, 5)] == ["a", None, None, None, None]


def test_true_and_false_may_be_text():
    assert [flag(each) for each in (True, False, "True", "false", "yes", 1, None)] == [
        *(True, False, True, False),
        *(None, None, None),
    ]


@pytest.mark.parametrize(
    ("take", "good", "found", "bad"),
    [
        (take_number, "5", 5.0, "five"),
        (take_integer, 5.0, 5, 5.5),
        (take_flag, "true", True, "yes"),
        (cleaned_term, 5, "5", ["5"]),
        (cleaned_term, "Alice's five", "[name]'s five", "5" * 501),
    ],
)
def test_what_is_taken_is_gone_and_what_is_not_stays(take, good, found, bad):
    for payload, taken, left in (({"a": good}, found, {}), ({"a": bad}, None, {"a": bad}), ({"a": None}, None, {})):
        assert take(payload, "a") == taken
        assert payload == left


def test_a_key_is_taken_if_it_is_one():
    payload = {"good": HEX, "bad": "two words", "empty": ""}
    assert [take_key(payload, name, COURSE, "video") for name in ("good", "bad", "empty", "absent")] == [
        BLOCK,
        *("", "", ""),
    ]
    assert payload == {"bad": "two words"}


@pytest.mark.parametrize(
    ("written", "course", "found"),
    [
        (HEX, COURSE, BLOCK),
        (HEX, "ccx-v1:a+b+c+ccx@1", f"ccx-block-v1:a+b+c+ccx@1+type@video+block@{HEX}"),
        (HEX, "MITx/6.00x/F", f"i4x://MITx/6.00x/video/{HEX}"),
        (HEX, "", ""),
        (HEX, "no course", ""),
        ("Intro_video", COURSE, f"{BLOCK.removesuffix(HEX)}Intro_video"),
        (BLOCK, "", BLOCK),
        (BLOCK.replace("+", "%2B").replace("@", "%40"), COURSE, BLOCK),
        ("i4x://MITx/6.00x/video/a", "", "i4x://MITx/6.00x/video/a"),
        ("i4x:;_;_MITx;_6.00x;_video;_a", "", "i4x://MITx/6.00x/video/a"),
        ("i4x-MITx-6_00x-video-a-b", "MITx/6.00x/F", "i4x://MITx/6.00x/video/a-b"),
        ("i4x-Some-U-6_00x-video-a", "Some-U/6.00x/F", "i4x://Some-U/6.00x/video/a"),
        ("i4x-MITx-6_00x-video-a", "Other/1/F", "i4x://MITx/6_00x/video/a"),
        ("i4x-MITx", "MITx/6.00x/F", ""),
        ("two words", COURSE, ""),
        ("", COURSE, ""),
        ("a" * 500, COURSE, ""),
    ],
)
def test_a_usage_key_is_written_out_in_full(written, course, found):
    assert usage_key(written, course, "video") == found


def test_a_bare_id_of_no_kind_is_no_key():
    assert usage_key(HEX, COURSE, "") == ""


@pytest.mark.parametrize("module", [None, {}, {"usage_key": 5}, {"usage_key": ""}, "text"])
def test_a_module_without_a_key_has_none(module):
    assert of_module(module) == ""


def test_a_module_has_the_key_of_the_block():
    assert of_module({"usage_key": BLOCK, "display_name": "Intro"}) == BLOCK


@pytest.mark.parametrize(
    ("markup", "found"),
    [
        ("plain", "plain"),
        ("<p>a <b>b</b>\n c&nbsp;&lt;d&gt;</p>", "a b c <d>"),
        ("a < b", "a < b"),
        ("<" * 100_000, "<" * 10),
        ("", ""),
    ],
)
def test_of_markup_the_text_is_kept(markup, found):
    assert plain(markup, 10 if len(markup) > 100 else 100) == found


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"a": None, "b": "", "c": [], "d": {}, "e": 0, "f": False}, {"e": 0, "f": False}),
        ({"a": {"b": {"c": None}}}, None),
        ({}, None),
        ("text", "text"),
    ],
)
def test_what_says_nothing_is_pruned(value, left):
    assert prune(value) == left


def test_words_of_a_text():
    assert words(" a b\n c ") == ("a", "b", "c")


@given(ANYTHING)
def test_nothing_is_raised_whatever_the_value(value):
    for parse in (number, integer, seconds, text, flag, of_module, prune):
        parse(value)
    for take in (take_number, take_integer, take_flag, cleaned_term):
        take({"a": value}, "a")
    take_key({"a": value}, "a", "course-v1:a+b+c", "video")


@given(st.text(), st.text(), st.text(max_size=10))
def test_no_text_is_too_odd_for_a_key(written, course, kind):
    assert isinstance(usage_key(written, course, kind), str)
    assert isinstance(plain(written, 100), str)


@pytest.mark.parametrize("repeats", [1, 1000], ids=["remembered", "long"])
def test_a_text_that_was_read_before_is_cut_where_it_is_asked_for(repeats):
    markup = "<p>well&nbsp;done</p>" * repeats
    assert [plain(markup, longest) for longest in (4, 6, 4, 9)] == ["well", "well d", "well", "well done"]
