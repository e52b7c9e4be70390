"""Videos: nearly half of all events, so the usual shape goes the shortest way."""

from typing import Any, Final

import msgspec

from completion_aggregator.tracking.batch import Batch, Transform
from completion_aggregator.tracking.values import seconds, take_key, take_number, take_term, usage_key


class _AtPosition(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """What players send of load, play, pause, stop and complete, unless they send more."""

    id: str | None = None
    code: str | None = None
    duration: float | None = None
    position: float | None = msgspec.field(default=None, name="currentTime")


class _Seek(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """What players send of a jump, unless they send more."""

    id: str | None = None
    code: str | None = None
    duration: float | None = None
    position: float | None = msgspec.field(default=None, name="currentTime")
    old_time: float | None = None
    new_time: float | None = None
    type: str | None = None


_decode_at_position: Final = msgspec.json.Decoder(_AtPosition).decode
_decode_seek: Final = msgspec.json.Decoder(_Seek).decode


def at_position_so(action: str, text: str, batch: Batch) -> str | None:
    """Take load, play, pause, stop and complete as players write them."""
    try:
        found = _decode_at_position(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return None
    written = found.id
    block = usage_key(written, batch.course, "video") if written else ""
    if (written and not block) or found.code not in _PLAYERS:
        return None
    batch.video.append((batch.row, block or None, action, found.position, found.duration, None, None, None, None, None))
    return block


def seek_so(action: str, text: str, batch: Batch) -> str | None:
    """Take a jump as players write it."""
    try:
        found = _decode_seek(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return None
    written, kind = found.id, found.type
    block = usage_key(written, batch.course, "video") if written else ""
    if (written and not block) or found.code not in _PLAYERS or (kind and kind not in _SEEK_KINDS):
        return None
    came, went = found.old_time, found.new_time
    batch.video.append(
        (batch.row, block or None, action, found.position, found.duration, came, went, None, None, kind or None)
    )
    return block


def at_position(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take load, play, pause, stop and complete."""
    position = payload.pop("currentTime", None)
    # Infinity and NaN less themselves are not zero.
    if type(position) is not float or position - position:
        position = _position(position, payload) if position is not None or "current_time" in payload else None
    duration = payload.pop("duration", None)
    if type(duration) is int and -_EXACT < duration < _EXACT:
        duration = float(duration)
    elif duration is not None and (type(duration) is not float or duration - duration):
        duration = _back_unless(seconds(duration), duration, payload, "duration")
    block = _block(payload, batch)
    speed = take_number(payload, "speed") if "speed" in payload else None
    batch.video.append((batch.row, block or None, action, position, duration, None, None, None, speed, None))
    return block


def seek(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a jump from one place to another."""
    position, duration = _position(payload.pop("currentTime", None), payload), _seconds(payload, "duration")
    came, went = _seconds(payload, "old_time"), _seconds(payload, "new_time")
    kind = take_term(payload, "type", batch.clean)
    block = _block(payload, batch)
    batch.video.append((batch.row, block or None, action, position, duration, came, went, None, None, kind))
    return block


def change_speed(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take a change of speed."""
    position, duration = _position(payload.pop("currentTime", None), payload), _seconds(payload, "duration")
    before, after = take_number(payload, "old_speed"), take_number(payload, "new_speed")
    block = _block(payload, batch)
    batch.video.append((batch.row, block or None, action, position, duration, None, None, before, after, None))
    return block


def toggle(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Take what was shown or hidden, and all that is done with a video before the video."""
    position, duration = _position(payload.pop("currentTime", None), payload), _seconds(payload, "duration")
    block = _block(payload, batch)
    block = take_key(payload, "host_component_id", batch.course, "video") or block
    kind = TOGGLES.get(batch.name)
    batch.video.append((batch.row, block or None, action, position, duration, None, None, None, None, kind))
    return block


def _block(payload: dict[str, Any], batch: Batch) -> str:
    block = payload.pop("id", None)
    module = payload.pop("module_id", None)
    code = payload.pop("code", None)
    if code not in _PLAYERS:
        payload["code"] = code
    if module is not None:
        found = usage_key(module, batch.course, "video") if type(module) is str else ""
        if found:
            if type(block) is not str or not module.endswith(block):
                _put_back(payload, "id", block)
            return found
        payload["module_id"] = module
    if type(block) is str:
        found = usage_key(block, batch.course, "video")
        if found:
            return found
    _put_back(payload, "id", block)
    return ""


def _position(written: Any, payload: dict[str, Any]) -> float | None:
    """Return where the video stood, in either spelling: ``current_time`` is that of the apps, and of some browsers."""
    found = None if written is None else _back_unless(seconds(written), written, payload, "currentTime")
    other = _seconds(payload, "current_time") if "current_time" in payload else None
    return other if found is None else found


def _seconds(payload: dict[str, Any], key: str) -> float | None:
    written = payload.pop(key, None)
    if written is None or (type(written) is float and not written - written):
        return written
    return _back_unless(seconds(written), written, payload, key)


def _back_unless(found: float | None, written: Any, payload: dict[str, Any], key: str) -> float | None:
    if found is None:
        _put_back(payload, key, written)
    return found


def _put_back(payload: dict[str, Any], key: str, written: Any) -> None:
    if written is not None and written != "":
        payload[key] = written


#: Of ``code``, these say only where it was played; anything else is the video's name on YouTube.
_PLAYERS: Final = (None, "html5", "mobile", "")
#: What players write of how somebody jumped; anything else is looked at.
_SEEK_KINDS: Final = frozenset({"onSlideSeek", "onSkipSeek", "onCaptionSeek", "slide", "skip", "caption", "button"})
#: Whole numbers below it are exact as floats.
_EXACT: Final = 2**53

#: What became of what is toggled, and of a video before the video.
TOGGLES: Final = {
    "show_transcript": "show",
    "hide_transcript": "hide",
    "edx.video.transcript.shown": "show",
    "edx.video.transcript.hidden": "hide",
    "edx.video.closed_captions.shown": "show",
    "edx.video.closed_captions.hidden": "hide",
    "video_show_cc_menu": "menu_show",
    "video_hide_cc_menu": "menu_hide",
    "edx.video.language_menu.shown": "menu_show",
    "edx.video.language_menu.hidden": "menu_hide",
    "edx.video.bumper.dismissed": "dismissed",
    "edx.video.bumper.loaded": "loaded",
    "edx.video.bumper.played": "played",
    "edx.video.bumper.skipped": "skipped",
    "edx.video.bumper.stopped": "stopped",
    "edx.video.bumper.transcript.hidden": "hide",
    "edx.video.bumper.transcript.shown": "show",
    "edx.video.bumper.transcript.menu.hidden": "menu_hide",
    "edx.video.bumper.transcript.menu.shown": "menu_show",
}

ACTIONS: Final[dict[str, tuple[str, Transform | None]]] = {
    "load_video": ("load", at_position),
    "play_video": ("play", at_position),
    "pause_video": ("pause", at_position),
    "stop_video": ("stop", at_position),
    "complete_video": ("complete", at_position),
    "edx.video.loaded": ("load", at_position),
    "edx.video.played": ("play", at_position),
    "edx.video.paused": ("pause", at_position),
    "edx.video.stopped": ("stop", at_position),
    "edx.video.completed": ("complete", at_position),
    "seek_video": ("seek", seek),
    "edx.video.position.changed": ("seek", seek),
    "speed_change_video": ("speed", change_speed),
    "edx.video.speed.changed": ("speed", change_speed),
    "edx.bi.video.speed.changed": ("speed", change_speed),
    # Of 2012: the window, not the video.
    "fullscreen": ("", None),
    "not_fullscreen": ("", None),
    **{
        name: ("bumper" if ".bumper." in name else "transcript" if "transcript" in name else "captions", toggle)
        for name in TOGGLES
    },
}
