"""Steps from one place to another: units, links, books, bookmarks, searches, the end of a page."""

from typing import Any, Final

from completion_aggregator.tracking.batch import Batch, Transform
from completion_aggregator.tracking.families.writing import take_query
from completion_aggregator.tracking.values import (
    number,
    take_integer,
    take_key,
    take_number,
    take_term,
    usage_key,
)


def stepped(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a step within a sequence, or from one to the next."""
    pop = payload.pop
    old, new = pop("old", None), pop("new", None)
    tab, target = pop("current_tab", None), pop("target_tab", None)
    # Since 2016 both are there and say the same.
    old, new = old if tab is None else tab, new if target is None else target
    before, after = number(old), number(new)
    if before is None and old is not None:
        payload["old"] = old
    if after is None and new is not None:
        payload["new"] = new
    tabs = take_integer(payload, "tab_count") if "tab_count" in payload else None
    block = pop("id", None)
    found = usage_key(block, batch.course, "sequential") if type(block) is str else ""
    if not found and block is not None:
        payload["id"] = block
    batch.navigation.append((batch.row, found or None, action, before, after, tabs, None))
    return found


def linked(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a link that was followed; where it stood is the event's page."""
    payload.pop("current_url", None)
    target = _address(payload, "target_url", batch)
    batch.navigation.append((batch.row, None, action, None, None, None, target))
    return ""


def jumped(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a jump to a block; both ends are written as ``<sequence>/<unit>``."""
    target, block = _ends(payload, "id", batch), _ends(payload, "current_id", batch)
    batch.navigation.append((batch.row, block or None, action, None, None, None, target or None))
    return block


def closed(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take the end of a page."""
    batch.navigation.append((batch.row, None, action, None, None, None, None))
    return ""


def read(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take what was done with a book: its positions are pages."""
    if payload.get("name") == batch.name:
        del payload["name"]
    before = take_number(payload, "old")
    after = take_number(payload, "new" if "new" in payload else "page")
    target = _address(payload, "chapter", batch)
    if "query" in payload and (query := take_query(payload, "query", batch)):
        payload["query"] = query
    batch.navigation.append((batch.row, None, action, before, after, None, target))
    return ""


def marked(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a bookmark. Its id is the learner's name and the block, so it goes."""
    payload.pop("bookmark_id", None)
    if payload.get("course_id") == batch.course:
        payload.pop("course_id", None)
    block = take_key(payload, "component_usage_id", batch.course, "vertical")
    batch.navigation.append((batch.row, block or None, action, None, take_number(payload, "page_number"), None, None))
    return block


def tool(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a tool of the course that was opened."""
    batch.navigation.append((batch.row, None, action, None, None, None, take_term(payload, "tool_name", batch.clean)))
    return ""


def embedded(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a document of another site that was shown."""
    target = _address(payload, "url", batch)
    batch.navigation.append((batch.row, None, action, None, None, None, target))
    return ""


def searched(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a search for courses, or in one; ``tabs`` of it is how many were found."""
    for key in ("search_term", "search_string"):
        if key in payload and (query := take_query(payload, key, batch)):
            payload["query"] = query
    page, found = take_number(payload, "page_number"), take_integer(payload, "results_count")
    batch.navigation.append((batch.row, None, action, None, page, found, None))
    return ""


def selected(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take an event of the pages of the learning site that has no form of its own here."""
    return linked(_last(batch.name), payload, batch)


def _last(name: str) -> str:
    return name.removeprefix("edx.ui.lms.").removesuffix(".selected").removesuffix("_selected")[:100]


def _address(payload: dict[str, Any], key: str, batch: Batch) -> str | None:
    target = take_term(payload, key, str)  # it is cleaned as an address
    if target is None:
        payload.pop(key, None)  # too long for an address, and it may hold anything
        return None
    return batch.place(target) or None


def _ends(payload: dict[str, Any], key: str, batch: Batch) -> str:
    """Return the last key of ``<key>/<key>``."""
    written = payload.pop(key, None)
    if not isinstance(written, str):
        return ""
    last = written if written.startswith("i4x:") else written.rpartition("/")[2]
    return usage_key(last, batch.course, "vertical")


_PDF: Final = {
    "book": "chapter.navigated page.navigated page.scrolled thumbnail.navigated",
    "book_search": ("search.executed search.highlight.toggled search.navigatednext searchcasesensitivity.toggled"),
    "book_view": "display.scaled outline.toggled thumbnails.toggled zoom.buttons.changed zoom.menu.changed",
}

ACTIONS: Final[dict[str, tuple[str, Transform | None]]] = {
    "seq_goto": ("goto", stepped),
    "seq_next": ("next", stepped),
    "seq_prev": ("prev", stepped),
    "edx.ui.lms.sequence.next_selected": ("next", stepped),
    "edx.ui.lms.sequence.previous_selected": ("prev", stepped),
    "edx.ui.lms.sequence.tab_selected": ("tab", stepped),
    "edx.ui.lms.link_clicked": ("link", linked),
    "edx.ui.lms.outline.selected": ("outline", linked),
    "edx.ui.lms.sequence.outline.selected": ("outline", linked),
    "edx.ui.lms.jump_nav.selected": ("jump", jumped),
    "page_close": ("close", closed),
    "book": ("book", read),
    **{f"textbook.pdf.{name}": (action, read) for action, names in _PDF.items() for name in names.split()},
    "edx.bookmark.accessed": ("bookmark", marked),
    "edx.bookmark.added": ("bookmark_added", marked),
    "edx.bookmark.removed": ("bookmark_removed", marked),
    "edx.bookmark.listed": ("bookmarks_listed", marked),
    "edx.course.bookmark.accessed": ("bookmark", marked),
    "edx.course.bookmark.added": ("bookmark_added", marked),
    "edx.course.bookmark.removed": ("bookmark_removed", marked),
    "edx.course.bookmark.listed": ("bookmarks_listed", marked),
    "edx.course.tool.accessed": ("tool", tool),
    "edx.googlecomponent.calendar.displayed": ("embedded", embedded),
    "edx.googlecomponent.document.displayed": ("embedded", embedded),
    "edx.course.search.initiated": ("search", searched),
    "edx.course.search.results_displayed": ("search_results", searched),
    "edx.course.search.result_selected": ("search_selected", searched),
    "edx.course_discovery.search.initiated": ("search", searched),
    "edx.course_discovery.search.results_displayed": ("search_results", searched),
    "edx.course.home.resume_course.clicked": ("resume", linked),
    "edx.course.home.course_update.toggled": ("", None),
    "edx.course.home.upgrade_verified.clicked": ("", None),
}
