from completion_aggregator.tracking import tables
from completion_aggregator.tracking.clickhouse import schema
from completion_aggregator.tracking.clickhouse.target import Target

TARGET = Target("host", 8123, "learning")
CLUSTER = Target("host", 8123, "learning", cluster="main")

ENROLLMENT = """\
CREATE TABLE IF NOT EXISTS `learning`.`enrollment` (
    `event_id` UUID COMMENT 'First 128 bits of the SHA-256 of the event\\'s bytes.',
    `time` DateTime64(6, 'UTC') COMMENT 'When it happened; NULL never: see `event.time_quality`.',
    `person` Nullable(UUID) COMMENT 'Keyed pseudonym of the learner; NULL where the event names nobody.',
    `course` LowCardinality(Nullable(String)) COMMENT 'Course key, as the platform writes it; NULL outside a course.',
    `action` LowCardinality(Nullable(String)) COMMENT 'One of `on`, `off`, `mode`.',
    `mode` LowCardinality(Nullable(String)) COMMENT 'Such as `audit` or `verified`.',
    `nth` UInt32 COMMENT 'Number of the row, from 0: of its event in this table, or of its load.',
    `loaded_at` DateTime64(6, 'UTC') COMMENT 'When the load began that brought it.',
    `day` Date ALIAS toDate(time) COMMENT 'The day, UTC.'
)
ENGINE = ReplacingMergeTree(loaded_at)
PARTITION BY toYYYYMM(time)
ORDER BY (course, toDate(time), event_id, nth)
SETTINGS allow_nullable_key = 1, non_replicated_deduplication_window = 1000
COMMENT 'One row per change of an enrollment.'"""


def test_a_table_is_made_from_its_columns():
    assert schema.table_statement(TARGET, tables.ENROLLMENT) == ENROLLMENT


def test_a_cluster_has_replicas_of_each_table():
    found = schema.table_statement(CLUSTER, tables.QUARANTINE)
    assert found.startswith("CREATE TABLE IF NOT EXISTS `learning_private`.`quarantine` ON CLUSTER `main` (\n")
    assert found.partition("\n)\n")[2] == (
        "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', loaded_at)"
        "\nPARTITION BY toYYYYMM(time)\nORDER BY (toDate(time), load, nth)\nSETTINGS allow_nullable_key = 1"
        "\nCOMMENT 'One row per line that is no event.'"
    )
    assert list(schema.statements(CLUSTER))[:2] == [
        "CREATE DATABASE IF NOT EXISTS `learning` ON CLUSTER `main`",
        "CREATE DATABASE IF NOT EXISTS `learning_private` ON CLUSTER `main`",
    ]


def test_all_tables_are_made_each_in_its_database():
    found = [statement.split()[5] for statement in schema.statements(TARGET) if statement.startswith("CREATE TABLE")]
    of_open, of_private = (
        [f"`{name}`.`{table.name}`" for table in group]
        for name, group in (("learning", tables.OPEN), ("learning_private", tables.PRIVATE))
    )
    assert found == [*of_open, *of_private, "`learning_private`.`asked`"]
    names = [f"`{database}`.`{name}`" for database, name in schema.names(TARGET)]
    assert names == found


def test_no_two_rows_have_equal_keys():
    of_event = ("course", "toDate(time)", "event_id")
    assert {name: schema.key_of(table) for name, table in tables.TABLES.items()} == {
        "event": of_event,
        **{table.name: (*of_event, "nth") for table in tables.TYPED},
        "copy": ("toDate(time)", "event_id", "load", "nth"),
        "event_private": ("toDate(time)", "event_id"),
        "person": ("toDate(time)", "person", "load", "nth"),
        "account": ("toDate(time)", "event_id", "nth"),
        "text": ("toDate(time)", "event_id", "nth"),
        "quarantine": ("toDate(time)", "load", "nth"),
    }


def test_no_text_ends_before_its_end():
    assert schema.text("course-v1:O'X+\\' OR 1=1 --") == r"'course-v1:O\'X+\\\' OR 1=1 --'"
    assert schema.text("\\") == r"'\\'"
