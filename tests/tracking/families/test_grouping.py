import pytest

from tests.tracking.families.events import Taken, key, taken

SPLIT = key("split_test")


def grouping(**values):
    return {"grouping": [values]}


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("created", "cohort_created"),
        ("creation_requested", "cohort_requested"),
        ("user_added", "cohort_added"),
        ("user_add_requested", "cohort_add_requested"),
        ("user_removed", "cohort_removed"),
    ],
)
def test_a_cohort_has_a_number_and_a_name(name, action):
    sent = {"cohort_id": 8, "cohort_name": "Group 4", "user_id": 12, "previous_cohort_id": 3}
    found = taken(f"edx.cohort.{name}", sent)
    row = grouping(action=action, group_id="8", group_name="Group 4")
    assert found == Taken("", row, {"previous_cohort_id": 3})


def test_a_partition_has_a_group():
    sent = {"group_id": 1, "group_name": "B", "partition_id": "xblock.partition_1", "partition_name": "Video or text"}
    found = taken("xmodule.partitions.assigned_user_to_partition", sent, module={"usage_key": SPLIT})
    row = grouping(
        action="assigned",
        group_id="1",
        group_name="B",
        partition_id="xblock.partition_1",
        partition_name="Video or text",
        block=SPLIT,
    )
    assert found == Taken(SPLIT, row, {})


@pytest.mark.parametrize("field", ["child_id", "child-id"])
def test_a_split_test_shows_one_of_its_children(field):
    found = taken("xblock.split_test.child_render", {field: key("vertical")}, module={"usage_key": SPLIT})
    assert found == Taken(SPLIT, grouping(action="rendered", block=key("vertical")), {})


@pytest.mark.parametrize(
    ("name", "action", "sent"),
    [
        ("activity_updated", "team_active", {}),
        ("created", "team_created", {}),
        ("deleted", "team_deleted", {}),
        ("learner_added", "team_joined", {"add_method": "joined_from_team_view"}),
        ("learner_removed", "team_left", {"remove_method": "self_removal"}),
        ("page_viewed", "team_viewed", {"page_name": "single-team", "topic_id": "t"}),
    ],
)
def test_a_team_has_an_id(name, action, sent):
    found = taken(f"edx.team.{name}", {"team_id": "red-1", "user_id": "12", **sent})
    assert found == Taken("", grouping(action=action, group_id="red-1"), sent)


@pytest.mark.parametrize(
    ("field", "left"),
    [
        ("description", {"field": "description", "truncated": []}),
        ("country", {"field": "country", "truncated": [], "old": "", "new": "FR"}),
    ],
)
def test_what_was_written_of_a_team_is_not_kept(field, left):
    sent = {"team_id": "red-1", "field": field, "old": "", "new": "FR", "truncated": []}
    assert taken("edx.team.changed", sent) == Taken("", grouping(action="team_changed", group_id="red-1"), left)


def test_a_search_for_teams():
    found = taken("edx.team.searched", {"search_text": "alice", "topic_id": "t", "number_of_results": 2})
    left = {"topic_id": "t", "number_of_results": 2, "query": "[name]"}
    assert found == Taken("", grouping(action="team_searched"), left)
