"""The addresses of the plug-in: the REST API, and progress bars for the pages of others."""

from django.urls import include, path

from completion_aggregator import exposition
from completion_aggregator.aggregation.rest_api import progress_bar

urlpatterns = [
    path("metrics", exposition.metrics, name="completion-metrics"),
    path("v2/", include("completion_aggregator.aggregation.rest_api.v2.urls", namespace="completion_api_v2")),
    path("v1/", include("completion_aggregator.api.v1.urls", namespace="completion_api_v1")),
    path("v0/", include("completion_aggregator.api.v0.urls", namespace="completion_api_v0")),
    path("progress_bar/<course_key>/", progress_bar.course_progress_bar, name="completion-progress-bar"),
    path(
        "progress_bar/<course_key>/<path:chapter_id>/",
        progress_bar.chapter_progress_bar,
        name="completion-progress-bar",
    ),
]
