"""Cohorts, partitions, split tests, teams."""

from typing import Any, Final

from completion_aggregator.tracking.batch import Batch, Transform
from completion_aggregator.tracking.families.writing import take_query
from completion_aggregator.tracking.values import of_module, take_key, take_term

#: Fields of a team of which the values say nothing that somebody wrote.
_PLAIN_FIELDS: Final = frozenset({"country", "language", "topic_id", "max_team_size", "discussion_topic_id"})


def cohort(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take what was done with a cohort."""
    payload.pop("user_id", None)
    number, name = take_term(payload, "cohort_id", batch.clean), take_term(payload, "cohort_name", batch.clean)
    batch.grouping.append((batch.row, action, number, name, None, None, None))
    return ""


def assigned(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take that a learner was put into a group of a partition."""
    group = take_term(payload, "group_id", batch.clean), take_term(payload, "group_name", batch.clean)
    partition = take_term(payload, "partition_id", batch.clean), take_term(payload, "partition_name", batch.clean)
    block = of_module(batch.module)
    batch.grouping.append((batch.row, action, *group, *partition, block or None))
    return block


def rendered(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take which child of a split test was shown: the row has the child, the event the split test."""
    child = take_key(payload, "child_id" if "child_id" in payload else "child-id", batch.course, "vertical")
    batch.grouping.append((batch.row, action, None, None, None, None, child or None))
    return of_module(batch.module)


def team(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take what was done with a team; what its members wrote of it is not kept."""
    payload.pop("user_id", None)
    if "search_text" in payload and (query := take_query(payload, "search_text", batch)):
        payload["query"] = query
    field = payload.get("field")
    if not isinstance(field, str) or field not in _PLAIN_FIELDS:
        payload.pop("old", None)
        payload.pop("new", None)
    batch.grouping.append((batch.row, action, take_term(payload, "team_id", batch.clean), None, None, None, None))
    return ""


ACTIONS: Final[dict[str, tuple[str, Transform | None]]] = {
    "edx.cohort.created": ("cohort_created", cohort),
    "edx.cohort.creation_requested": ("cohort_requested", cohort),
    "edx.cohort.user_added": ("cohort_added", cohort),
    "edx.cohort.user_add_requested": ("cohort_add_requested", cohort),
    "edx.cohort.user_removed": ("cohort_removed", cohort),
    "xmodule.partitions.assigned_user_to_partition": ("assigned", assigned),
    "xblock.split_test.child_render": ("rendered", rendered),
    "edx.team.activity_updated": ("team_active", team),
    "edx.team.changed": ("team_changed", team),
    "edx.team.created": ("team_created", team),
    "edx.team.deleted": ("team_deleted", team),
    "edx.team.learner_added": ("team_joined", team),
    "edx.team.learner_removed": ("team_left", team),
    "edx.team.page_viewed": ("team_viewed", team),
    "edx.team.searched": ("team_searched", team),
}
