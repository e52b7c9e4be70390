import argparse

import pytest

from completion_aggregator.tracking.commands import tree
from tests.tracking.commands.running import run


def commands():
    """Every command, with its actions."""
    found = []
    todo: list[tuple[tuple[str, ...], argparse.ArgumentParser]] = [((), tree.build("tracking"))]
    while todo:
        words, parser = todo.pop()
        found.append(words)
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                todo += [((*words, name), each) for name, each in action.choices.items()]
    return sorted(found)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_explains_itself(words, capsys):
    assert run(*words, "--help")[0] == 0
    assert capsys.readouterr().out.startswith(" ".join(["usage: tracking", *words]))


@pytest.mark.parametrize("words", [(), ("unknown",), ("store",), ("load", "x", "--unknown")])
def test_wrong_use_has_a_status_of_its_own(words, capsys):
    assert run(*words)[0] == 2
    assert capsys.readouterr().err.startswith("usage: tracking")


def test_all_commands_are_there():
    assert {words[0] for words in commands() if words} == set(tree.COMMANDS)
