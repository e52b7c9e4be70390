"""The tables of aggregation: three that other software reads, and seven that are ours alone."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from model_utils.models import TimeStampedModel
from opaque_keys.edx.django.models import CourseKeyField, UsageKeyField
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.aggregation import events
from completion_aggregator.upsert import upsert

#: ``Aggregator.last_modified`` of a block below which nothing was ever completed.
NEVER_COMPLETED: Final = datetime(1900, 1, 1, tzinfo=UTC)


class AggregatorManager(models.Manager["Aggregator"]):
    """Writes by other software; our own go through ``aggregation.projection``."""

    def submit_completion(
        self,
        *,
        user: Any,
        course_key: CourseKey,
        block_key: UsageKey,
        aggregation_name: str,
        earned: float,
        possible: float,
        last_modified: datetime | None = None,
        optional_earned: float = 0.0,
        optional_possible: float = 0.0,
    ) -> tuple["Aggregator", bool]:
        """Store one tally; return the row and whether it is new. Raises ValidationError."""
        self.validate(user, course_key, block_key)
        row, is_new = self.update_or_create(
            user=user,
            course_key=course_key,
            block_key=block_key,
            aggregation_name=aggregation_name,
            defaults={
                "earned": earned,
                "possible": possible,
                "percent": percent(earned, possible),
                "optional_earned": optional_earned,
                "optional_possible": optional_possible,
                "optional_percent": percent(optional_earned, optional_possible),
                "last_modified": last_modified or timezone.now(),
            },
        )
        return row, is_new

    def bulk_create_or_update(self, updates: Iterable["Aggregator"]) -> None:
        """Store many tallies in one statement."""
        now = timezone.now()
        columns = (
            "user_id", "course_key", "aggregation_name", "block_key", "earned", "possible", "percent",
            "optional_earned", "optional_possible", "optional_percent", "last_modified", "created", "modified",
        )  # fmt: skip
        rows = [
            (
                row.user_id, str(row.course_key), row.aggregation_name, str(row.block_key), row.earned, row.possible,
                percent(row.earned, row.possible), row.optional_earned, row.optional_possible,
                percent(row.optional_earned, row.optional_possible), row.last_modified, now, now,
            )
            for row in updates
        ]  # fmt: skip
        key = ("course_key", "block_key", "user_id", "aggregation_name")
        upsert(
            Aggregator._meta.db_table, columns, key, rows,
            update=[name for name in columns if name not in (*key, "created")],
        )  # fmt: skip

    @staticmethod
    def emit_completion_aggregator_logs(updates: Iterable["Aggregator"]) -> None:
        """Send a progress event for each of these rows that is of a wanted type."""
        now, types = timezone.now(), events.wanted_types()
        for row in updates:
            if row.aggregation_name in types:
                change = events.Change(
                    row.user_id, str(row.block_key), row.aggregation_name, row.earned, row.possible, row.percent
                )
                events.emit(row.course_key, [change], now=now)

    @staticmethod
    def validate(user: Any, course_key: CourseKey, block_key: UsageKey) -> None:
        """Raise TypeError where an argument is not what its name says."""
        if not isinstance(course_key, CourseKey):
            raise TypeError(f"course_key must be a CourseKey, not {type(course_key).__name__}")
        if not isinstance(block_key, UsageKey):
            raise TypeError(f"block_key must be a UsageKey, not {type(block_key).__name__}")
        if not hasattr(user, "pk"):
            raise TypeError(f"user must be a user, not {type(user).__name__}")


def percent(earned: float, possible: float) -> float:
    """Return earned / possible; nothing to do counts as done."""
    return earned / possible if possible else 1.0


class Aggregator(TimeStampedModel):
    """What one learner has earned of what is possible below one block: a projection, kept for software that reads it.

    .. no_pii:
    """

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    course_key = CourseKeyField(max_length=255, case_sensitive=True)
    aggregation_name = models.CharField(max_length=255)
    block_key = UsageKeyField(max_length=255, case_sensitive=True)
    earned = models.FloatField(validators=[MinValueValidator(0.0)])
    possible = models.FloatField(validators=[MinValueValidator(0.0)])
    percent = models.FloatField(validators=[MinValueValidator(0.0), MaxValueValidator(1.0)])
    optional_earned = models.FloatField(default=0.0, validators=[MinValueValidator(0.0)])
    optional_possible = models.FloatField(default=0.0, validators=[MinValueValidator(0.0)])
    optional_percent = models.FloatField(default=1.0, validators=[MinValueValidator(0.0), MaxValueValidator(1.0)])
    last_modified = models.DateTimeField()

    objects = AggregatorManager()

    class Meta:
        app_label = "completion_aggregator"
        unique_together: ClassVar = [("course_key", "block_key", "user", "aggregation_name")]
        indexes: ClassVar = [
            models.Index(fields=["user", "aggregation_name", "course_key"], name="aggr_name_user_course_idx"),
            models.Index(
                fields=["course_key", "aggregation_name", "block_key", "percent"],
                name="aggr_name_course_block_per_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.block_key}: {self.earned:g} of {self.possible:g}"

    def clean(self) -> None:
        """Refuse to have earned more than is possible."""
        super().clean()
        for earned, possible in ((self.earned, self.possible), (self.optional_earned, self.optional_possible)):
            if earned > possible:
                raise ValidationError(f"Earned {earned:g} of {possible:g}: more than is possible.")


class StaleCompletion(TimeStampedModel):
    """Work to do: a learner's completion of a block changed. Without a block: any of them may have.

    .. no_pii:
    """

    id = models.BigAutoField(primary_key=True)
    username = models.CharField(max_length=255)
    course_key = CourseKeyField(max_length=255, case_sensitive=True)
    block_key = UsageKeyField(max_length=255, case_sensitive=True, null=True, blank=True)
    force = models.BooleanField(default=False)
    resolved = models.BooleanField(default=False)
    # Null where others wrote the row. Last, where databases add it without touching the rows.
    user_id = models.BigIntegerField(null=True, blank=True)

    class Meta:
        app_label = "completion_aggregator"
        indexes: ClassVar = [
            models.Index(
                fields=["username", "course_key", "created", "resolved"], name="stale_user_course_resolved_idx"
            ),
            # What the service asks all day: which courses wait, and since when.
            models.Index(fields=["resolved", "course_key", "id"], name="stale_resolved_course_id_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.username} {self.block_key or self.course_key}{' resolved' if self.resolved else ''}"


class CacheGroupInvalidationManager(models.Manager["CacheGroupInvalidation"]):
    """Invalidations of cache groups, for software that still asks."""

    def invalidate(self, group: str, *, keep: timedelta = timedelta(days=90)) -> None:
        """Mark what is cached for *group* outdated; forget invalidations older than *keep*."""
        now = timezone.now()
        self.update_or_create(group=group, defaults={"invalidated_at": now})
        self.filter(invalidated_at__lt=now - keep).delete()

    def get_invalidated_keys(self, groups: Mapping[str, datetime]) -> Collection[str]:
        """Return which of *groups* (name to moment of caching) were invalidated since."""
        found = self.filter(group__in=groups).values_list("group", "invalidated_at")
        return [group for group, moment in found if moment > groups[group]]


class CacheGroupInvalidation(models.Model):
    """When a group of cache entries was last invalidated.

    .. no_pii:
    """

    id = models.BigAutoField(primary_key=True)
    group = models.CharField(max_length=150, unique=True)
    invalidated_at = models.DateTimeField(db_index=True, default=timezone.now)

    objects = CacheGroupInvalidationManager()

    class Meta:
        app_label = "completion_aggregator"

    def __str__(self) -> str:
        return f"{self.group} {self.invalidated_at:%Y-%m-%d %H:%M:%S}"


class AggregatedCourse(models.Model):
    """A course that we aggregate: how many leaf numbers it has handed out, and whether its content can be read.

    ``changed_at``: when its content, or who sees what of it, last changed, until its learners have been looked at.
    ``reconciled_at``: when all of its learners had last been compared with their completions; ``reconcile_after``: the
    user id up to which the next round has come.

    .. no_pii:
    """

    id = models.BigAutoField(primary_key=True)
    course_key = CourseKeyField(max_length=255, case_sensitive=True, unique=True)
    leaf_count = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    error = models.TextField(default="", blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)
    refreshed_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True, db_index=True)
    reconciled_at = models.DateTimeField(null=True, blank=True)
    reconcile_after = models.BigIntegerField(default=0)

    class Meta:
        app_label = "completion_aggregator"

    def __str__(self) -> str:
        return str(self.course_key)


class CourseContent(models.Model):
    """The compiled content of a course, for platforms that would have to work it out again in every process.

    ``version`` is the platform's own name for the content, ``content_hash`` that of the graph: versions that differ may
    have equal graphs.

    .. no_pii:
    """

    id = models.BigAutoField(primary_key=True)
    course_key = CourseKeyField(max_length=255, case_sensitive=True, unique=True)
    version = models.CharField(max_length=255)
    content_hash = models.CharField(max_length=32)
    graph = models.BinaryField()
    compiled_at = models.DateTimeField()

    class Meta:
        app_label = "completion_aggregator"

    def __str__(self) -> str:
        return f"{self.course_key} {self.version}"


class CourseTree(models.Model):
    """What the platform showed somebody of a course on a visit, once for all who saw the same.

    ``profile`` is what rows of ``CourseProgress`` name it by; ``tree`` is of the graph that ``graph_version`` names.

    .. no_pii:
    """

    id = models.BigAutoField(primary_key=True)
    course = models.ForeignKey(AggregatedCourse, on_delete=models.CASCADE, related_name="trees")
    graph_version = models.CharField(max_length=32)
    profile = models.CharField(max_length=16)
    tree = models.BinaryField()
    kept_at = models.DateTimeField()

    class Meta:
        app_label = "completion_aggregator"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["course", "profile", "graph_version"], name="tree_course_profile_uniq"),
        ]

    def __str__(self) -> str:
        return f"{self.profile} in {self.course_id}"


class CourseLeaf(models.Model):
    """The number of a completable block within its course: handed out once, never changed or reused.

    .. no_pii:
    """

    pk = models.CompositePrimaryKey("course_id", "number")
    course = models.ForeignKey(AggregatedCourse, on_delete=models.CASCADE, db_index=False, related_name="leaves")
    number = models.PositiveIntegerField()
    block_key = UsageKeyField(max_length=255, case_sensitive=True)

    class Meta:
        app_label = "completion_aggregator"

    def __str__(self) -> str:
        return f"{self.number} {self.block_key}"


class CourseProgress(models.Model):
    """One learner in one course: the completion vector, the tally of the course, and what they were computed from.

    ``as_of`` is None until the first refresh. ``begun``: the learner has ever completed anything, or was aggregated by
    force; of others the API says, as it always has, that nothing is known. ``last_modified`` is the newest visible
    completion, ``last_activity`` the newest of all. ``graph_version`` is the tag of the content, ``view`` the digest of
    the tree seen, ``profile`` the name of the ``CourseTree`` where the platform was visited. ``unnumbered``: she
    completed blocks that were no leaves when ``leaf_count`` leaves were known. A learner whose refresh failed
    ``attempts`` times is set aside, with the last error.

    .. no_pii:
    """

    # MariaDB and MySQL keep rows in this order: those of a class lie together, however its learners came.
    pk = models.CompositePrimaryKey("course_id", "user_id")
    course = models.ForeignKey(AggregatedCourse, on_delete=models.CASCADE, db_index=False, related_name="progress")
    # No constraint: it would make every refresh wait for whoever writes the user's row.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False, related_name="+")
    vector = models.BinaryField(default=b"")
    earned = models.FloatField(default=0.0)
    possible = models.FloatField(default=0.0)
    percent = models.FloatField(default=0.0)
    optional_earned = models.FloatField(default=0.0)
    optional_possible = models.FloatField(default=0.0)
    last_modified = models.DateTimeField(null=True)
    last_activity = models.DateTimeField(null=True)
    graph_version = models.CharField(max_length=32, default="")
    profile = models.CharField(max_length=16, default="")
    view = models.CharField(max_length=16, default="")
    as_of = models.DateTimeField(null=True)
    valid_until = models.DateTimeField(null=True, db_index=True)
    unnumbered = models.BooleanField(default=False)
    begun = models.BooleanField(default=False)
    leaf_count = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    set_aside_at = models.DateTimeField(null=True, db_index=True)
    error = models.CharField(max_length=500, default="", blank=True)

    class Meta:
        app_label = "completion_aggregator"

    def __str__(self) -> str:
        return f"{self.user_id} in {self.course_id}: {self.percent:.0%}"


class Crossing(models.Model):
    """That a learner reached a threshold in a block, for the ``number``-th time; ``left_at``: when she fell below it.

    A row is written once, under the lock of the learner's ``CourseProgress``, and stays: it is how we know what has
    been told. ``event_id`` is a UUID.

    .. no_pii:
    """

    id = models.BigAutoField(primary_key=True)
    course = models.ForeignKey(AggregatedCourse, on_delete=models.CASCADE, related_name="crossings")
    # No constraint, for the reason given in CourseProgress.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False, related_name="+")
    block_key = UsageKeyField(max_length=255, case_sensitive=True)
    block_type = models.CharField(max_length=255)
    threshold = models.FloatField()
    number = models.PositiveIntegerField()
    percent = models.FloatField()
    reached_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True)
    event_id = models.CharField(max_length=36, unique=True)

    class Meta:
        app_label = "completion_aggregator"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["course", "user", "block_key", "threshold", "number"], name="crossing_place_number_uniq"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} reached {self.threshold:.0%} of {self.block_key}"


class Delivery(models.Model):
    """What one endpoint is to be told, or was: a crossing.

    ``due_at``: not before then; None once there is nothing more to do, delivered or given up.

    .. no_pii:
    """

    id = models.BigAutoField(primary_key=True)
    crossing = models.ForeignKey(
        Crossing, to_field="event_id", db_column="event_id", on_delete=models.CASCADE, related_name="deliveries"
    )
    endpoint = models.CharField(max_length=32)
    due_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, default="", blank=True)

    class Meta:
        app_label = "completion_aggregator"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["crossing", "endpoint"], name="delivery_event_endpoint_uniq"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["endpoint", "due_at"], name="delivery_endpoint_due_idx"),
            # Those delivered long ago, and the few that are not: what there is to clean up, try again and tell of.
            models.Index(fields=["delivered_at", "due_at"], name="delivery_delivered_due_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.crossing_id} to {self.endpoint}"
