"""What v0 and v1 have in common, under the import path that other plug-ins know."""

from completion_aggregator.aggregation.rest_api.views import CompletionViewMixin

__all__ = ["CompletionViewMixin"]
