"""Django settings of the standalone service, from the environment; with none set, everything works.

``docs/reference/settings.md`` has a row for each variable.
"""

from completion_aggregator.aggregation.rest_api import openapi_settings
from completion_aggregator.platforms.standalone import access, environment, transport
from completion_aggregator.platforms.standalone.cache import drivable_cache
from completion_aggregator.platforms.standalone.database import default_database, drivable_database
from completion_aggregator.platforms.standalone.event_bus import configuration as event_bus
from completion_aggregator.platforms.standalone.home import prepare_home, secret_key

HOME = prepare_home()

SECRET_KEY = environment.read("SECRET_KEY", str, "", expected="text", secret=True) or secret_key(HOME)
DEBUG = environment.flag("DEBUG", default=False)
ALLOWED_HOSTS = environment.names("ALLOWED_HOSTS", default=("localhost", "127.0.0.1", "[::1]"))
CSRF_TRUSTED_ORIGINS = environment.names("CSRF_TRUSTED_ORIGINS")

DATABASES = {
    "default": environment.read(
        "DATABASE_URL",
        drivable_database,
        default_database(HOME),
        expected="sqlite:////path/to/file, mysql://user:password@host:3306/name, mariadb://... or postgres://...",
        secret=True,
    )
}
CACHES = {
    "default": environment.read(
        "CACHE_URL",
        drivable_cache,
        {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        expected="redis://host:6379/1, memcache://host:11211 or locmemcache://",
        secret=True,
    )
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
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

MIDDLEWARE = [
    # Without it, a process goes on with the waffle switches that it has once seen.
    "edx_django_utils.cache.middleware.RequestCacheMiddleware",
    "completion_aggregator.platforms.standalone.health.answer_any_host",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
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
WSGI_APPLICATION = "completion_aggregator.platforms.standalone.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REST_FRAMEWORK = access.rest_framework()
SPECTACULAR_SETTINGS = openapi_settings.SPECTACULAR_SETTINGS
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "home"
# A working day: whoever leaves a machine without logging out does not stay logged in for weeks.
SESSION_COOKIE_AGE = 12 * 3600
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
globals().update(transport.django_settings())

STATIC_URL = "/static/"
# The files of the installed apps are served from where they are: nothing to collect.
WHITENOISE_USE_FINDERS = True

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

CELERY_BROKER_URL = environment.read("CELERY_BROKER_URL", str, None, expected="a Celery broker URL")
# Without a broker a task runs where it is sent.
CELERY_TASK_ALWAYS_EAGER = CELERY_BROKER_URL is None
CELERY_TASK_IGNORE_RESULT = True
# Work stands in the stale rows, and each run of the service sends what still waits: a task that is lost loses nothing,
# one that is delivered again does nothing. So it is acknowledged before it begins, on Redis nothing waits for a
# visibility timeout, and a worker takes no more tasks than it has processes, so that none waits behind a long one.
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Workers that start before their broker wait for it, as they do when it is restarted.
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Not pickle: whoever can write to the broker could then run anything.
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]

globals().update(event_bus.django_settings())

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"format": "{asctime} {levelname} {name} {message}", "style": "{"},
        "json": {"()": "completion_aggregator.json_lines.JsonLines"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": environment.read("LOG_FORMAT", environment.parse_log_format, "text", expected="text or json"),
        }
    },
    "root": {
        "handlers": ["stderr"],
        "level": environment.read(
            "LOG_LEVEL", environment.parse_log_level, "WARNING", expected="DEBUG, INFO, WARNING, ERROR or CRITICAL"
        ),
    },
    "loggers": {
        # One line per tracking event would drown all others; the events are for the backends that a site configures.
        "eventtracking": {"level": "ERROR"},
        "tracking": {"level": "ERROR"},
        # They tell of each event several times, and of what they cannot read with all its data.
        "openedx_events": {"level": "ERROR"},
        "edx_event_bus_redis": {"level": "ERROR"},
        # It warns of each request that waits for a thread, be it for a millisecond.
        "waitress.queue": {"level": "ERROR"},
        # Whoever scans the network asks by names that are none of ours; it has a traceback for each.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        # Below this level it tells whole addresses, and those of webhooks may hold keys.
        "urllib3": {"level": "INFO"},
    },
}

COMPLETION_AGGREGATOR_PROJECTED_BLOCK_TYPES = frozenset({"course"})
COMPLETION_AGGREGATOR_METRICS_FOR_STAFF = True
globals().update(environment.own_settings())
