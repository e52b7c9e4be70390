import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.aggregation.api import Standing
from completion_aggregator.aggregation.rest_api.entries import EntryMaker, tally_v0, tally_v1
from completion_aggregator.aggregation.rest_api.parameters import Fields
from completion_aggregator.aggregation.rest_api.renderers import Entries, dumps
from completion_aggregator.aggregation.standings import Blocks

pytest.importorskip("orjson")  # without it there are dictionaries only

KEY = CourseKey.from_string("course-v1:Test+Course+1")
#: Names that look like what the texts between the numbers are found by.
BLOCKS = Blocks(
    keys=("course", "chapter-0.5", "chapter\0name\0", "vertical,1", "vertical\0" + "0\0"),
    types=("course", "chapter", "chapter", "vertical", "vertical"),
    titles=("",) * 5,
    parents=((), (0,), (0,), (1,), (2,)),
    rows=np.arange(5),
)
sums = arrays(np.float64, (5, 6), elements=st.floats(min_value=0, max_value=1e9))
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
fields = st.builds(
    Fields,
    block_types=st.sampled_from([(), ("vertical",), ("vertical", "chapter", "course"), ("unknown",)]),
    optional=st.booleans(),
    root_block=st.sampled_from([None, "chapter-0.5"]),
)


@given(
    st.lists(st.tuples(names, st.one_of(st.none(), sums)), max_size=5),
    fields,
    st.sampled_from([tally_v0, tally_v1]),
    st.booleans(),
    st.one_of(st.none(), st.floats(0, 1)),
)
def test_a_page_is_what_its_dictionaries_are_written_as(
    learners: list[tuple[str, Any]], asked: Fields, tally: Any, named: bool, mean: float | None
) -> None:
    make = EntryMaker(asked, tally=tally)
    page = Entries([
        make(
            KEY,
            None if numbers is None else Standing(1, BLOCKS, numbers, None),
            username=name if named else None,
            mean=mean,
        )
        for name, numbers in learners
    ])  # fmt: skip

    assert dumps(page) == dumps(list(page))
    assert json.loads(dumps(page)) == list(page)


def test_learners_who_see_one_tree_share_the_text_between_their_numbers() -> None:
    make, drawn = EntryMaker(Fields(block_types=("vertical",))), list[Any]()
    entry = make.entry
    make.entry = lambda *given: drawn.append(given) or entry(*given)  # type: ignore[method-assign, func-returns-value]
    standings = [Standing(nth, BLOCKS, np.full((5, 6), float(nth)), None) for nth in range(50)]

    dumps(Entries([make(KEY, standing, username=None, mean=None) for standing in standings]))

    assert len(drawn) == 2  # the first learner's, and the text of all others
