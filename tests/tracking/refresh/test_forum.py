import pytest

from completion_aggregator.tracking.dump import AbsentTable
from completion_aggregator.tracking.refresh import refresh_forum
from tests.tracking.refresh.bson_writing import ObjectId, encode
from tests.tracking.refresh.sources import COURSE, T1, T2, table

POSTS = (
    "id:int author_id:int course_id:text body:text created_at:time updated_at:time endorsed:flag anonymous:flag"
    " anonymous_to_peers:flag visible:flag group_id:int"
)
TABLES = {
    "forum_commentthread": table(
        f"{POSTS} title:text thread_type:text commentable_id:text closed:flag pinned:flag is_deleted:flag",
        (
            1,
            7,
            COURSE,
            "Help, é!",
            T1,
            T2,
            False,
            False,
            False,
            True,
            None,
            "Why",
            "question",
            "week1",
            False,
            True,
            False,
        ),
        (2, 666, COURSE, "me too", T1, T1, False, True, False, True, 3, "Hm", "discussion", "week1", True, None, True),
    ),
    "forum_comment": table(
        f"{POSTS} comment_thread_id:int parent_id:int is_deleted:flag",
        (1, 8, COURSE, "Because", T1, T1, True, False, True, True, None, 1, None, False),
        (2, 7, COURSE, "", T1, T1, False, False, False, False, None, 1, 1, False),
    ),
    "forum_uservote": table(
        "id:int user_id:int content_type_id:int content_object_id:int vote:int",
        (1, 8, 9001, 1, 1),
        (2, 9, 9001, 1, 1),
        (3, 7, 9002, 1, -1),
        (4, 7, 9003, 1, 1),
    ),
    "django_content_type": table(
        "id:int app_label:text model:text",
        (9001, "forum", "commentthread"),
        (9002, "forum", "comment"),
        (9003, "shop", "commentthread"),
    ),
}
COLUMNS = (
    "person", "course", "item", "level", "parent", "thread", "topic", "thread_type", "created", "updated",
    "title_length", "body_length", "votes", "endorsed", "anonymous", "visible", "pinned", "closed", "group_id",
)  # fmt: skip


def post(*values):
    return dict(zip(COLUMNS, values, strict=True))


def test_posts_of_the_newer_forum_come_without_their_text(opened, target, written, pseudonym):
    with opened(TABLES) as source:
        summary = refresh_forum(source, target, pseudonym=pseudonym)
    assert written("post") == [
        post(
            7, COURSE, "1", "thread", None, "1", "week1", "question", T1, T2,
            3, 8, 2, False, False, True, True, False, None,
        ),
        post(
            None, COURSE, "2", "thread", None, "2", "week1", "discussion", T1, T1,
            2, 6, 0, False, True, False, None, True, 3,
        ),
        post(
            8, COURSE, "1", "response", "1", "1", None, None, T1, T1,
            None, 7, -1, True, True, True, None, None, None,
        ),
        post(
            7, COURSE, "2", "comment", "1", "1", None, None, T1, T1,
            None, 0, 0, False, False, False, None, None, None,
        ),
    ]  # fmt: skip
    assert summary.rows == {"post": 4}
    assert not target.private_folder.exists()
    assert b"Because" not in target.path_of("post").read_bytes()


def test_text_is_kept_in_private_where_it_is_asked_for(opened, target, written, pseudonym):
    with opened(TABLES) as source:
        summary = refresh_forum(source, target, pseudonym=pseudonym, keep_text=True)
    assert written("post_text", private=True) == [
        {"item": "1", "level": "thread", "course": COURSE, "title": "Why", "body": "Help, é!"},
        {"item": "1", "level": "response", "course": COURSE, "title": None, "body": "Because"},
        {"item": "2", "level": "comment", "course": COURSE, "title": None, "body": None},
    ]
    assert summary.notes == ("1 texts are of nobody known, or of people who asked to be forgotten: not kept",)


def test_without_the_tables_of_the_newer_forum_the_first_is_named(opened, target, pseudonym):
    wanted = pytest.raises(AbsentTable, match=r"has no table (forum_uservote|django_content_type)")
    with opened({"forum_commentthread": TABLES["forum_commentthread"]}) as source, wanted:
        refresh_forum(source, target, pseudonym=pseudonym)


THREAD, RESPONSE, COMMENT = (ObjectId(bytes([n]) * 12) for n in (1, 2, 3))
MONGO = [
    {
        "_id": THREAD,
        "_type": "CommentThread",
        "votes": {"up": ["8"], "down": [], "point": 1, "count": 1},
        "course_id": COURSE,
        "commentable_id": "week1",
        "author_id": "7",
        "author_username": "ana",
        "title": "Why",
        "body": "Help, é!",
        "thread_type": "question",
        "created_at": T1,
        "updated_at": T2,
        "anonymous": False,
        "anonymous_to_peers": False,
        "visible": True,
        "closed": False,
        "pinned": True,
    },
    {"_id": ObjectId(bytes(12)), "_type": "Something", "body": "else"},
    {
        "_id": RESPONSE,
        "_type": "Comment",
        "course_id": COURSE,
        "author_id": "666",
        "body": "Because",
        "comment_thread_id": THREAD,
        "parent_ids": [],
        "endorsed": True,
        "created_at": T1,
        "updated_at": T1,
    },
    {"_id": COMMENT, "_type": "Comment", "author_id": "", "comment_thread_id": THREAD, "parent_id": RESPONSE},
]


def test_posts_of_the_older_forum_come_from_its_dump(target, written, pseudonym, tmp_path):
    dump = tmp_path / "contents.bson"
    dump.write_bytes(b"".join(map(encode, MONGO)) + b"\x0c\0\0\0\x77x\0....\0")
    summary = refresh_forum(dump, target, pseudonym=pseudonym, keep_text=True)
    one, two, three = (each.data.hex() for each in (THREAD, RESPONSE, COMMENT))
    nothing = (None,) * 4
    assert written("post") == [
        post(
            7, COURSE, one, "thread", None, one, "week1", "question", T1, T2,
            3, 8, 1, None, False, True, True, False, None,
        ),
        post(
            None, COURSE, two, "response", one, one, None, None, T1, T1,
            None, 7, None, True, False, True, None, None, None,
        ),
        post(None, None, three, "comment", two, one, *nothing, None, None, None, None, False, True, None, None, None),
    ]  # fmt: skip
    assert [row["body"] for row in written("post_text", private=True)] == ["Help, é!"]
    assert summary.notes == (
        "1 documents of the dump are no posts",
        "1 documents of the dump cannot be read: not in the table",
        "2 texts are of nobody known, or of people who asked to be forgotten: not kept",
    )
