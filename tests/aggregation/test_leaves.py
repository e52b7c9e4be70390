"""Leaf numbers: handed out once, and never believed before they are committed."""

import pytest
from django.db import IntegrityError, transaction

from completion_aggregator.aggregation import leaves
from completion_aggregator.models import CourseLeaf
from tests.aggregation.builders import KEY, usage

pytestmark = pytest.mark.django_db(transaction=True)
A, B, C = (str(usage("html", name)) for name in "abc")


def stored() -> list[tuple[int, str]]:
    return [
        (number, str(key)) for number, key in CourseLeaf.objects.order_by("number").values_list("number", "block_key")
    ]


def test_a_number_is_handed_out_once() -> None:
    row = leaves.course_row(KEY)

    assert leaves.number(row, [A, B]).numbers == {A: 0, B: 1}
    assert leaves.number(row, [C, B]).numbers == {A: 0, B: 1, C: 2}
    assert leaves.number(leaves.course_row(KEY), [A]).numbers == {A: 0, B: 1, C: 2}
    assert stored() == [(0, A), (1, B), (2, C)]


def test_numbers_of_a_transaction_that_was_undone_are_forgotten() -> None:
    with transaction.atomic():
        leaves.number(leaves.course_row(KEY), [A, B])
        leaves.known(leaves.course_row(KEY))
        transaction.set_rollback(True)

    row = leaves.course_row(KEY)

    assert leaves.number(row, [B, C]).numbers == {B: 0, C: 1}
    assert leaves.known(row).numbers == {B: 0, C: 1}
    assert stored() == [(0, B), (1, C)]


def test_numbers_with_a_hole_are_refused() -> None:
    row = leaves.course_row(KEY)
    leaves.number(row, [A, B])
    CourseLeaf.objects.filter(number=0).delete()
    leaves.forget()

    with pytest.raises(IntegrityError, match="have holes"):
        leaves.number(row, [C])
