"""The addresses of the LMS: those of the plug-ins."""

from django.http import HttpResponse
from django.urls import path
from edx_django_utils.plugins import get_plugin_url_patterns
from openedx.core.djangoapps.plugins.constants import ProjectType

urlpatterns = [path("heartbeat", lambda request: HttpResponse("ok"), name="heartbeat")]
urlpatterns += get_plugin_url_patterns(ProjectType.LMS)
