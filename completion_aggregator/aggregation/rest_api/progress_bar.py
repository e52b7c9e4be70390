"""Progress bars: small pages that other pages show in a frame."""

from collections.abc import Callable
from typing import cast

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe
from rest_framework.exceptions import NotFound

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.rest_api.parameters import course_key_of
from completion_aggregator.ports import get_platform


@require_safe
@cache_control(private=True, no_cache=True)
@login_required
@xframe_options_exempt
def course_progress_bar(request: HttpRequest, course_key: str) -> HttpResponse:
    """Show how much of the course the one who asks has completed."""
    percent = _percent(request, course_key, lambda standing: 0)
    return render(request, "completion_progress_bar.html", {"completion_percentage": percent})


@require_safe
@cache_control(private=True, no_cache=True)
@login_required
@xframe_options_exempt
def chapter_progress_bar(request: HttpRequest, course_key: str, chapter_id: str) -> HttpResponse:
    """Show how much of one chapter the one who asks has completed; *chapter_id*: what its key ends with, after "@"."""
    percent = _percent(request, course_key, lambda standing: _chapter(standing, chapter_id))
    return render(request, "chapter_completion_progress_bar.html", {"completion_percentage": percent})


def _percent(request: HttpRequest, course_text: str, row_of: Callable[[api.Standing], int | None]) -> int:
    """Return the percentage to show; 0 where there is nothing to tell of."""
    user = cast("AbstractBaseUser", request.user)
    try:
        course_key = course_key_of(course_text)
    except NotFound:
        return 0
    if not get_platform().is_enrolled(course_key, user.pk):
        return 0
    standing = api.standings_of_learner(user.pk, [course_key], username=user.get_username())[course_key]
    row = None if standing is None else row_of(standing)
    return 0 if standing is None or row is None else round(100 * float(standing.sums[row, 2]))


def _chapter(standing: api.Standing, chapter_id: str) -> int | None:
    blocks = standing.blocks
    found = (
        row
        for row, (key, block_type) in enumerate(zip(blocks.keys, blocks.types, strict=True))
        if block_type == "chapter" and key.rpartition("@")[2] == chapter_id
    )
    return next(found, None)
