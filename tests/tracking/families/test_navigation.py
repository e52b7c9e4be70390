import pytest

from tests.tracking.families.events import COURSE, OLD_COURSE, Taken, key, taken

SEQUENCE = key("sequential")
UNIT = key("vertical")


def navigation(**values):
    return {"navigation": [values]}


@pytest.mark.parametrize(("name", "action"), [("seq_goto", "goto"), ("seq_next", "next"), ("seq_prev", "prev")])
def test_steps_within_a_sequence_until_2016(name, action):
    block = "i4x://MITx/6.00x/sequential/Week_1"
    found = taken(name, {"old": 2, "new": "3", "id": block}, source="browser", course=OLD_COURSE)
    assert found == Taken(block, navigation(block=block, action=action, from_pos=2.0, to_pos=3.0), {})


def test_steps_since_2016_tell_how_many_there_are():
    sent = {"current_tab": 3, "tab_count": 6, "old": 3, "new": 4, "id": SEQUENCE, "widget_placement": "top"}
    assert taken("edx.ui.lms.sequence.next_selected", sent, source="browser") == Taken(
        SEQUENCE,
        navigation(block=SEQUENCE, action="next", from_pos=3.0, to_pos=4.0, tabs=6),
        {"widget_placement": "top"},
    )


def test_a_step_out_of_a_sequence_has_no_target():
    sent = {"current_tab": 1, "tab_count": 6, "id": SEQUENCE}
    found = taken("edx.ui.lms.sequence.previous_selected", sent, source="browser")
    assert found == Taken(SEQUENCE, navigation(block=SEQUENCE, action="prev", from_pos=1.0, tabs=6), {})


def test_a_tab_is_the_one_that_was_chosen():
    sent = {"current_tab": 3, "target_tab": 7, "tab_count": 7, "id": SEQUENCE}
    found = taken("edx.ui.lms.sequence.tab_selected", sent, source="browser")
    row = navigation(block=SEQUENCE, action="tab", from_pos=3.0, to_pos=7.0, tabs=7)
    assert found == Taken(SEQUENCE, row, {})


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("edx.ui.lms.link_clicked", "link"),
        ("edx.ui.lms.outline.selected", "outline"),
        ("edx.ui.lms.sequence.outline.selected", "outline"),
    ],
)
def test_a_link_leads_to_an_address_without_query_and_names(name, action):
    sent = {"target_url": "https://x.org/u/bob?next=/alice#a", "current_url": "https://x.org/", "target_name": "Bob"}
    found = taken(name, sent, source="browser")
    assert found == Taken("", navigation(action=action, target="https://x.org/u/*"), {"target_name": "Bob"})


def test_a_link_of_which_the_page_nobody_knows_has_the_name_of_the_event():
    found = taken("edx.ui.lms.upgrade.selected", {"target_url": "https://x.org/pay"}, source="browser")
    assert found == Taken("", navigation(action="upgrade", target="https://x.org/pay"), {})


def test_a_jump_by_breadcrumbs_has_both_blocks():
    target = key("vertical", "b")
    sent = {"id": f"{SEQUENCE}/{target}", "current_id": f"{SEQUENCE}/{UNIT}", "target_name": "Part 3"}
    found = taken("edx.ui.lms.jump_nav.selected", sent, source="browser")
    assert found == Taken(UNIT, navigation(block=UNIT, action="jump", target=target), {"target_name": "Part 3"})


def test_the_end_of_a_page():
    assert taken("page_close", {}, source="browser") == Taken("", navigation(action="close"), {})


def test_a_book_of_2012_has_pages():
    found = taken("book", {"type": "gotopage", "old": 1, "new": 25}, source="browser")
    assert found == Taken("", navigation(action="book", from_pos=1.0, to_pos=25.0), {"type": "gotopage"})


@pytest.mark.parametrize(
    ("ending", "action"),
    [
        ("chapter.navigated", "book"),
        ("page.navigated", "book"),
        ("page.scrolled", "book"),
        ("thumbnail.navigated", "book"),
        ("outline.toggled", "book_view"),
        ("thumbnails.toggled", "book_view"),
        ("display.scaled", "book_view"),
        ("zoom.buttons.changed", "book_view"),
        ("zoom.menu.changed", "book_view"),
    ],
)
def test_a_book_of_today_has_a_chapter_and_a_page(ending, action):
    name = f"textbook.pdf.{ending}"
    sent = {"name": name, "chapter": "/asset-v1:a.pdf", "page": 12, "direction": "up"}
    found = taken(name, sent, source="browser")
    assert found == Taken("", navigation(action=action, to_pos=12.0, target="/asset-v1:a.pdf"), {"direction": "up"})


@pytest.mark.parametrize(
    "ending",
    ["search.executed", "search.highlight.toggled", "search.navigatednext", "searchcasesensitivity.toggled"],
)
def test_what_was_looked_for_in_a_book_has_no_name_of_the_reader(ending):
    sent = {"chapter": "a.pdf", "page": 1, "query": "alice in", "caseSensitive": False}
    found = taken(f"textbook.pdf.{ending}", sent, source="browser", keeps_text=True)
    assert found == Taken(
        "",
        {
            **navigation(action="book_search", to_pos=1.0, target="a.pdf"),
            "text": [{"kind": "query", "text": "alice in"}],
        },
        {"query": "[name] in", "caseSensitive": False},
    )


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("edx.bookmark.accessed", "bookmark"),
        ("edx.bookmark.added", "bookmark_added"),
        ("edx.course.bookmark.removed", "bookmark_removed"),
    ],
)
def test_of_a_bookmark_the_id_goes_since_it_is_the_learners_name(name, action):
    sent = {
        "bookmark_id": f"alice,{UNIT}",
        "component_usage_id": UNIT,
        "component_type": "vertical",
        "course_id": COURSE,
    }
    found = taken(name, sent)
    assert found == Taken(UNIT, navigation(block=UNIT, action=action), {"component_type": "vertical"})


def test_a_list_of_bookmarks_has_a_page():
    sent = {"list_type": "per_course", "course_id": COURSE, "bookmarks_count": 3, "page_number": 1, "page_size": 10}
    assert taken("edx.bookmark.listed", sent) == Taken(
        "",
        navigation(action="bookmarks_listed", to_pos=1.0),
        {"list_type": "per_course", "bookmarks_count": 3, "page_size": 10},
    )


def test_a_tool_of_the_course():
    found = taken("edx.course.tool.accessed", {"tool_name": "edx.reviews"}, source="browser")
    assert found == Taken("", navigation(action="tool", target="edx.reviews"), {})


@pytest.mark.parametrize("kind", ["calendar", "document"])
def test_a_document_of_another_site(kind):
    sent = {"displayed_in": "iframe", "url": "https://docs.example.org/d/1/pub?embedded=true"}
    assert taken(f"edx.googlecomponent.{kind}.displayed", sent) == Taken(
        "", navigation(action="embedded", target="https://docs.example.org/d/1/pub"), {"displayed_in": "iframe"}
    )


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("edx.course_discovery.search.initiated", "search"),
        ("edx.course.search.results_displayed", "search_results"),
    ],
)
def test_a_search_for_courses_has_no_name_of_the_searcher(name, action):
    sent = {"search_term": "alice", "page_size": 20, "page_number": 0, "results_count": 4}
    found = taken(name, sent)
    assert found == Taken("", navigation(action=action, to_pos=0.0, tabs=4), {"page_size": 20, "query": "[name]"})


def test_a_resumed_course():
    sent = {"event_type": "resume", "target_url": "https://x.org/jump"}
    found = taken("edx.course.home.resume_course.clicked", sent, source="browser")
    assert found == Taken("", navigation(action="resume", target="https://x.org/jump"), {"event_type": "resume"})


def test_what_is_no_position_and_no_sequence_stays():
    found = taken("seq_next", {"id": {"a": 1}, "old": "here", "new": [2]}, source="browser")
    assert found == Taken("", navigation(action="next"), {"id": {"a": 1}, "old": "here", "new": [2]})
