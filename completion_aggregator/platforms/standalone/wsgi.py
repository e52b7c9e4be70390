"""The WSGI application of the standalone service."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "completion_aggregator.platforms.standalone.settings")

application = get_wsgi_application()
