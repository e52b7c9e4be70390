import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.tracking.families.url import WORDS, block_in, is_of_platform, kind_of
from tests.tracking.families.events import HEX, Taken, key, taken

COURSE = "course-v1:DemoU+C001+2024_T1"
ENCODED = key("video").replace("+", "%2B").replace(":", "%3A").replace("@", "%40")


def test_of_what_was_sent_only_the_names_of_fields_are_kept():
    name = f"/courses/{COURSE}/xblock/{key('problem')}/handler/xmodule_handler/problem_check"
    sent = {"GET": {"next": ["/u/alice"]}, "POST": {"input_a_2_1": ["alice"], '{"password": "x"}': [""]}}
    assert taken(name, sent) == Taken(key("problem"), {}, {"fields": "* input_a_2_1 next"})


@pytest.mark.parametrize("sent", [{}, {"GET": {}, "POST": {}}, {"text": "password"}, {"POST": "cut", "GET": [1]}])
def test_nothing_is_kept_of_what_names_no_fields(sent):
    assert taken("/heartbeat", sent) == Taken("", {}, {})


@pytest.mark.parametrize(
    ("path", "block"),
    [
        (f"/courses/{COURSE}/xblock/{key('video')}/handler/a", key("video")),
        (f"/courses/{COURSE}/xblock/{ENCODED}/handler/a", key("video")),
        (f"/xblock/{key('vertical')}?view=student_view", key("vertical")),
        (f"/api/bookmarks/v1/bookmarks/alice,{key('vertical')}/", key("vertical")),
        ("/courses/MITx/6.00x/F/modx/i4x://MITx/6.00x/problem/L1/problem_check", "i4x://MITx/6.00x/problem/L1"),
        ("/courses/MITx/6.00x/F/jump_to/i4x:/MITx/6.00x/problem/L1", "i4x://MITx/6.00x/problem/L1"),
        (
            "/courses/MITx/6.00x/F/xblock/i4x:;_;_MITx;_6.00x;_problem;_L1/handler/a",
            "i4x://MITx/6.00x/problem/L1",
        ),
        (f"/courses/{COURSE}/jump_to_id/{HEX}", ""),
        ("/dashboard", ""),
        ("/asset-v1:DemoU+C001+2024_T1+type@asset+block@a.pdf", ""),
    ],
)
def test_the_block_is_the_one_in_the_path(path, block):
    assert block_in(path) == block


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/heartbeat", "/heartbeat"),
        ("/", "/"),
        (
            f"/courses/{COURSE}/xblock/{key('problem')}/handler/xmodule_handler/problem_check",
            "/courses/*/xblock/*/handler/xmodule_handler/problem_check",
        ),
        (
            f"/courses/{COURSE.replace('+', '%2B')}/xblock/{ENCODED}/handler/publish_completion",
            "/courses/*/xblock/*/handler/publish_completion",
        ),
        (
            "/courses/MITx/6.00x/F/modx/i4x://MITx/6.00x/problem/L1/problem_check",
            "/courses/*/modx/*/problem_check",
        ),
        ("/courses/MITx/course/F/info", "/courses/*/info"),
        ("/courses/MITx/6.00x/F/courseware/Week_1/Homework/2/", "/courses/*/courseware/*"),
        (f"/courses/{COURSE}/progress/12345/", "/courses/*/progress/*"),
        (f"/courses/{COURSE}/discussion/forum/general/threads/10435d", "/courses/*/discussion/forum/*/threads/*"),
        (f"/courses/{COURSE}/discussion/forum/users/12/followed", "/courses/*/discussion/forum/users/*/followed"),
        (f"/courses/{COURSE}/wiki/home/search/", "/courses/*/wiki/*"),
        (f"/api/courseware/course/{COURSE}", "/api/courseware/course/*"),
        ("/api/user/v1/accounts/alice", "/api/user/v1/accounts/*"),
        ("/api/user/v1/accounts/search/image", "/api/user/v1/accounts/search/image"),
        ("/api/user/v1/preferences/alice/", "/api/user/v1/preferences/*"),
        ("/api/user/v1/account/registration/", "/api/user/v1/account/registration"),
        ("/api/mobile/v0.5/users/alice/course_enrollments/", "/api/mobile/v0.5/users/*/course_enrollments"),
        (f"/api/enrollment/v1/enrollment/alice,{COURSE}", "/api/enrollment/v1/enrollment/*"),
        ("/api/team/v0/team_membership/red,alice", "/api/team/v0/team_membership/*"),
        ("/api/profile_images/v1/alice/upload", "/api/profile_images/v1/*/upload"),
        ("/u/alice", "/u/*"),
        ("/certificates/user/12/course/a", "/certificates/*/course/*"),
        ("/certificates/0123456789abcdef0123456789abcdef", "/certificates/*"),
        ("/event?user=alice", "/event"),
        ("/activate/0123abcd#alice", "/activate/*"),
        ("/alice@example.org", "/*"),
        ("/12/34", "/*"),
        ("/plugin/of/this/site", "/*"),
    ],
)
def test_a_kind_is_the_path_without_whom_and_what_it_names(path, kind):
    assert kind_of(path) == kind


@given(st.lists(st.sampled_from(sorted(WORDS)) | st.text(min_size=1, max_size=20), max_size=12))
def test_a_kind_holds_only_known_words(segments):
    known = [segment for segment in segments if not {"handler", "handler_noauth", "modx"} & set(segment.split("/"))]
    kind = kind_of("/" + "/".join(known))
    assert {segment for segment in kind.split("/") if not re.fullmatch(r"v\d(\.\d)?", segment)} <= WORDS | {"", "*"}


@given(
    st.sampled_from(["u", "users", "accounts", "profile", "student", "preferences"]), st.from_regex(r"\A[a-z]{2,9}_\Z")
)
def test_no_name_stands_behind_what_is_a_persons(segment, name):
    assert kind_of(f"/api/{segment}/{name}/image") == f"/api/{segment}/*/image"


def test_long_paths_are_cut_and_not_remembered():
    assert kind_of("/dashboard/" + "a/" * 100_000) == "/dashboard/*"
    assert block_in("/dashboard/" + "block-v1:" * 100_000) == ""


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/event", True),
        ("https://site.example/xblock/block-v1:O+C+R+type@vertical+block@v1", True),
        (
            "/courses/course-v1:O+C+R/xblock/block-v1:O+C+R+type@html+block@h/handler/xmodule_handler/problem_check",
            True,
        ),
        ("/api/user/v1/accounts/*", True),
        ("/u/anna", False),
        ("/courses/O/C/R/about", False),
        ("/courses/course-v1:O+C+R/xblock/block-v1:O+C+R+type@html+block@h/handler/Anna", False),
    ],
)
def test_an_address_is_of_the_platform_if_it_holds_but_its_words_and_keys(address, expected):
    assert is_of_platform(address) is expected
