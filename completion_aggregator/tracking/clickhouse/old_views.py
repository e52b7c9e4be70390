"""Views under the names that json_to_relation's tables had, in the words of ClickHouse: as in ``old_names``.

Joins ask for equal times, too, so that a condition on the time spares both sides what is out of it. Those of the
platform's tables are not there, since these stand in the store's folders.
"""

from collections.abc import Iterator
from typing import Final

from completion_aggregator.tracking.clickhouse import schema
from completion_aggregator.tracking.clickhouse.target import Target

_TRACK_EVENT: Final = """
SELECT toString(e.event_id) AS _id, toString(e.event_id) AS event_id, e.agent AS agent, e.source AS event_source,
    e.name AS event_type, e.country AS ip_country, e.page AS page, toString(e.session) AS session, e.time AS time,
    concat(['winter', 'spring', 'summer', 'fall'][toQuarter(e.time)], toString(toYear(e.time))) AS quarter,
    toString(e.person) AS anon_screen_name, e.course AS course_id, e.course AS course_display_name,
    e.block AS resource_display_name, e.org AS organization, e.load AS load_info_fk,
    if(e.family = 'navigation', e.block, NULL) AS sequence_id, n.from_pos AS goto_from, n.to_pos AS goto_dest,
    n.to_pos AS position, a.block AS problem_id, a.attempt AS attempts,
    multiIf(a.success = true, 'correct', a.success = false, 'incorrect', NULL) AS success, a.earned AS new_score,
    a.possible AS new_total, a.old_earned AS orig_score, a.old_possible AS orig_total, v.block AS video_id,
    v.position_s AS video_current_time, v.from_s AS video_old_time, v.to_s AS video_new_time,
    v.seek_kind AS video_seek_type, v.speed_from AS video_old_speed, v.speed_to AS video_new_speed,
    v.speed_to AS video_speed, n.target AS book_interaction_type
FROM {open}.event AS e FINAL
LEFT JOIN {open}.video AS v FINAL ON v.event_id = e.event_id AND v.time = e.time
LEFT JOIN {open}.attempt AS a FINAL ON a.event_id = e.event_id AND a.time = e.time
LEFT JOIN {open}.navigation AS n FINAL ON n.event_id = e.event_id AND n.time = e.time
"""
_ANSWER: Final = """
SELECT concat(toString(r.event_id), '/', r.part) AS answer_id, r.block AS problem_id, r.answer AS answer,
    r.course AS course_id
FROM {open}.response AS r FINAL WHERE r.answer IS NOT NULL
"""
_CORRECT_MAP: Final = """
SELECT concat(toString(r.event_id), '/', r.part) AS correct_map_id, r.part AS answer_identifier,
    r.correct AS correctness, r.points AS npoints, r.message AS msg, r.hint AS hint
FROM {open}.response AS r FINAL WHERE r.correct IS NOT NULL
"""
_STATE: Final = """
SELECT concat(toString(r.event_id), '/', r.part) AS state_id, r.seed AS seed, r.done AS done, r.block AS problem_id,
    r.answer AS student_answer, r.correct AS correct_map
FROM {open}.response AS r FINAL WHERE r.seat = 'before'
"""
_EXPERIMENT: Final = """
SELECT toString(g.event_id) AS event_table_id, e.name AS event_type, toString(g.person) AS anon_screen_name,
    g.group_id AS group_id, g.group_name AS group_name, g.partition_id AS partition_id,
    g.partition_name AS partition_name, g.block AS child_module_id, g.course AS course_display_name
FROM {open}.grouping AS g FINAL JOIN {open}.event AS e FINAL ON e.event_id = g.event_id AND e.time = g.time
"""
_OPEN_ASSESSMENT: Final = """
SELECT toString(a.event_id) AS event_table_id, e.name AS event_type, toString(a.person) AS anon_screen_name,
    a.score_type AS score_type, a.submission AS submission_uuid, a.time AS time, a.course AS course_display_name,
    a.block AS resource_id, a.attempt AS attempt_num,
    nullIf(arrayStringConcat(arrayMap(each -> each.2, arraySort(groupArrayIf(
        (assumeNotNull(p.criterion), concat(assumeNotNull(p.criterion), ': ', ifNull(p.option, ''))),
        p.criterion IS NOT NULL))), '; '), '') AS options,
    sum(p.points) AS points
FROM {open}.assessment AS a FINAL
JOIN {open}.event AS e FINAL ON e.event_id = a.event_id AND e.time = a.time
LEFT JOIN {open}.assessment_part AS p FINAL ON p.event_id = a.event_id AND p.time = a.time
GROUP BY ALL
"""
_LOAD_INFO: Final = """
SELECT l.load AS load_info_id, l.ended AS load_date_time, s.name AS load_file
FROM {open}.load AS l JOIN {open}.source AS s ON s.load = l.load
"""
_EVENT_IP: Final = """
SELECT toString(e.event_id) AS event_table_id, e.ip AS event_ip FROM {private}.event_private AS e FINAL
WHERE e.ip IS NOT NULL
"""
_ACCOUNT: Final = "SELECT * EXCEPT (nth, loaded_at) FROM {private}.account FINAL"

OPEN: Final = {
    "EdxTrackEvent": _TRACK_EVENT,
    "Answer": _ANSWER,
    "CorrectMap": _CORRECT_MAP,
    "State": _STATE,
    "ABExperiment": _EXPERIMENT,
    "OpenAssessment": _OPEN_ASSESSMENT,
    "LoadInfo": _LOAD_INFO,
}
PRIVATE: Final = {"EventIp": _EVENT_IP, "Account": _ACCOUNT}


def statements(target: Target) -> Iterator[str]:
    """Yield what makes the views, where they are not there yet."""
    databases = {"open": schema.quoted(target.database), "private": schema.quoted(target.private_database)}
    for kind, views in (("open", OPEN), ("private", PRIVATE)):
        for name, sql in views.items():
            place = f"{databases[kind]}.{schema.quoted(name)}{schema.on_cluster(target)}"
            yield f"CREATE VIEW IF NOT EXISTS {place} AS {sql.format(**databases).strip()}"


def names(target: Target) -> Iterator[tuple[str, str]]:
    """Yield database and name of all that the statements make."""
    yield from ((target.database, name) for name in OPEN)
    yield from ((target.private_database, name) for name in PRIVATE)
