"""The addresses of the standalone service."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView, TemplateView

from completion_aggregator.platforms.standalone import description
from completion_aggregator.platforms.standalone.health import healthz, livez, readyz
from completion_aggregator.platforms.standalone.login import LoginView, TokenView

HOME = TemplateView.as_view(
    template_name="completion_aggregator_standalone/home.html", extra_context={"title": "How far are the learners?"}
)

handler400 = "completion_aggregator.platforms.standalone.errors.bad_request"
handler404 = "completion_aggregator.platforms.standalone.errors.not_found"
handler500 = "completion_aggregator.platforms.standalone.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", HOME, name="home"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    # One page to log in, which counts the attempts.
    path("admin/login/", RedirectView.as_view(pattern_name="login", query_string=True)),
    path("admin/", admin.site.urls),
    path("healthz", healthz, name="healthz"),
    path("livez", livez, name="livez"),
    path("readyz", readyz, name="readyz"),
    path("api/token/", TokenView.as_view(), name="api-token"),
    path("api/openapi.yaml", description.openapi_yaml, name="openapi-yaml"),
    path("api/openapi.json", description.openapi_json, name="openapi-json"),
    path("api/docs/", description.interactive, name="api-docs"),
    path("completion-aggregator/", include("completion_aggregator.urls")),
]
