import pytest

from completion_aggregator.tracking.clickhouse.erasing import Change, Erasure, Key, statements
from completion_aggregator.tracking.clickhouse.target import Target

TARGET = Target("host", 8123, "learning")
EVENT = "0f8fad5b-d9cb-469f-a165-70867728950e"


def test_rows_are_told_by_ids_or_by_numbers():
    of_events = Erasure("text", 202401, Change.DROP, Key.EVENT, [EVENT], 1)
    assert list(statements(TARGET, of_events)) == [
        f"ALTER TABLE `learning_private`.`text` DELETE IN PARTITION 202401 WHERE event_id IN ('{EVENT}')"
    ]
    of_lines = Erasure("quarantine", 202401, Change.SILENCE, Key.NUMBER, ["7, 0", "7, 12"], 2)
    (found,) = statements(TARGET, of_lines)
    assert found == (
        "ALTER TABLE `learning_private`.`quarantine` UPDATE `line` = ''"
        " IN PARTITION 202401 WHERE (load, nth) IN ((7, 0), (7, 12))"
    )


@pytest.mark.parametrize(
    ("month", "key", "value"),
    [
        (202401, Key.EVENT, f"{EVENT}') OR ('1' = '1"),
        (202401, Key.SCORER, "' OR 1 = 1 --"),
        (202401, Key.NUMBER, "7, 0), (8, 0"),
        (202401, Key.NUMBER, "7, (SELECT 1)"),
        ("202401 WHERE 1 = 1 --", Key.EVENT, EVENT),
    ],
)
def test_a_note_that_holds_something_else_erases_nothing(month, key, value):
    with pytest.raises(ValueError, match=r".+"):
        list(statements(TARGET, Erasure("event", month, Change.BLANK, key, [value], 1)))
