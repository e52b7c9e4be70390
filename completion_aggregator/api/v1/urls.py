"""The addresses of v1."""

from completion_aggregator.aggregation.rest_api.v1.urls import app_name, urlpatterns

__all__ = ["app_name", "urlpatterns"]
