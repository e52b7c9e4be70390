"""JSON of many entries that differ in their numbers only: the text between the numbers is written once."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from completion_aggregator.aggregation.rest_api.renderers import dumps, orjson

#: Around what stands for a value; no JSON has it, as it is escaped in texts.
_MARK: Final = b"\0"
_NAME: Final = b"name"


class Stencil:
    """The JSON of an entry with holes: for a name, and for cells of an array of numbers.

    ``draw`` gets rows of cells and a name, and returns what is to be written of them.
    """

    def __init__(self, shape: tuple[int, int], draw: Callable[[list[list[Any]], Any], Any]) -> None:
        width = shape[1]
        cells = [[_hole(b"%d" % (row * width + column)) for column in range(width)] for row in range(shape[0])]
        pieces = dumps(draw(cells, _hole(_NAME))).split(_MARK)
        self._texts, holes = pieces[0::2], pieces[1::2]
        self._name_at = holes.index(_NAME) if _NAME in holes else None
        self._cells = np.array([int(hole) for hole in holes if hole != _NAME], dtype=np.intp)

    def fill(self, numbers: NDArray[np.float64], name: str | None) -> bytes:
        """Return the JSON with the numbers of one learner."""
        values = orjson.dumps(numbers.ravel()[self._cells], option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
        if self._name_at is not None:
            values.insert(self._name_at, dumps(name))
        pieces = [b""] * (len(self._texts) + len(values))
        pieces[0::2], pieces[1::2] = self._texts, values
        return b"".join(pieces)


def _hole(what: bytes) -> Any:
    return orjson.Fragment(_MARK + what + _MARK)
