"""``tracking lookup``: say what an id stands for."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from completion_aggregator.tracking.cells import visible
from completion_aggregator.tracking.commands.options import add_json, add_parser, add_store, store_of
from completion_aggregator.tracking.lookup import Answer, lookup

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # argparse has no public name for it

_EPILOG: Final = """Each ID is the key of a block or course, the last part of a block's key, or any text that holds
such: the name of an input field, the address of a page. Reruns of a course share ids: then there is a line for each.

examples:
  tracking lookup 9d251397874d4f0b947b606c81ccf83c
  tracking lookup i4x-Org-Course-problem-9d251397874d4f0b947b606c81ccf83c_2_1 course-v1:Org+Course+Run
  cut -f3 answers.tsv | tracking lookup - --json
"""


def register(subparsers: "Subparsers") -> None:
    """Add ``lookup``."""
    parser = add_parser(subparsers, "lookup", "say which block or course an id stands for", _EPILOG)
    parser.add_argument("ids", nargs="+", metavar="ID", help="an id, or a text that holds one; - reads lines of input")
    add_store(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Answer from the store; 1 if nothing was found. Raises NoStore or NotRefreshed."""
    store = store_of(options)  # what is open needs no keys
    with store.reading():
        return answer(_asked(options.ids, sys.stdin), store.tables_folder, out, as_json=options.json)


def answer(asked: Iterable[str], tables_folder: Path, out: TextIO, *, as_json: bool) -> int:
    """Print an answer to each text; 1 if nothing was found. Raises NotRefreshed."""
    answers = lookup(asked, tables_folder)
    if as_json:
        json.dump([each.as_json() for each in answers], out, indent=2, ensure_ascii=False)
        print(file=out)
    else:
        for line in (line for each in answers for line in _lines(each)):
            print(line, file=out)
    return 0 if any(each.found for each in answers) else 1


def _asked(ids: Iterable[str], stdin: TextIO) -> Iterator[str]:
    for each in ids:
        if each == "-":
            yield from (line.strip() for line in stdin if line.strip())
        else:
            yield each


def _lines(each: Answer) -> Iterator[str]:
    """Yield what was asked, type, name, course, path and key, parted by tabs, of each thing found."""
    asked = "".join(letter if letter.isprintable() else " " for letter in each.asked)
    if not each.found:
        yield f"{asked}\tunknown"
    for found in each.found:
        cells = (asked, found.type, found.name or "", found.course, found.path or "", found.id)
        yield "\t".join(map(visible, cells))
