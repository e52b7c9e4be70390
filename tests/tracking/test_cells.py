import pytest

from completion_aggregator.tracking.cells import neutral, neutral_row, visible, visible_lines


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_what_a_spreadsheet_would_run_is_text(start):
    assert neutral(f"{start}cmd|' /c calc'!A0") == f"'{start}cmd|' /c calc'!A0"


def test_all_else_is_left_alone():
    cells = ["ana", "a=b", "", None, -1, -0.5, "course-v1:O+C+R"]
    assert neutral_row(cells) == cells


def test_what_a_terminal_would_obey_is_escaped_and_other_writing_is_not():
    assert visible("a\x1b[31mb\x9b\r\n\t\x7f") == "a\\x1b[31mb\\x9b\\r\\n\\t\\x7f"
    assert visible("\u202egpj.\udcff") == "\\u202egpj.\\udcff"
    assert visible("Zoë 学生 \u200d \\x1b") == "Zoë 学生 \u200d \\x1b"
    assert visible_lines("a\nb\x1b") == "a\nb\\x1b"
