"""Pages by number, in the envelope that clients of v0 and v1 know."""

from functools import cache
from typing import Any

from rest_framework.pagination import PageNumberPagination
from rest_framework.response import Response
from rest_framework.settings import api_settings

from completion_aggregator.conf import setting

#: What the LMS sets, for a site that sets nothing.
DEFAULT_PAGE_SIZE = 10


class NamespacedPages(PageNumberPagination):
    """The envelope of the LMS: the entries, and beside them what there is to know of the pages."""

    def get_paginated_response(self, data: Any) -> Response:
        """Return the page in its envelope."""
        page = self.page
        assert page is not None, "there is a page once something was paginated"  # noqa: S101 (for the type checker)
        pagination = {
            "next": self.get_next_link(),
            "previous": self.get_previous_link(),
            "count": page.paginator.count,
            "num_pages": page.paginator.num_pages,
        }
        return Response({"results": data, "pagination": pagination})


class _Bounded(PageNumberPagination):
    """No page is larger than ``MAX_PAGE_SIZE``; a size that is no number, or below one, means the default."""

    page_size_query_param = "page_size"

    def __init__(self) -> None:
        self.max_page_size = setting("MAX_PAGE_SIZE")
        self.page_size = min(api_settings.PAGE_SIZE or DEFAULT_PAGE_SIZE, self.max_page_size)


def pagination_class() -> type[PageNumberPagination]:
    """Return the site's own pages by number, or those of the LMS where it has none; bounded in any case."""
    chosen: Any = api_settings.DEFAULT_PAGINATION_CLASS
    by_number = isinstance(chosen, type) and issubclass(chosen, PageNumberPagination)
    return _bounded(chosen if by_number else NamespacedPages)


@cache
def _bounded(pages: type[PageNumberPagination]) -> type[PageNumberPagination]:
    return type(f"Bounded{pages.__name__}", (_Bounded, pages), {})
