import pytest

from tests.tracking.families.events import COURSE, HEX, OLD_COURSE, Taken, key, taken

BLOCK = key("video")


def video(**values):
    return {"video": [{"block": BLOCK, **values}]}


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("load_video", "load"),
        ("play_video", "play"),
        ("pause_video", "pause"),
        ("stop_video", "stop"),
        ("complete_video", "complete"),
        ("edx.video.loaded", "load"),
        ("edx.video.played", "play"),
        ("edx.video.paused", "pause"),
        ("edx.video.stopped", "stop"),
        ("edx.video.completed", "complete"),
    ],
)
def test_a_browser_gives_the_position_and_a_bare_id(name, action):
    sent = {"id": HEX, "code": "html5", "duration": 367, "currentTime": 34.5}
    assert taken(name, sent, source="browser") == Taken(
        BLOCK, video(action=action, position_s=34.5, duration_s=367.0), {}
    )


def test_an_app_gives_the_key_in_full_and_the_position_by_its_own_name():
    sent = {"id": HEX, "code": "mobile", "duration": 100.5, "module_id": BLOCK, "current_time": 12}
    assert taken("edx.video.played", sent, source="mobile") == Taken(
        BLOCK, video(action="play", position_s=12.0, duration_s=100.5), {}
    )


def test_a_module_id_wins_and_another_id_stays():
    sent = {"id": "other", "module_id": BLOCK}
    assert taken("edx.video.paused", sent, source="mobile") == Taken(BLOCK, video(action="pause"), {"id": "other"})


def test_the_name_of_the_video_on_youtube_stays():
    found = taken("play_video", {"id": HEX, "code": "iOOYGgLADj8", "currentTime": 2}, source="browser")
    assert found == Taken(BLOCK, video(action="play", position_s=2.0), {"code": "iOOYGgLADj8"})


def test_ids_of_2012_with_dashes_become_keys_again():
    sent = {"id": "i4x-MITx-6_00x-video-Lecture_1", "code": "iOOYGgLADj8", "currentTime": "243.5", "speed": "1.25"}
    found = taken("play_video", sent, source="browser", course=OLD_COURSE)
    block = "i4x://MITx/6.00x/video/Lecture_1"
    row = {"block": block, "action": "play", "position_s": 243.5, "speed_to": 1.25}
    assert found == Taken(block, {"video": [row]}, {"code": "iOOYGgLADj8"})


def test_a_bare_id_in_an_old_course_becomes_an_old_key():
    found = taken("load_video", {"id": HEX}, source="browser", course=OLD_COURSE)
    block = f"i4x://MITx/6.00x/video/{HEX}"
    assert found == Taken(block, {"video": [{"block": block, "action": "load"}]}, {})


def test_a_bare_id_outside_a_course_is_left():
    found = taken("load_video", {"id": HEX}, source="browser", course="")
    assert found == Taken("", {"video": [{"action": "load"}]}, {"id": HEX})


@pytest.mark.parametrize("name", ["seek_video", "edx.video.position.changed"])
def test_a_jump_has_both_ends_and_its_means(name):
    sent = {"id": HEX, "old_time": 10.25, "new_time": 70, "type": "onSlideSeek", "requested_skip_interval": -30}
    assert taken(name, sent, source="mobile") == Taken(
        BLOCK,
        video(action="seek", from_s=10.25, to_s=70.0, seek_kind="onSlideSeek"),
        {"requested_skip_interval": -30},
    )


def test_a_change_of_speed_has_both_speeds_also_as_text():
    sent = {"id": HEX, "code": "html5", "current_time": 5.5, "old_speed": "1.0", "new_speed": "1.50"}
    assert taken("speed_change_video", sent, source="browser") == Taken(
        BLOCK, video(action="speed", position_s=5.5, speed_from=1.0, speed_to=1.5), {}
    )


@pytest.mark.parametrize(
    ("name", "action", "kind"),
    [
        ("show_transcript", "transcript", "show"),
        ("hide_transcript", "transcript", "hide"),
        ("edx.video.transcript.shown", "transcript", "show"),
        ("edx.video.transcript.hidden", "transcript", "hide"),
        ("edx.video.closed_captions.shown", "captions", "show"),
        ("edx.video.closed_captions.hidden", "captions", "hide"),
        ("video_show_cc_menu", "captions", "menu_show"),
        ("video_hide_cc_menu", "captions", "menu_hide"),
        ("edx.video.language_menu.shown", "captions", "menu_show"),
        ("edx.video.language_menu.hidden", "captions", "menu_hide"),
    ],
)
def test_what_is_shown_and_hidden(name, action, kind):
    found = taken(name, {"id": HEX, "code": "html5", "current_time": 3.5, "language": "fr"}, source="browser")
    assert found == Taken(BLOCK, video(action=action, position_s=3.5, seek_kind=kind), {"language": "fr"})


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("dismissed", "dismissed"),
        ("loaded", "loaded"),
        ("played", "played"),
        ("skipped", "skipped"),
        ("stopped", "stopped"),
        ("transcript.hidden", "hide"),
        ("transcript.shown", "show"),
        ("transcript.menu.hidden", "menu_hide"),
        ("transcript.menu.shown", "menu_show"),
    ],
)
def test_a_video_before_the_video_belongs_to_the_one_that_waits(ending, kind):
    sent = {"host_component_id": "i4x-MITx-6_00x-video-abc", "bumper_id": "http://x.org/a.webm", "duration": 10}
    found = taken(
        f"edx.video.bumper.{ending}", {**sent, "code": "html5", "currentTime": 0}, source="browser", course=OLD_COURSE
    )
    block = "i4x://MITx/6.00x/video/abc"
    row = {"block": block, "action": "bumper", "position_s": 0.0, "duration_s": 10.0, "seek_kind": kind}
    assert found == Taken(block, {"video": [row]}, {"bumper_id": "http://x.org/a.webm"})


@pytest.mark.parametrize("wrong", ["soon", float("nan"), float("inf"), [1], {"a": 1}, True, 10**400])
def test_what_is_no_number_is_null_and_stays(wrong):
    found = taken("play_video", {"id": HEX, "currentTime": wrong}, source="browser")
    assert found.rows == video(action="play")
    assert repr(found.left) == repr({"currentTime": wrong})


def test_a_clock_is_a_position():
    found = taken("pause_video", {"id": HEX, "currentTime": "01:02:03.5"}, source="browser")
    assert found == Taken(BLOCK, video(action="pause", position_s=3723.5), {})


def test_a_payload_that_was_cut_is_a_row_all_the_same():
    assert taken("play_video", {}, source="browser", course=COURSE) == Taken("", {"video": [{"action": "play"}]}, {})
