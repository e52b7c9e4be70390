"""Views under the names that json_to_relation's tables had, so that old queries run. Times are UTC here, too.

Columns that nothing fills any more are not there; a fact that stood in several tables by foreign key stands in one row.
"""

from collections.abc import Collection, Iterator
from typing import Final

_TRACK_EVENT: Final = """
CREATE OR REPLACE VIEW EdxTrackEvent AS
SELECT CAST(e.event_id AS VARCHAR) AS _id, CAST(e.event_id AS VARCHAR) AS event_id, e.agent, e.source AS event_source,
    e.name AS event_type, e.country AS ip_country, e.page, CAST(e.session AS VARCHAR) AS session, e.time,
    q.quarter || CAST(q.year AS VARCHAR) AS quarter, CAST(e.person AS VARCHAR) AS anon_screen_name,
    e.course AS course_id, e.course AS course_display_name, e.block AS resource_display_name, e.org AS organization,
    e.load AS load_info_fk, CASE WHEN e.family = 'navigation' THEN e.block END AS sequence_id,
    n.from_pos AS goto_from, n.to_pos AS goto_dest, n.to_pos AS position, a.block AS problem_id, a.attempt AS attempts,
    CASE a.success WHEN true THEN 'correct' WHEN false THEN 'incorrect' END AS success, a.earned AS new_score,
    a.possible AS new_total, a.old_earned AS orig_score, a.old_possible AS orig_total, v.block AS video_id,
    v.position_s AS video_current_time, v.from_s AS video_old_time, v.to_s AS video_new_time,
    v.seek_kind AS video_seek_type, v.speed_from AS video_old_speed, v.speed_to AS video_new_speed,
    v.speed_to AS video_speed, n.target AS book_interaction_type
FROM event AS e
LEFT JOIN video AS v USING (event_id) LEFT JOIN attempt AS a USING (event_id) LEFT JOIN navigation AS n USING (event_id)
CROSS JOIN LATERAL (
    SELECT CASE WHEN month(e.time) BETWEEN 1 AND 3 THEN 'winter' WHEN month(e.time) BETWEEN 4 AND 6 THEN 'spring'
        WHEN month(e.time) BETWEEN 7 AND 9 THEN 'summer' ELSE 'fall' END AS quarter, year(e.time) AS year
) AS q
"""
_ANSWER: Final = """
CREATE OR REPLACE VIEW Answer AS
SELECT CAST(event_id AS VARCHAR) || '/' || part AS answer_id, block AS problem_id, answer, course AS course_id
FROM response WHERE answer IS NOT NULL
"""
_CORRECT_MAP: Final = """
CREATE OR REPLACE VIEW CorrectMap AS
SELECT CAST(event_id AS VARCHAR) || '/' || part AS correct_map_id, part AS answer_identifier,
    correct AS correctness, points AS npoints, message AS msg, hint
FROM response WHERE correct IS NOT NULL
"""
_STATE: Final = """
CREATE OR REPLACE VIEW State AS
SELECT CAST(event_id AS VARCHAR) || '/' || part AS state_id, seed, done, block AS problem_id, answer AS student_answer,
    correct AS correct_map
FROM response WHERE seat = 'before'
"""
_EXPERIMENT: Final = """
CREATE OR REPLACE VIEW ABExperiment AS
SELECT CAST(g.event_id AS VARCHAR) AS event_table_id, e.name AS event_type,
    CAST(g.person AS VARCHAR) AS anon_screen_name,
    g.group_id, g.group_name, g.partition_id, g.partition_name, g.block AS child_module_id,
    g.course AS course_display_name
FROM "grouping" AS g JOIN event AS e USING (event_id)
"""
_OPEN_ASSESSMENT: Final = """
CREATE OR REPLACE VIEW OpenAssessment AS
SELECT CAST(a.event_id AS VARCHAR) AS event_table_id, e.name AS event_type,
    CAST(a.person AS VARCHAR) AS anon_screen_name, a.score_type, a.submission AS submission_uuid, a.time,
    a.course AS course_display_name, a.block AS resource_id, a.attempt AS attempt_num,
    string_agg(p.criterion || ': ' || coalesce(p.option, ''), '; ' ORDER BY p.criterion) AS options,
    sum(p.points) AS points
FROM assessment AS a JOIN event AS e USING (event_id) LEFT JOIN assessment_part AS p USING (event_id)
GROUP BY ALL
"""
_LOAD_INFO: Final = """
CREATE OR REPLACE VIEW LoadInfo AS
SELECT l.load AS load_info_id, l.ended AS load_date_time, s.name AS load_file
FROM load AS l JOIN source AS s ON s.load = l.load
"""
_OPEN: Final = (_TRACK_EVENT, _ANSWER, _CORRECT_MAP, _STATE, _EXPERIMENT, _OPEN_ASSESSMENT, _LOAD_INFO)

#: Of the tables that ``tracking refresh`` makes: which is needed, and the view.
_REFRESHED: Final = (
    (
        "activity",
        "CREATE OR REPLACE VIEW ActivityGrade AS SELECT *, CAST(person AS VARCHAR) AS anon_screen_name FROM activity",
    ),
    (
        "course",
        "CREATE OR REPLACE VIEW CourseInfo AS SELECT *, course AS course_display_name FROM course",
    ),
    (
        "block",
        "CREATE OR REPLACE VIEW EdxProblem AS SELECT *, block AS problem_id FROM block WHERE type = 'problem'",
    ),
    ("block", "CREATE OR REPLACE VIEW EdxVideo AS SELECT *, block AS video_id FROM block WHERE type = 'video'"),
)
#: ``Account`` is the table ``account``: DuckDB does not tell upper case from lower.
_EVENT_IP: Final = """
CREATE OR REPLACE VIEW private.EventIp AS
SELECT CAST(event_id AS VARCHAR) AS event_table_id, ip AS event_ip FROM private.event_private WHERE ip IS NOT NULL
"""


def statements(*, has: Collection[str]) -> Iterator[str]:
    """Yield what makes the views; *has* names the tables of the platform that were refreshed."""
    yield from _OPEN
    yield from (sql for needed, sql in _REFRESHED if needed in has)


def private_statements() -> Iterator[str]:
    """Yield what makes those in the schema of the private tables."""
    yield _EVENT_IP
