"""The partition by enrollment track, which every course has."""

from xmodule.partitions.partitions import ENROLLMENT_TRACK_PARTITION_ID, UserPartition


def create_enrollment_track_partition(course):
    """Return the partition; None if the author gave its id away."""
    if any(each.id == ENROLLMENT_TRACK_PARTITION_ID for each in course.user_partitions):
        return None
    scheme = UserPartition.get_scheme("enrollment_track")
    return scheme.create_user_partition(
        id=ENROLLMENT_TRACK_PARTITION_ID, name="Enrollment Track Groups", description="By enrollment mode",
        parameters={"course_id": str(course.location.course_key)},
    )  # fmt: skip
