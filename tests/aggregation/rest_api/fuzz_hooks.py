"""What Schemathesis is told of our data: most requests name a course, a block and a learner that there are."""

from typing import Any

import schemathesis
from hypothesis import strategies as st

from completion_aggregator.aggregation.rest_api import openapi_examples as examples

THERE = {
    "course_key": [examples.COURSE],
    "block_key": [examples.LEAF, examples.FLIGHT],
    "username": ["ana", "bob", "CLEO", "teacher"],
}


@schemathesis.hook
def flatmap_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> st.SearchStrategy[Any]:
    """Put what there is in the place of what was made up, three times in four."""
    if not path_parameters:
        return st.just(path_parameters)
    return st.fixed_dictionaries(
        {
            name: st.sampled_from(THERE[name] * 3 + [made_up] * len(THERE[name]))
            for name, made_up in path_parameters.items()
        }
    )


@schemathesis.deserializer("text/csv", "application/x-ndjson")
def read_as_text(context: Any, response: Any) -> str:
    """Take these for the text that the description calls them."""
    return str(response.content, "utf-8")
