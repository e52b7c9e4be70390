"""The addresses of v0."""

from completion_aggregator.aggregation.rest_api.v0.urls import app_name, urlpatterns

__all__ = ["app_name", "urlpatterns"]
