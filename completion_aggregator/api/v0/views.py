"""The views of v0."""

from completion_aggregator.aggregation.rest_api.v0.views import (
    CompletionBlockUpdateView,
    CompletionDetailView,
    CompletionListView,
)
from completion_aggregator.aggregation.rest_api.views import CompletionViewMixin

__all__ = ["CompletionBlockUpdateView", "CompletionDetailView", "CompletionListView", "CompletionViewMixin"]
