import pytest

from completion_aggregator.tracking.cells import neutral, neutral_row


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_what_a_spreadsheet_would_run_is_text(start):
    assert neutral(f"{start}cmd|' /c calc'!A0") == f"'{start}cmd|' /c calc'!A0"


def test_all_else_is_left_alone():
    cells = ["ana", "a=b", "", None, -1, -0.5, "course-v1:O+C+R"]
    assert neutral_row(cells) == cells
