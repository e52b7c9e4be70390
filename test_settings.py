"""Django settings of the tests: every app of ours, on the database that ``TEST_DATABASE_URL`` names.

Without it: a SQLite file of this process, removed afterwards. Servers: ``mysql://root@127.0.0.1:3306/name`` and
``postgres://postgres@127.0.0.1:5432/name``; the tests make and drop the database ``test_name``.
"""

import os
import tempfile
from pathlib import Path

from completion_aggregator.aggregation.rest_api import openapi_settings
from completion_aggregator.platforms.standalone import access
from completion_aggregator.platforms.standalone.database import database

SECRET_KEY = "only-for-tests"  # noqa: S105 (signs nothing that outlives a test)
DEBUG = False
ALLOWED_HOSTS = ["testserver", "localhost"]

DATABASES = {"default": database(os.environ.get("TEST_DATABASE_URL") or "sqlite:///:memory:")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: threads and processes of a test must meet the locks that those of a site meet. Named by the
    # process, so that two runs on one machine do not share it; unsafe against power failure, and so three times faster.
    DATABASES["default"]["TEST"] = {
        "NAME": str(Path(tempfile.gettempdir()) / f"completion-aggregator-test-{os.getpid()}.sqlite3")
    }
    DATABASES["default"]["OPTIONS"] = DATABASES["default"]["OPTIONS"] | {
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF"
    }
# Where a site keeps its files. Not made here: conftest.py puts a folder of the test run in its place.
HOME = Path(tempfile.gettempdir()) / "completion-aggregator-test"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "waffle",
    "eventtracking.django.apps.EventTrackingConfig",
    "completion",
    "completion_aggregator",
    "completion_aggregator.platforms.standalone",
    "completion_aggregator.tracking",
]
# Without its tracker, edx-completion ends in a KeyError after a completion is saved.
EVENT_TRACKING_ENABLED = True
# edx-completion refuses completions while its switch is off.
WAFFLE_SWITCH_DEFAULT = True

MIDDLEWARE = [
    # Without it, a process goes on with the waffle switches that it has once seen.
    "edx_django_utils.cache.middleware.RequestCacheMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "completion_aggregator.platforms.standalone.content_policy.content_policy",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "completion_aggregator.platforms.standalone.urls"
REST_FRAMEWORK = access.rest_framework()
# The tests of the rates put rates back; to all others they would only be a trap.
REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] = dict.fromkeys(REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"])
SPECTACULAR_SETTINGS = openapi_settings.SPECTACULAR_SETTINGS
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "home"

STATIC_URL = "/static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# The real hashers cost a tenth of a second for each user that a test makes.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

TIME_ZONE = "UTC"
USE_TZ = True

CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = True
