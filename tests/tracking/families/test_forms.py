from urllib.parse import quote_plus, unquote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from completion_aggregator.tracking.families.forms import answers_of_form, marks_of_page

KEYS = st.sampled_from(
    ["a_2_1", "input_a_2_1", "input_input_a_2_1", "input_input_input_a", "input_", "b[]", "[]", "", "é"]
)
WRITTEN = st.sampled_from(["%5B%5D", "[]", "%", "+", "%2", "%C3", "%C3%A9", "&", "=", "input_", "x"]) | st.text(
    max_size=3
)


def read(form: str) -> dict[str, str | list[str]]:
    """Read a form as its rules say, without regard to what it costs."""
    answers: dict[str, str | list[str]] = {}
    for field in form.split("&"):
        key, _, value = field.partition("=")
        key, value = unquote_plus(key), unquote_plus(value)
        name = key.removesuffix("[]")
        while name.startswith("input_"):
            name = name.removeprefix("input_")
        if name and key.endswith("[]"):
            chosen = answers.setdefault(name, [])
            if isinstance(chosen, list):
                chosen.append(value)
        elif name:
            answers[name] = value
    return answers


@example([("b[]", ["x"]), ("b", ["y"]), ("b[]", ["z"])])
@example([("a", ["%5B%5D="]), ("input_" * 40, ["="])])
@given(st.lists(st.tuples(KEYS, st.lists(WRITTEN, max_size=4)), max_size=5))
def test_a_form_is_read_by_its_rules_however_it_is_written(fields):
    plain = "&".join(f"{key}{''.join(written)}" for key, written in fields)
    assert answers_of_form(plain) == read(plain)
    quoted = "&".join(f"{quote_plus(key)}={quote_plus(''.join(written))}" for key, written in fields)
    assert answers_of_form(quoted) == read(quoted)


def test_parts_are_those_of_the_form_and_in_its_order():
    form = "input_input_a_3_1=choice_1&input_a_2_1%5B%5D=x&input_a_2_1[]=y+z&other=%C3%A9"
    assert list(answers_of_form(form).items()) == [("a_3_1", "choice_1"), ("a_2_1", ["x", "y z"]), ("other", "é")]


@pytest.mark.parametrize("mark", ["correct", "incorrect", "partially-correct", "queued"])
def test_a_mark_stands_in_the_tag_that_has_the_status(mark):
    page = f'<p class="correct">no</p><span class="status {mark}" id="status_a_2_1">yes</span>'
    assert marks_of_page(page) == {"a_2_1": mark}
    assert marks_of_page(f"<i id='status_b' class='{mark}'/>") == {"b": mark}


def test_a_page_without_statuses_has_no_marks():
    assert marks_of_page('<p class="correct" id="a_2_1">correct</p>') == {}
