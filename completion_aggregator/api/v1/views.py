"""The views of v1."""

from completion_aggregator.aggregation.rest_api.v1.views import (
    CompletionDetailView,
    CompletionListView,
    CourseLevelCompletionStatsView,
)
from completion_aggregator.aggregation.rest_api.views import CompletionViewMixin

__all__ = ["CompletionDetailView", "CompletionListView", "CompletionViewMixin", "CourseLevelCompletionStatsView"]
