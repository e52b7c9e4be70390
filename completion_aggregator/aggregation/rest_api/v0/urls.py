"""The addresses of v0."""

from django.urls import path

from completion_aggregator.aggregation.rest_api.v0 import views

app_name = "completion_aggregator"
urlpatterns = [
    path("course/", views.CompletionListView.as_view(), name="aggregator-list"),
    # Before the course alone, whose path would swallow it.
    path(
        "course/<path:course_key>/blocks/<path:block_key>/",
        views.CompletionBlockUpdateView.as_view(),
        name="blockcompletion-update",
    ),
    path("course/<path:course_key>/", views.CompletionDetailView.as_view(), name="aggregator-detail"),
]
