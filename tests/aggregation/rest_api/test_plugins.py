"""Other plug-ins: those that call our views, derive from them, or replace parts of them; and the names of addresses."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any
from unittest.mock import PropertyMock, patch

import pytest
from django.contrib.auth import get_user_model
from django.test import override_settings
from django.urls import clear_url_caches, include, path, reverse
from edx_rest_framework_extensions.paginators import NamespacedPageNumberPagination  # type: ignore[import-untyped]
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory, force_authenticate

from completion_aggregator.api.common import CompletionViewMixin
from completion_aggregator.api.v0 import views as v0
from completion_aggregator.api.v1 import views as v1
from tests.aggregation.builders import KEY, usage
from tests.aggregation.rest_api.school import (
    PREFIX,
    answer,
    client_of,
    completed,
    get,
    people,
    person,
    refreshed,
    small,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("asynchronous")]

FACTORY = APIRequestFactory()


@pytest.fixture
def root() -> Any:
    small()
    return person("root", is_staff=True)


# One that calls the view, to give credentials to whoever has completed a course.


def percents(view: Any, staff: Any) -> Iterator[tuple[str, float]]:
    """Yield the username and percent of everybody in the course, from page to page."""
    page, view._effective_user = 1, staff
    while page:
        request = FACTORY.get(f"/completion/v1/course/{KEY}/", {"page_size": 1000, "page": page})
        view.request = Request(request)
        response = view.get(view.request, str(KEY))
        for entry in response.data["results"]:
            yield entry["username"], entry["completion"]["percent"]
        page = page + 1 if response.data["pagination"]["next"] else 0


def test_a_plugin_reads_a_whole_class_page_by_page_without_a_request_of_its_own(root: Any) -> None:
    users = people(203)
    completed(users[150], "a", "b", "c", "e", "f")
    completed(users[202], "a")
    refreshed()
    found = list(percents(v1.CompletionDetailView(), root))
    assert [name for name, _ in found] == [user.username for user in users]
    assert {pair for pair in found if pair[1]} == {("learner00150", 1.0), ("learner00202", 0.2)}


def test_results_are_a_list_to_look_at_in_any_order(root: Any) -> None:
    completed(people(3)[1], "a", "b", "c", "e", "f")
    refreshed()
    view = v1.CompletionDetailView()
    view.request, view._effective_user = Request(FACTORY.get("/", {"page_size": 1000, "page": 1})), root
    results = view.get(view.request, str(KEY)).data["results"]
    assert (len(results), results[1]["username"], results[1]["completion"]["percent"]) == (3, "learner00001", 1.0)
    assert results[-1]["username"] == "learner00002"
    assert [entry["username"] for entry in results[:2]] == ["learner00000", "learner00001"]
    nothing = {"earned": 0.0, "possible": None, "percent": 0.0}
    whole = [
        {"course_key": str(KEY), "completion": nothing, "username": "learner00000"},
        {
            "course_key": str(KEY),
            "completion": {"earned": 5.0, "possible": 5.0, "percent": 1.0},
            "username": "learner00001",
        },
        {"course_key": str(KEY), "completion": nothing, "username": "learner00002"},
    ]
    assert results == whole
    assert whole == results
    assert results != whole[:2]
    # The same view, for another request.
    view.request = Request(FACTORY.get("/", {"requested_fields": "mean"}))
    assert [entry["mean"] for entry in view.get(view.request, str(KEY)).data["results"]] == [1 / 3] * 3


# One that derives from the view, with rules of its own.


class ForMentors(v1.CompletionDetailView):
    """Lets everybody whose name begins with "mentor" see everybody; takes names from wherever they stand."""

    @property
    def user(self) -> Any:
        if self._effective_user is None:
            request: Any = self.request
            mentor = request.user.username.startswith("mentor")
            given = request.GET if request.method == "GET" else request.data
            name = given.get("username")
            if not mentor and name != request.user.username:
                raise PermissionDenied
            self._requested_user = None
            if name:
                self._requested_user = get_user_model()._default_manager.filter(username=name).first()
                if self._requested_user is None:
                    raise NotFound
            self._effective_user = self._requested_user or request.user
        return self._effective_user


class ForMentorsOfOld(v0.CompletionDetailView):
    """The same of v0, as one class of such a plug-in serves both."""

    user = ForMentors.user


def sent(view: Any, user: Any, verb: str, **values: Any) -> Any:
    request = getattr(FACTORY, verb)("/", values, **({"format": "json"} if verb == "post" else {}))
    force_authenticate(request, user)
    response = view.as_view()(request, course_key=str(KEY))
    response.render()
    return response


@pytest.mark.parametrize("verb", ["get", "post"])
def test_a_plugin_overrides_who_may_ask_for_whom(root: Any, verb: str) -> None:
    ana, bob, mentor = person("ana", KEY), person("bob", KEY), person("mentor")
    completed(ana, "a")
    refreshed()
    everybody = sent(ForMentors, mentor, verb)
    assert (everybody.status_code, [entry["username"] for entry in everybody.data["results"]]) == (200, ["ana", "bob"])
    for asking, name, status in ((mentor, "ana", 200), (ana, "ana", 200), (bob, "ana", 403), (mentor, "eve", 404)):
        response = sent(ForMentors, asking, verb, username=name)
        assert response.status_code == status
        if status == 200:
            tally = {"earned": 1.0, "possible": 5.0, "percent": 0.2}
            assert response.data["results"] == [{"course_key": str(KEY), "completion": tally}]
    assert sent(ForMentors, bob, verb).status_code == 403


def test_a_plugin_overrides_it_in_v0_too(root: Any) -> None:
    person("ana", KEY)
    mentor = person("mentor")
    assert sent(ForMentorsOfOld, mentor, "get", username="ana").status_code == 200
    assert sent(ForMentorsOfOld, person("bob", KEY), "get", username="ana").status_code == 403


# Tests of sites, which replace parts of the mix-in for all views.


class Plain(PageNumberPagination):
    page_size = 1


VIEWS = (
    v0.CompletionListView, v0.CompletionDetailView, v0.CompletionBlockUpdateView,
    v1.CompletionListView, v1.CompletionDetailView, v1.CourseLevelCompletionStatsView,
)  # fmt: skip


def test_all_views_have_the_mixin_under_its_old_path() -> None:
    assert all(issubclass(view, CompletionViewMixin) for view in VIEWS)
    assert v0.CompletionViewMixin is v1.CompletionViewMixin is CompletionViewMixin


def test_a_site_sets_the_class_of_pages(root: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    person("ana", KEY)
    monkeypatch.setattr(CompletionViewMixin, "pagination_class", Plain)
    for address in (f"v1/course/{KEY}/", "v1/course/?username=ana", "v0/course/?username=ana"):
        body = answer(get(root, address))[1]
        assert list(body) == ["count", "next", "previous", "results"]


@pytest.mark.parametrize(
    ("pages", "envelope"),
    [
        (Plain, ["count", "next", "previous", "results"]),
        (PageNumberPagination, ["count", "next", "previous", "results"]),
        (NamespacedPageNumberPagination, ["results", "pagination"]),
    ],
)
def test_a_site_mocks_the_property_of_pages(root: Any, pages: Any, envelope: list[str]) -> None:
    person("ana", KEY)
    with patch.object(CompletionViewMixin, "pagination_class", new_callable=PropertyMock) as mock:
        mock.return_value = pages
        for address in (f"v1/course/{KEY}/", "v1/course/?username=ana", "v0/course/?username=ana"):
            status, body = answer(get(root, address))
            assert (status, sorted(body)) == (200, sorted(envelope))
    assert list(answer(get(root, f"v1/course/{KEY}/"))[1]) == ["results", "pagination"]


def test_a_site_sets_the_authenticators(root: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of sessions alone, an anonymous request is a 403.
    monkeypatch.setattr(CompletionViewMixin, "get_authenticators", lambda self: [SessionAuthentication()])
    for address in ("v1/course/", f"v1/stats/{KEY}/", f"v0/course/{KEY}/blocks/{usage('html', 'a')}/"):
        assert client_of(None).get(PREFIX + address).status_code == 403
    assert get(root, f"v1/stats/{KEY}/").status_code == 200


# Addresses by name.

COURSE = {"course_key": str(KEY)}
NAMED = {
    ("completion_api_v0:aggregator-list", ()): "v0/course/",
    ("completion_api_v0:aggregator-detail", ("course_key",)): f"v0/course/{KEY}/",
    ("completion_api_v0:blockcompletion-update", ("course_key", "block_key")): (
        f"v0/course/{KEY}/blocks/{usage('html', 'a')}/"
    ),
    ("completion_api_v1:aggregator-list", ()): "v1/course/",
    ("completion_api_v1:aggregator-detail", ("course_key",)): f"v1/course/{KEY}/",
    ("completion_api_v1:aggregator-stats", ("course_key",)): f"v1/stats/{KEY}/",
    ("completion-progress-bar", ("course_key",)): f"progress_bar/{KEY}/",
    ("completion-progress-bar", ("course_key", "chapter_id")): f"progress_bar/{KEY}/c1/",
}


def urls(name: str, *patterns: Any) -> ModuleType:
    module = ModuleType(name)
    module.urlpatterns = list(patterns)  # type: ignore[attr-defined]
    return module


def reversed_(namespace: str = "") -> dict[tuple[str, tuple[str, ...]], str]:
    values = {"course_key": str(KEY), "block_key": str(usage("html", "a")), "chapter_id": "c1"}
    return {
        (name, arguments): reverse(namespace + name, kwargs={each: values[each] for each in arguments})
        for name, arguments in NAMED
    }


def prefixed(prefix: str) -> dict[tuple[str, tuple[str, ...]], str]:
    return {each: prefix + address for each, address in NAMED.items()}


@pytest.fixture(autouse=True)
def fresh_urls() -> Iterator[None]:
    yield
    clear_url_caches()


def test_addresses_reverse_by_their_old_names_at_the_root() -> None:
    with override_settings(ROOT_URLCONF="completion_aggregator.urls"):
        assert reversed_() == prefixed("/")


def test_addresses_reverse_by_their_old_names_below_a_prefix() -> None:
    below = urls("below", path("completion-aggregator/", include("completion_aggregator.urls")))
    with override_settings(ROOT_URLCONF=below):
        assert reversed_() == prefixed("/completion-aggregator/")


def test_addresses_reverse_as_the_lms_includes_plugins() -> None:
    included = include(("completion_aggregator.urls", "completion_aggregator"), "completion_aggregator")
    with override_settings(ROOT_URLCONF=urls("lms", path("completion-aggregator/", included))):
        assert reversed_("completion_aggregator:") == prefixed("/completion-aggregator/")


def test_the_modules_of_addresses_have_the_name_of_the_app() -> None:
    from completion_aggregator.api.v0 import urls as urls_v0
    from completion_aggregator.api.v1 import urls as urls_v1

    assert (urls_v0.app_name, urls_v1.app_name) == ("completion_aggregator", "completion_aggregator")
