import pytest

from completion_aggregator.course_graph.graph import CompletionMode
from completion_aggregator.exceptions import InvalidSetting
from completion_aggregator.platforms.standalone.modes import BANKS, CONTAINERS, ModeTable


def test_the_types_that_open_edx_ships():
    table = ModeTable.from_settings()
    assert [table.mode(block_type) for block_type in ("vertical", "html", "discussion", "never-heard-of")] == [
        CompletionMode.AGGREGATOR,
        CompletionMode.COMPLETABLE,
        CompletionMode.EXCLUDED,
        CompletionMode.EXCLUDED,
    ]
    assert table.unknown(["html", "never-heard-of", "discussion"]) == ["never-heard-of"]


def test_a_bank_that_completes_on_view_still_holds_blocks(settings):
    settings.COMPLETION_AGGREGATOR_COMPLETION_MODES = dict.fromkeys(BANKS, "completable")
    table = ModeTable.from_settings()
    assert {table.mode(bank) for bank in BANKS} == {CompletionMode.COMPLETABLE}
    assert table.containers == CONTAINERS


def test_a_type_that_is_given_the_mode_of_a_container_is_one(settings):
    settings.COMPLETION_AGGREGATOR_COMPLETION_MODES = {"lesson": "aggregator"}
    assert ModeTable.from_settings().containers == CONTAINERS | {"lesson"}


def test_a_mode_that_there_is_not_is_refused(settings):
    settings.COMPLETION_AGGREGATOR_COMPLETION_MODES = {"lesson": "aggregate"}
    expected = "'lesson' has mode 'aggregate'; it can be one of completable, aggregator, excluded"
    with pytest.raises(InvalidSetting, match=expected):
        ModeTable.from_settings()
