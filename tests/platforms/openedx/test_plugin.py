"""We come into an LMS and a Studio as a plug-in, and neither ends for the lack of something."""

import pytest
from django.test import Client
from django.urls import resolve, reverse
from edx_django_utils.plugins import get_plugin_apps, get_plugin_url_patterns

from completion_aggregator.apps import CompletionAggregatorAppConfig
from tests.platforms.openedx.starting import start
from tests.platforms.openedx.test_studio import OF_THE_LMS

APP = "completion_aggregator.apps.CompletionAggregatorAppConfig"
PACKAGES = (
    "drf_spectacular",
    "edx_event_bus_redis",
    "edx_rest_framework_extensions",
    "event_routing_backends",
    "openedx_events",
    "openedx_filters",
    "orjson",
    "tincan",
)
MODULES = ("openedx.core.djangoapps.user_api.accounts.signals", "xmodule.modulestore.django", "xmodule.item_bank_block")
APPS = ("lms.djangoapps.teams", "openedx.features.content_type_gating")


def test_both_find_the_app():
    assert [APP in get_plugin_apps(project) for project in ("lms.djangoapp", "cms.djangoapp")] == [True, True]


def test_the_lms_imports_no_signal_for_us():
    assert set(CompletionAggregatorAppConfig.plugin_app) == {"url_config", "settings_config"}


def test_addresses_are_the_lms_s_alone():
    ours = [each for each in get_plugin_url_patterns("cms.djangoapp") if each.namespace == "completion_aggregator"]
    assert ours == []


@pytest.mark.parametrize(
    ("name", "arguments", "address"),
    [
        ("completion_api_v0:aggregator-list", {}, "v0/course/"),
        ("completion_api_v0:aggregator-detail", {"course_key": "course-v1:a+b+c"}, "v0/course/course-v1:a+b+c/"),
        (
            "completion_api_v0:blockcompletion-update",
            {"course_key": "course-v1:a+b+c", "block_key": "block-v1:a+b+c+type@html+block@x"},
            "v0/course/course-v1:a+b+c/blocks/block-v1:a+b+c+type@html+block@x/",
        ),
        ("completion_api_v2:courses", {}, "v2/courses/"),
        ("completion-progress-bar", {"course_key": "course-v1:a+b+c"}, "progress_bar/course-v1:a+b+c/"),
    ],
)
def test_addresses_have_the_names_that_they_ever_had(name, arguments, address):
    path = f"/completion-aggregator/{address}"
    assert reverse(f"completion_aggregator:{name}", kwargs=arguments) == path
    assert resolve(path).view_name == f"completion_aggregator:{name}"


@pytest.mark.django_db
def test_who_is_nobody_is_refused_as_by_the_lms_s_own_views():
    assert Client().get("/completion-aggregator/v1/course/").status_code == 401


def test_the_lms_imports_for_us_only_what_it_sends():
    lms = start("lms")
    assert [name for name in lms["imported"] if name.partition(".")[0] in OF_THE_LMS] == [
        "openedx.core.djangoapps.user_api.accounts.signals"
    ]
    assert (lms["problems"], lms["status"]) == ([], 401)


@pytest.mark.parametrize("variant", ["lms", "cms"])
def test_both_start_with_no_package_that_is_optional(variant):
    started = start(variant, absent=PACKAGES)
    # Without the LMS's classes, those of REST_FRAMEWORK are asked, which here ask for no credentials.
    assert (started["problems"], started["status"]) == ([], 403 if variant == "lms" else 404)


@pytest.mark.parametrize("variant", ["lms", "cms"])
def test_both_start_where_a_release_lacks_what_others_have(variant):
    started = start(variant, absent=MODULES, uninstalled=APPS)
    assert (started["problems"], started["status"]) == ([], 401 if variant == "lms" else 404)
