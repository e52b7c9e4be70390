"""The addresses of v2."""

from django.urls import path

from completion_aggregator.aggregation.rest_api.v2 import views

app_name = "completion_aggregator"
urlpatterns = [
    path("courses/", views.CourseListView.as_view(), name="courses"),
    path("courses/<path:course_key>/learners/<str:username>/", views.LearnerView.as_view(), name="learner"),
    path("courses/<path:course_key>/learners/", views.ClassView.as_view(), name="class"),
    path("courses/<path:course_key>/summary/", views.SummaryView.as_view(), name="summary"),
]
