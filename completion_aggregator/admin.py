"""Look at tallies and at the queue. Nothing is made by hand here: rows follow from completions."""

from django.contrib import admin
from django.http import HttpRequest

from completion_aggregator.models import Aggregator, StaleCompletion


class _Watched(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Rows to look at."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return that nobody may: rows follow from completions."""
        return False


@admin.register(Aggregator)
class AggregatorAdmin(_Watched):
    """Tallies as other software reads them."""

    date_hierarchy = "modified"
    list_display = (
        "user",
        "course_key",
        "aggregation_name",
        "block_key",
        "earned",
        "possible",
        "percent",
        "last_modified",
    )
    list_filter = ("aggregation_name",)
    list_select_related = ("user",)
    raw_id_fields = ("user",)
    search_fields = ("course_key", "block_key", "user__username", "user__email")


@admin.register(StaleCompletion)
class StaleCompletionAdmin(_Watched):
    """The queue."""

    list_display = ("username", "course_key", "block_key", "created", "force", "resolved")
    list_filter = ("resolved",)
    search_fields = ("username", "course_key", "block_key")
