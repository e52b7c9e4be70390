"""What an error of the database means to the person who ran a command."""

import pytest
from django.db import OperationalError, connection

from completion_aggregator.platforms.standalone import readiness


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_cut_is_told_in_a_sentence():
    connection.ensure_connection()
    connection.connection.close()
    told = str(readiness.explain(OperationalError("the connection is closed")))
    assert told.endswith(" refused: the connection is closed")
