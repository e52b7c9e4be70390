"""The addresses of v1."""

from django.urls import path

from completion_aggregator.aggregation.rest_api.v1 import views

app_name = "completion_aggregator"
urlpatterns = [
    path("course/", views.CompletionListView.as_view(), name="aggregator-list"),
    path("course/<path:course_key>/", views.CompletionDetailView.as_view(), name="aggregator-detail"),
    path("stats/<path:course_key>/", views.CourseLevelCompletionStatsView.as_view(), name="aggregator-stats"),
]
