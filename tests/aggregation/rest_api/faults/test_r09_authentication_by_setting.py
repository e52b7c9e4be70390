"""R9: one statement imported two names of which the LMS has one; who asks is now told by a setting."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from rest_framework.authentication import BaseAuthentication
from rest_framework.authtoken.models import Token

from tests.aggregation.builders import KEY
from tests.aggregation.rest_api.school import PREFIX, answer, client_of, person, small
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.django_db

PATHS = [
    "v1/course/", f"v1/course/{KEY}/", f"v1/stats/{KEY}/", "v0/course/", f"v0/course/{KEY}/",
    f"v0/course/{KEY}/blocks/{KEY.make_usage_key('html', 'a')}/",
]  # fmt: skip


class AlwaysRoot(BaseAuthentication):
    """Takes everybody for root."""

    def authenticate(self, request: Any) -> Any:
        from django.contrib.auth import get_user_model

        return get_user_model()._default_manager.get(username="root"), None


def test_r09_the_setting_says_who_asks(settings: Any) -> None:
    person("root", small(), is_staff=True)
    client = client_of(None)
    assert [client.get(PREFIX + path).status_code for path in PATHS] == [401] * 6
    settings.COMPLETION_AGGREGATOR_API_AUTHENTICATION_CLASSES = (f"{__name__}.AlwaysRoot",)
    assert [client.get(PREFIX + path).status_code for path in PATHS] == [200] * 5 + [405]


def test_r09_without_the_setting_it_is_what_the_rest_framework_is_told(settings: Any) -> None:
    ana = person("ana", small())
    token = {"Authorization": f"Token {Token.objects.create(user=ana).key}"}
    assert client_of(None).get(f"{PREFIX}v0/course/", headers=token).status_code == 200
    settings.COMPLETION_AGGREGATOR_API_AUTHENTICATION_CLASSES = ("rest_framework.authentication.SessionAuthentication",)
    assert client_of(None).get(f"{PREFIX}v0/course/", headers=token).status_code == 403
    assert answer(client_of(ana).get(f"{PREFIX}v0/course/"))[0] == 200


def test_r09_a_session_needs_its_csrf_token_to_change_anything() -> None:
    from django.test import Client

    ana = person("ana", small())
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana)
    response = client.post(PREFIX + PATHS[-1], '{"completion": 1}', content_type="application/json")
    assert answer(response) == (403, {"detail": "CSRF Failed: CSRF cookie not set."})


#: Everything of ours that a site loads, with none of what only some sites have.
ALONE = """
import json, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(name)

ABSENT = {"lms", "cms", "openedx", "common", "xmodule", "edx_rest_framework_extensions", "drf_spectacular", "orjson",
          "drf_spectacular_sidecar", "event_routing_backends", "openedx_filters", "tincan"}
sys.meta_path.insert(0, Absent())
import django
from django.conf import settings
from test_settings_core import INSTALLED_APPS
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=INSTALLED_APPS, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True,
    ROOT_URLCONF="completion_aggregator.urls", ALLOWED_HOSTS=["testserver"],
    COMPLETION_AGGREGATOR_API_AUTHENTICATION_CLASSES=["rest_framework.authentication.BasicAuthentication"],
)
django.setup()
from django.test import Client
import completion_aggregator.api.v0.views, completion_aggregator.api.v1.views, completion_aggregator.api.common
print(json.dumps([Client().get(path).status_code for path in json.loads(sys.argv[1])]))
"""


def test_r09_all_of_it_loads_and_answers_without_the_lms_and_without_what_is_optional() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", ALONE,
         json.dumps([f"/{path}" for path in PATHS])],
        cwd=REPOSITORY, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "[401, 401, 401, 401, 401, 401]\n"), done.stderr
