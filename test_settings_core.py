"""The settings of the tests with the root app alone, as in an LMS that lists none of the optional apps."""

from django.urls import URLPattern

from test_settings import *  # noqa: F403  (the same, less the optional apps)
from test_settings import INSTALLED_APPS as ALL_APPS

OPTIONAL_APPS = ("completion_aggregator.", "drf_spectacular", "rest_framework.authtoken")
INSTALLED_APPS = [app for app in ALL_APPS if not app.startswith(OPTIONAL_APPS)]
# No addresses: those of the standalone site need its tables.
ROOT_URLCONF = __name__
urlpatterns: list[URLPattern] = []
