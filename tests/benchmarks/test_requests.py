import json
from typing import Any

import pytest

from benchmarks.requests import difference


def page(*blocks: tuple[str, float], mean: float = 0.3) -> dict[str, Any]:
    return {"results": [{"mean": mean, "vertical": [{"block_key": key, "earned": earned} for key, earned in blocks]}]}


def compared(theirs: Any, ours: Any) -> str | None:
    return difference(json.dumps(theirs).encode(), json.dumps(ours).encode())


def test_another_order_of_blocks_or_keys_and_a_mean_rounded_otherwise_are_the_same_answer() -> None:
    theirs, ours = page(("a", 1.0), ("b", 2.0), mean=0.3), page(("b", 2.0), ("a", 1.0), mean=0.1 + 0.2)
    ours["results"] = [dict(reversed(each.items())) for each in ours["results"]]

    assert compared(theirs, ours) is None


@pytest.mark.parametrize(
    ("ours", "where"),
    [
        (page(("a", 1.0000000001)), "$.results[0].vertical[0].earned: 1.0 and 1.0000000001"),
        (page(("a", 1)), "$.results[0].vertical[0].earned: 1.0 and 1"),
        (page(("a", 1.0), mean=0.301), "$.results[0].mean: 0.3 and 0.301"),
        (page(("a", 1.0), ("b", 1.0)), "$.results[0].vertical: "),
        ({"results": [page(("a", 1.0))["results"][0] | {"username": "ana"}]}, "$.results[0]: "),
        ({"results": []}, "$.results: "),
    ],
    ids=["number", "type", "mean", "one block more", "one key more", "no entry"],
)
def test_any_other_difference_is_told_with_its_place(ours: Any, where: str) -> None:
    found = compared(page(("a", 1.0)), ours)

    assert found is not None
    assert found.startswith(where)
