"""Sets of rows, written: whole tables asserted, on whatever database the tests run."""

import importlib.util
import random
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import DatabaseError, connection, connections, models, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from completion_aggregator import upsert as module

pytestmark = pytest.mark.django_db

TABLE = "upsert_target"
KEY = ("place", "number")
FIELDS: "dict[str, models.Field[Any, Any]]" = {
    "place": models.CharField(max_length=100),
    "number": models.BigIntegerField(),
    "text": models.TextField(null=True),
    "whole": models.IntegerField(null=True),
    "amount": models.FloatField(null=True),
    "flag": models.BooleanField(null=True),
    "packed": models.BinaryField(null=True),
    "moment": models.DateTimeField(null=True),
}
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

Upsert = Callable[..., int]
Row = dict[str, Any]

# The table is emptied before every example.
database_property = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def table(db: None) -> Iterator[None]:
    """Make a table with a column of every type that may be written."""
    automatic = (connection.data_types["BigAutoField"], connection.data_types_suffix.get("BigAutoField", ""))
    columns = ["id {} NOT NULL PRIMARY KEY {}".format(*automatic)]
    columns += [
        f"{name} {field.db_type(connection)} {'NOT NULL' if name in KEY else 'NULL'}" for name, field in FIELDS.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE {TABLE} ({', '.join(columns)}, UNIQUE ({', '.join(KEY)}))")
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {TABLE}")


@pytest.fixture(params=["orjson", "json", *(["copied"] if connection.vendor == "postgresql" else [])])
def upsert(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Upsert:
    """Return the function as it is with the [fast] extra, and without; and as PostgreSQL takes many rows."""
    if request.param == "copied":
        monkeypatch.setattr(module, "COPIED_FROM", 0)
        return module.upsert
    if request.param == "orjson":
        pytest.importorskip("orjson")
        return module.upsert
    monkeypatch.setitem(sys.modules, "orjson", None)
    spec = importlib.util.spec_from_file_location("upsert_without_orjson", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    plain = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, plain)
    spec.loader.exec_module(plain)
    assert not hasattr(plain, "orjson")
    function: Upsert = plain.upsert
    return function


def write(upsert: Upsert, *rows: Row, **options: Any) -> int:
    """Write rows that name the same columns."""
    columns = list(rows[0])
    with transaction.atomic():  # so that a failure does not end the test's transaction
        return upsert(TABLE, columns, KEY, [[row[column] for column in columns] for row in rows], **options)


def stored(*columns: str) -> list[Row]:
    """Return these columns of the whole table, or all of them, by key."""
    names = columns or tuple(FIELDS)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(names)} FROM {TABLE} ORDER BY {', '.join(KEY)}")
        return [{name: python_value(name, value) for name, value in zip(names, row, strict=True)} for row in cursor]


def python_value(name: str, value: Any) -> Any:
    """Return a value as every database would have it if all had every type."""
    field = FIELDS[name]
    if value is None:
        return None
    if isinstance(field, models.DateTimeField):
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    kinds: dict[type[Any], type[Any]] = {models.BooleanField: bool, models.BinaryField: bytes}
    return kinds.get(type(field), lambda same: same)(value)


def row(number: int = 1, place: str = "here", **values: Any) -> Row:
    return {"place": place, "number": number, **values}


def full(number: int = 1, place: str = "here", **changed: Any) -> Row:
    """Return a row with something in every column."""
    values = {"text": "text", "whole": 5, "amount": 0.1, "flag": True, "packed": b"\x00\xff", "moment": NOON}
    return row(number, place, **{**values, **changed})


# --- insert and update -----------------------------------------------------------------------------------------------


def test_new_rows_are_inserted_and_rows_with_the_same_key_updated(upsert: Upsert) -> None:
    assert write(upsert, full(1), full(2)) == 2

    changed = full(2, text="new", whole=-6, amount=0.2, flag=False, packed=b"", moment=NOON + timedelta(microseconds=1))
    assert write(upsert, changed, full(3)) == 2

    assert stored() == [full(1), changed, full(3)]


def test_writing_again_changes_nothing(upsert: Upsert) -> None:
    rows = [full(1), full(2, text=None, amount=1.0)]

    for _ in range(2):
        assert write(upsert, *rows) == 2
        assert stored() == rows


def test_no_rows_cost_no_query(upsert: Upsert, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert upsert(TABLE, ("place", "number"), KEY, []) == 0


def test_nothing_to_update_leaves_existing_rows_alone(upsert: Upsert) -> None:
    write(upsert, full(1))

    write(upsert, full(1, text="other", amount=0.5), full(2, text="other"), update=())

    assert stored() == [full(1), full(2, text="other")]


def test_only_the_columns_named_are_updated(upsert: Upsert) -> None:
    write(upsert, full(1))

    write(upsert, full(1, text="other", amount=0.5, whole=7), full(2), update=("text", "whole"))

    assert stored() == [full(1, text="other", whole=7), full(2)]


def test_rows_of_the_key_alone_are_written(upsert: Upsert) -> None:
    write(upsert, row(1), row(2), update=())
    write(upsert, row(2), row(3), update=())

    assert stored(*KEY) == [row(1), row(2), row(3)]


def test_the_order_of_columns_means_nothing(upsert: Upsert) -> None:
    write(upsert, {"text": "a", "number": 1, "amount": 0.1, "place": "here"})
    write(upsert, {"amount": 0.2, "place": "here", "text": "b", "number": 1})

    assert stored("place", "number", "text", "amount") == [row(1, text="b", amount=0.2)]


def test_rows_go_in_the_order_of_their_key(upsert: Upsert) -> None:
    keys = [(place, number) for place in ("a", "b", "c") for number in (-3, 2, 10, 100)]
    rows = [row(number, place) for place, number in keys]
    random.Random(1).shuffle(rows)

    write(upsert, *rows)

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT place, number FROM {TABLE} ORDER BY id")
        assert [tuple(found) for found in cursor] == keys


def test_only_the_growing_columns_keep_what_is_greater(upsert: Upsert) -> None:
    earlier, later = NOON - timedelta(microseconds=1), NOON + timedelta(days=1)
    write(upsert, row(1, whole=5, amount=0.5, moment=NOON), row(2, whole=5, amount=0.5, moment=NOON))

    write(
        upsert,
        row(1, whole=4, amount=0.4, moment=earlier),
        row(2, whole=6, amount=0.6, moment=later),
        row(3, whole=1, amount=0.1, moment=earlier),
        greatest=("whole", "moment"),
    )

    assert stored("place", "number", "whole", "amount", "moment") == [
        row(1, whole=5, amount=0.4, moment=NOON),
        row(2, whole=6, amount=0.6, moment=later),
        row(3, whole=1, amount=0.1, moment=earlier),
    ]


@pytest.mark.parametrize("rows", [1, module.CHUNK - 1, module.CHUNK, module.CHUNK + 1, 2 * module.CHUNK + 1])
def test_any_number_of_rows_is_written(upsert: Upsert, rows: int) -> None:
    before = [row(number, text="old", amount=0.5) for number in range(0, rows, 7)]
    written = [row(number, text=f"text {number}", amount=number / 7) for number in range(rows)]
    write(upsert, *before)

    assert write(upsert, *reversed(written)) == rows

    assert stored("place", "number", "text", "amount") == written


def test_other_errors_are_not_taken_for_rows_that_exist(upsert: Upsert) -> None:
    write(upsert, full(1))

    with pytest.raises(DatabaseError):
        write(upsert, {**full(1), "place": None}, update=())
    with pytest.raises(DatabaseError):
        write(upsert, row(2, no_such_column=1))

    assert stored() == [full(1)]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL can be made to break off a COPY")
def test_what_breaks_rows_off_on_their_way_is_an_error_of_django(upsert: Upsert) -> None:
    with pytest.raises(DatabaseError):  # what is tried again, and told from a fault of ours, is known by that
        write(upsert, full(1), full(2, whole=2**70))

    assert stored() == []


# --- values ----------------------------------------------------------------------------------------------------------

HARD_TEXTS = [
    "", " ", "  two spaces around  ", "наука é 漢字 🚀👩🏽‍🚀", "it's", '"quoted"', "back\\slash", "\\n is no newline",
    "\\u0041", "\\", "\\\\", "new\nline", "tab\ttab", "carriage\r\nreturn", "\x01\x1f\x7f", "\u2028\u2029", "null",
    "true", "NaN", "1.0", "[]", '{"a": [1]}', "$[0]", "100 %", "%s", "%(name)s", "{}", "{0}", "?", ";--", "'); DROP --",
    "e\u0301", "\ufeff", "\ufffd", "x" * 255, "x" * 256, "🚀" * 255, "🚀" * 256, "y" * 70_000,
]  # fmt: skip
HARD_BYTES = [b"", b"\x00", b"\x00\x01\x02\xff", b"'\"\\%s", b"plain", bytes(range(256)) * 300]
HARD_MOMENTS = [
    NOON, NOON.replace(microsecond=1), NOON.replace(microsecond=999_999), NOON.replace(microsecond=120_000),
    datetime(1970, 1, 1, tzinfo=UTC), datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
    datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 3, 2, 12, tzinfo=timezone(timedelta(hours=-5))),
    datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=9, minutes=30))),
]  # fmt: skip
HARD_VALUES: dict[str, list[Any]] = {
    "text": HARD_TEXTS,
    "whole": [0, 1, -1, 2**31 - 1, -(2**31)],
    "number": [0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63)],
    "flag": [True, False],
    "packed": HARD_BYTES,
    "moment": HARD_MOMENTS,
}


def values_of(column: str, values: Sequence[Any]) -> list[Row]:
    if column == "number":
        return [row(value, text="x") for value in sorted(values)]
    return [row(number, **{column: value}) for number, value in enumerate(values)]


@pytest.mark.parametrize("column", HARD_VALUES)
def test_every_value_is_stored_as_it_is(upsert: Upsert, column: str) -> None:
    rows = values_of(column, HARD_VALUES[column])

    write(upsert, *rows)

    assert stored(*rows[0]) == rows


@pytest.mark.parametrize("column", HARD_VALUES)
def test_every_value_is_stored_as_it_is_beside_nothing_and_alone(upsert: Upsert, column: str) -> None:
    for row_alone in values_of(column, HARD_VALUES[column]):
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {TABLE}")
        write(upsert, row_alone)
        assert stored(*row_alone) == [row_alone]
        nothing = {**row_alone, "place": "there", **({} if column == "number" else {column: None})}
        write(upsert, nothing, row_alone)
        assert stored(*row_alone) == [row_alone, nothing]


@pytest.mark.parametrize("column", [name for name in FIELDS if name not in KEY])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_column_of_nothing_is_written_over_what_was_there(upsert: Upsert, column: str, rows: int) -> None:
    write(upsert, *(full(number) for number in range(3)))
    nothing = [{**full(number), column: None} for number in range(rows)]

    write(upsert, *nothing)
    write(upsert, *(row(number, place="there", **{column: None}) for number in range(rows)))

    assert stored() == [*nothing, *map(full, range(rows, 3)), *(
        {**dict.fromkeys(FIELDS), **row(number, place="there")} for number in range(rows)
    )]  # fmt: skip


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_columns_of_one_value_are_written_to_every_row(upsert: Upsert, rows: int) -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-5)))
    same = [full(number, text="100 %s of {0}", whole=-7, moment=elsewhere) for number in range(rows)]

    write(upsert, *same)

    assert stored() == same


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("Europe/Lisbon")])
@pytest.mark.parametrize("hours", [[0], [0, 0], [0, 1, 5]])
def test_moments_without_a_zone_are_of_utc(
    upsert: Upsert, hours: list[int], zone: tzinfo, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [datetime(2026, 7, 1, 12, tzinfo=UTC) + timedelta(hours=hour) for hour in hours]
    naive = [moment.replace(tzinfo=None) for moment in moments]
    if vendor == "postgresql":
        zone = UTC  # it stores moments, not times of a zone
    monkeypatch.setitem(connections["default"].__dict__, "timezone", zone)

    write(upsert, *(row(number, moment=moment) for number, moment in enumerate(naive)))

    kept = [each.astimezone(zone).replace(tzinfo=UTC) for each in moments]
    assert [each["moment"] for each in stored("place", "number", "moment")] == kept


def test_hard_texts_are_keys_too(upsert: Upsert) -> None:
    rows = [row(number, text[:100], text="old") for number, text in enumerate(HARD_TEXTS)]
    write(upsert, *rows)
    changed = [{**each, "text": "new"} for each in rows]

    write(upsert, *changed)

    assert sorted(stored("place", "number", "text"), key=lambda each: each["number"]) == changed


# --- doubles and texts at random -------------------------------------------------------------------------------------


def stored_doubles() -> list[str]:
    return [float(each["amount"]).hex() for each in stored("amount")]


def empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {TABLE}")


@database_property
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False).map(lambda each: each + 0.0), min_size=1))
def test_every_double_is_exact(upsert: Upsert, values: list[float]) -> None:
    empty()

    write(upsert, *(row(number, amount=value) for number, value in enumerate(values)))

    assert stored_doubles() == [value.hex() for value in values]


def test_doubles_of_every_bit_pattern_are_exact(upsert: Upsert) -> None:
    generator = random.Random(1)
    patterns = struct.unpack("<20000d", generator.randbytes(160_000))
    values = [value for value in patterns if abs(value) < float("inf")]  # NaN neither
    values += [
        5e-324,
        2.2250738585072014e-308,
        1.7976931348623157e308,
        1 - 2**-53,
        1 + 2**-52,
        0.1,
        0.0,
        1e22,
        1e23,
        2**53 + 2.0,
    ]

    write(upsert, *(row(number, amount=value) for number, value in enumerate(values)))

    assert stored_doubles() == [value.hex() for value in values]


@database_property
@given(
    values=st.lists(
        st.tuples(
            st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            st.none() | st.binary(),
            st.none() | st.booleans(),
            st.none() | st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
        ),
        min_size=1,
    )
)
def test_any_rows_come_back(upsert: Upsert, values: list[tuple[Any, ...]]) -> None:
    empty()
    names = ("text", "packed", "flag", "moment")
    rows = [row(number, **dict(zip(names, each, strict=True))) for number, each in enumerate(values)]

    write(upsert, *rows)
    write(upsert, *rows)

    assert stored("place", "number", *names) == rows
