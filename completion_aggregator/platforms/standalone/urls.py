"""The addresses of the standalone service."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from completion_aggregator.platforms.standalone.health import healthz

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/", admin.site.urls),
    path("healthz", healthz, name="healthz"),
]

if find_spec("completion_aggregator.urls"):
    urlpatterns.append(path("completion-aggregator/", include("completion_aggregator.urls")))
