"""The posts of the discussions: from the tables of the newer forum, or from a dump of the older one's MongoDB."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from completion_aggregator.tracking.dump.window import open_dump
from completion_aggregator.tracking.refresh.bson import documents
from completion_aggregator.tracking.refresh.source import (
    Pseudonym,
    Row,
    Source,
    flag,
    integer,
    lenient,
    moment,
    text,
)
from completion_aggregator.tracking.refresh.summary import Account, RefreshSummary
from completion_aggregator.tracking.refresh.tables import POST, POST_TEXT
from completion_aggregator.tracking.refresh.target import Target

_THREADS: Final = "forum_commentthread"
_COMMENTS: Final = "forum_comment"
_VOTES: Final = "forum_uservote"
_TYPES: Final = "django_content_type"
#: What is read of the platform.
SOURCES: Final = (_THREADS, _COMMENTS, _VOTES, _TYPES)
#: Posts with their text: fewer at a time.
_AT_ONCE: Final = 5_000
_UNREADABLE: Final = "{} documents of the dump cannot be read: not in the table"
_OTHERS: Final = "{} documents of the dump are no posts"
_FORGOTTEN: Final = "{} texts are of nobody known, or of people who asked to be forgotten: not kept"

_SHARED: Final = (
    "id", "author_id", "course_id", "body", "created_at", "updated_at", "endorsed", "anonymous", "anonymous_to_peers",
    "visible", "group_id",
)  # fmt: skip

#: A post as MongoDB holds it.
_Post = Mapping[str, Any]


def refresh_forum(
    source: Source | Path, target: Target, *, pseudonym: Pseudonym, keep_text: bool = False
) -> RefreshSummary:
    """Write ``post``, and ``post_text`` if asked; a path is a dump of the collection ``contents``.

    Raises AbsentTable, AbsentColumn or DamagedDump.
    """
    account = Account("forum", target)
    known = lenient(pseudonym)

    def posts(counts: Counter[str]) -> Iterator[_Post]:
        return _of_mongo(source, counts) if isinstance(source, Path) else _of_tables(source)

    account.write(POST, (_row(post, known) for post in posts(account.counts)))
    if keep_text:
        account.write(POST_TEXT, _texts(posts(Counter()), known, account), at_once=_AT_ONCE)
    return account.close()


def _row(post: _Post, known: Callable[[Any], bytes | None]) -> Row:
    level = _level(post)
    votes = post.get("votes")
    parent = {"thread": None, "response": post.get("comment_thread_id")}.get(level, post.get("parent_id"))
    return (
        known(post.get("author_id")), text(post.get("course_id")), text(post.get("_id")), level, text(parent),
        text(post.get("_id") if level == "thread" else post.get("comment_thread_id")), text(post.get("commentable_id")),
        text(post.get("thread_type")), moment(post.get("created_at")), moment(post.get("updated_at")),
        _length(post.get("title")), _length(post.get("body")),
        integer(votes.get("point")) if isinstance(votes, Mapping) else None, flag(post.get("endorsed")),
        bool(post.get("anonymous") or post.get("anonymous_to_peers")),
        bool(post.get("visible", True)) and not post.get("is_deleted"), flag(post.get("pinned")),
        flag(post.get("closed")), integer(post.get("group_id")),
    )  # fmt: skip


def _texts(posts: Iterator[_Post], known: Callable[[Any], bytes | None], account: Account) -> Iterator[Row]:
    for post in posts:
        if known(post.get("author_id")) is None:
            account.counts[_FORGOTTEN] += 1
            continue
        title, body = text(post.get("title")), text(post.get("body"))
        yield text(post.get("_id")), _level(post), text(post.get("course_id")), title, body


def _level(post: _Post) -> str:
    if post.get("_type") == "CommentThread":
        return "thread"
    return "comment" if post.get("parent_id") else "response"


def _length(written: Any) -> int | None:
    return len(written) if isinstance(written, str) else None


def _of_mongo(dump: Path, counts: Counter[str]) -> Iterator[_Post]:
    with open_dump(dump) as window:
        for document in documents(window):
            if document is None:
                counts[_UNREADABLE] += 1
            elif document.get("_type") in ("CommentThread", "Comment"):
                yield document
            else:
                counts[_OTHERS] += 1


def _of_tables(source: Source) -> Iterator[_Post]:
    """Yield the posts of the tables, in the words of MongoDB."""
    points = _points(source)
    yield from _read(source, _THREADS, ("title", "thread_type", "commentable_id", "closed", "pinned"), points)
    yield from _read(source, _COMMENTS, ("comment_thread_id", "parent_id"), points)


def _read(source: Source, table: str, more: tuple[str, ...], points: Counter[tuple[str, int]]) -> Iterator[_Post]:
    columns, model = (*_SHARED, *more), table.removeprefix("forum_")
    kind = "CommentThread" if table == _THREADS else "Comment"
    for rows in source.rows(table, columns, optional=("is_deleted",), at_once=_AT_ONCE):
        for row in rows:
            post = dict(zip((*columns, "is_deleted"), row, strict=True))
            yield post | {"_type": kind, "_id": post["id"], "votes": {"point": points[model, post["id"]]}}


def _points(source: Source) -> Counter[tuple[str, int]]:
    """Return the votes for each post that has any: some hundred megabytes where millions have."""
    models = {
        number: model
        for rows in source.rows(_TYPES, ("id", "app_label", "model"))
        for number, app, model in rows
        if app == "forum"
    }
    points: Counter[tuple[str, int]] = Counter()
    for rows in source.rows(_VOTES, ("content_type_id", "content_object_id", "vote")):
        for kind, post, vote in rows:
            if kind in models:
                points[models[kind], post] += int(vote)
    return points
