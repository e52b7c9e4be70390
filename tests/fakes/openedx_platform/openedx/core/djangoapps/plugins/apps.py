"""The app that connects the receivers of plug-ins."""

from django.apps import AppConfig
from django.conf import settings
from edx_django_utils.plugins import connect_plugin_receivers

from openedx.core.djangoapps.plugins.constants import ProjectType


class PluginsConfig(AppConfig):
    name = "openedx.core.djangoapps.plugins"

    def ready(self):
        # As in the platform, without a guard: a path that is missing stops the process.
        connect_plugin_receivers(ProjectType.LMS if settings.SERVICE_VARIANT == "lms" else ProjectType.CMS)
