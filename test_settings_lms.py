"""A small LMS: the fakes of ``tests/fakes/openedx_platform`` at the import paths of the LMS, with the real packages.

Our plug-in comes in as into an LMS: by its entry points, through ``edx_django_utils.plugins``. The environment variable
``TEST_LMS_VARIANT=cms`` makes it Studio instead. What is not said here is as in ``test_settings``.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

FAKES = Path(__file__).parent / "tests" / "fakes" / "openedx_platform"
if str(FAKES) not in sys.path:
    sys.path.insert(0, str(FAKES))

from edx_django_utils.plugins import add_plugins, get_plugin_apps  # noqa: E402
from edx_django_utils.plugins.registry import DjangoAppRegistry  # noqa: E402
from openedx.core.djangoapps.plugins.constants import ProjectType, SettingsType  # noqa: E402

from test_settings import *  # noqa: E402, F403
from test_settings import MIDDLEWARE as SITE_MIDDLEWARE  # noqa: E402
from test_settings import REST_FRAMEWORK as SITE_REST_FRAMEWORK  # noqa: E402

SERVICE_VARIANT = os.environ.get("TEST_LMS_VARIANT") or "lms"
import_module(SERVICE_VARIANT)  # its Celery app: shared tasks belong to it from here on
PROJECT_TYPE = {"lms": ProjectType.LMS, "cms": ProjectType.CMS}[SERVICE_VARIANT]
# The extra `xapi` brings a plug-in that sends each tracking event on by a task: not installed in every environment of
# ours, so it must not change what a test counts.
DjangoAppRegistry.get_available_plugins(PROJECT_TYPE).pop("event_routing_backends", None)

PLATFORM_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.sites",
    "django.contrib.staticfiles",
    "rest_framework",
    "waffle",
    "eventtracking.django.apps.EventTrackingConfig",
    "openedx_events",
    "common.djangoapps.student",
    "common.djangoapps.course_modes",
    "common.djangoapps.split_modulestore_django",
    "openedx.core.djangoapps.content.block_structure",
    "openedx.core.djangoapps.content.course_overviews",
    "openedx.core.djangoapps.course_groups",
    "openedx.core.djangoapps.django_comment_common",
    "openedx.core.djangoapps.plugins",
    "openedx.core.djangoapps.user_api",
    "openedx.features.content_type_gating",
    "authz_store",
    "edx_when",
]
LMS_APPS = [
    "lms.djangoapps.certificates",
    "lms.djangoapps.courseware",
    "lms.djangoapps.grades",
    "lms.djangoapps.instructor_task",
    "lms.djangoapps.teams",
]
INSTALLED_APPS = PLATFORM_APPS + (LMS_APPS if SERVICE_VARIANT == "lms" else [])
# edx-completion is a plug-in of the LMS too, and none of Studio.
INSTALLED_APPS += get_plugin_apps(PROJECT_TYPE)

ROOT_URLCONF = f"{SERVICE_VARIANT}.urls"
# Without the content policy, which is that of the standalone site.
MIDDLEWARE = [name for name in SITE_MIDDLEWARE if not name.startswith("completion_aggregator.")]
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
if SERVICE_VARIANT == "lms":
    AUTHENTICATION_BACKENDS.append("lms.djangoapps.instructor.permissions.RulePermissionBackend")
LOGIN_URL = "/login"
SITE_ID = 1
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"

# The LMS has no default for who is asked and who may: each of its views says it.
REST_FRAMEWORK = {
    "DEFAULT_PAGINATION_CLASS": "edx_rest_framework_extensions.paginators.DefaultPagination",
    "DEFAULT_RENDERER_CLASSES": ("rest_framework.renderers.JSONRenderer",),
    "EXCEPTION_HANDLER": SITE_REST_FRAMEWORK.get("EXCEPTION_HANDLER", "rest_framework.views.exception_handler"),
    "PAGE_SIZE": 10,
}
JWT_AUTH = {
    "JWT_ALGORITHM": "HS256",
    "JWT_AUDIENCE": "lms-key",
    "JWT_ISSUER": "http://127.0.0.1:8000/oauth2",
    "JWT_ISSUERS": [
        {
            "AUDIENCE": "lms-key",
            "ISSUER": "http://127.0.0.1:8000/oauth2",
            "SECRET_KEY": "only-for-tests-and-long-enough-for-the-algorithm",
        }
    ],
    "JWT_SECRET_KEY": "only-for-tests-and-long-enough-for-the-algorithm",
    "JWT_VERIFY_AUDIENCE": False,
}

FEATURES = {
    "CERTIFICATES_HTML_VIEW": True,
    "DISABLE_START_DATES": False,
    "ENABLE_CONTENT_GROUPS_FOR_TEAMS": True,
    "ENABLE_MOBILE_REST_API": True,
    "MARK_LIBRARY_CONTENT_BLOCK_COMPLETE_ON_VIEW": False,
}
COURSE_ENROLLMENT_MODES = {
    "audit": {"id": 1, "slug": "audit", "display_name": "Audit", "min_price": 0},
    "verified": {"id": 2, "slug": "verified", "display_name": "Verified", "min_price": 1},
    "professional": {"id": 3, "slug": "professional", "display_name": "Professional", "min_price": 1},
    "no-id-professional": {"id": 4, "slug": "no-id-professional", "display_name": "No-Id-Professional", "min_price": 0},
    "credit": {"id": 5, "slug": "credit", "display_name": "Credit", "min_price": 0},
    "honor": {"id": 6, "slug": "honor", "display_name": "Honor", "min_price": 0},
    "masters": {"id": 7, "slug": "masters", "display_name": "Master's", "min_price": 0},
}
GRADES_DOWNLOAD = {"STORAGE_TYPE": "localfs", "BUCKET": "", "ROOT_PATH": ""}  # the folder: by the fixture of a test
FIELD_OVERRIDE_PROVIDERS = ()
BLOCK_STRUCTURES_SETTINGS = {"COURSE_PUBLISH_TASK_DELAY": 30}
EVENT_BUS_PRODUCER_CONFIG: dict[str, object] = {}

add_plugins(__name__, PROJECT_TYPE, SettingsType.COMMON)
add_plugins(__name__, PROJECT_TYPE, SettingsType.TEST)
