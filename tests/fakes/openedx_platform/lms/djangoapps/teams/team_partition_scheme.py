"""Groups by team: one partition for each set of teams of the course."""

from django.apps import apps
from opaque_keys.edx.keys import CourseKey
from openedx.core.lib.teams_config import CONTENT_GROUPS_FOR_TEAMS
from xmodule.partitions.partitions import Group, UserPartition


class TeamUserPartition(UserPartition):
    """A partition whose groups are the teams of a set."""

    @property
    def groups(self):
        course_key = CourseKey.from_string(self.parameters["course_id"])
        if not CONTENT_GROUPS_FOR_TEAMS.is_enabled(course_key):
            return []
        teams = apps.get_model("teams", "CourseTeam").objects.filter(
            course_id=course_key, topic_id=self.parameters["team_set_id"]
        )
        return [Group(team.id, team.name) for team in teams]


class TeamPartitionScheme:
    """The team that the learner is in."""

    read_only = True

    @classmethod
    def get_group_for_user(cls, course_key, user, user_partition):
        """Return the group, or None."""
        if not CONTENT_GROUPS_FOR_TEAMS.is_enabled(course_key):
            return None
        team = apps.get_model("teams", "CourseTeam").objects.filter(
            course_id=course_key, topic_id=user_partition.parameters["team_set_id"], membership__user=user
        ).first()  # fmt: skip
        return team and Group(team.id, team.name)

    @classmethod
    def create_user_partition(cls, id, name, description, groups=None, parameters=None, active=True):  # noqa: A002, PLR0917
        """Return such a partition."""
        return TeamUserPartition(id, name, description, [], cls, parameters, active)


def create_team_set_partitions(course):
    """Return a partition for each set of teams whose id is not taken."""
    course_key = course.location.course_key
    if not CONTENT_GROUPS_FOR_TEAMS.is_enabled(course_key):
        return []
    taken = {each.id for each in course.user_partitions}
    scheme = UserPartition.get_scheme("team")
    return [
        scheme.create_user_partition(
            id=each["user_partition_id"], name=f"Team Group: {each['name']}", description="By team",
            parameters={"course_id": str(course_key), "team_set_id": each["id"]},
        )
        for each in course.teamsets
        if each["user_partition_id"] not in taken
    ]  # fmt: skip
