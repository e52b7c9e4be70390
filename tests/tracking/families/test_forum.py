import pytest

from tests.tracking.families.events import COURSE, Taken, taken


def forum(**values):
    return {"forum": [values]}


@pytest.mark.parametrize(
    ("verb", "action"),
    [
        ("created", "create"),
        ("deleted", "delete"),
        ("edited", "edit"),
        ("reported", "report"),
        ("unreported", "unreport"),
        ("viewed", "view"),
        ("voted", "vote"),
        ("locked", "lock"),
        ("unlocked", "unlock"),
        ("pinned", "pin"),
        ("followed", "follow"),
    ],
)
def test_of_a_thread_the_texts_are_private_and_whose_it_is_goes(verb, action):
    sent = {
        "id": "10435d",
        "commentable_id": "general",
        "category_id": "general",
        "category_name": "General",
        "title": "Help alice",
        "body": "Where is it?",
        "target_username": "bob",
        "url": "https://x.org/courses/a/discussion/forum/general/threads/10435d",
        "user_course_roles": [],
        "user_forums_roles": ["Student"],
        "group_id": None,
        "course_id": COURSE,
    }
    row = forum(action=action, level="thread", item="10435d", topic="general", body_length=12)
    left = {"category_name": "General", "user_forums_roles": ["Student"]}
    assert taken(f"edx.forum.thread.{verb}", sent) == Taken("", row, left)
    texts = [{"kind": "title", "text": "Help alice"}, {"kind": "body", "text": "Where is it?"}]
    assert taken(f"edx.forum.thread.{verb}", sent, keeps_text=True) == Taken("", {**row, "text": texts}, left)


@pytest.mark.parametrize(
    ("level", "sent", "parent"),
    [
        ("response", {"discussion": {"id": "thread"}}, "thread"),
        ("comment", {"discussion": {"id": "thread"}, "response": {"id": "reply"}}, "reply"),
    ],
)
def test_an_answer_has_the_post_that_it_answers(level, sent, parent):
    found = taken(f"edx.forum.{level}.created", {"id": "me", "commentable_id": "c", "body": "", **sent})
    row = forum(action="create", level=level, item="me", parent=parent, topic="c", body_length=0)
    assert found == Taken("", row, {})


def test_a_vote_keeps_what_was_voted():
    sent = {"id": "a", "category_id": "c", "target_username": "bob", "undo_vote": False, "vote_value": "up"}
    found = taken("edx.forum.response.voted", sent)
    row = forum(action="vote", level="response", item="a", topic="c")
    assert found == Taken("", row, {"undo_vote": False, "vote_value": "up"})


def test_an_endorsement_says_of_which_kind():
    found = taken("edx.forum.response.mark", {"id": "a", "mark_type": "Endorse", "discussion": {"id": "t"}})
    row = forum(action="mark", level="response", item="a", parent="t")
    assert found == Taken("", row, {"mark_type": "Endorse"})


def test_a_search_has_its_words_without_the_searchers_name():
    sent = {"query": "alice homework", "page": 1, "total_results": 3, "corrected_text": "alice home", "group_id": None}
    row = forum(action="search", query="[name] homework", results=3)
    left = {"page": 1, "corrected_query": "[name] home"}
    assert taken("edx.forum.searched", sent) == Taken("", row, left)
    text = [{"kind": "query", "text": "alice homework"}]
    assert taken("edx.forum.searched", sent, keeps_text=True) == Taken("", {**row, "text": text}, left)


def test_an_event_that_nobody_wrote_down_loses_its_text_all_the_same():
    found = taken("edx.forum.thread.summoned", {"id": "a", "body": "Secret", "target_username": "bob"})
    assert found == Taken("", forum(action="summoned", level="thread", item="a", body_length=6), {})


@pytest.mark.parametrize("wrong", [5, ["text"], {"a": "text"}, None])
def test_a_text_of_another_form_is_dropped(wrong):
    found = taken("edx.forum.thread.created", {"body": wrong, "title": wrong, "discussion": wrong}, keeps_text=True)
    assert found == Taken("", forum(action="create", level="thread"), {})
