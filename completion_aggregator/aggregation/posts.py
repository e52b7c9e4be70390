"""Posts to webhooks: signed, given a time to answer, and understood."""

import hmac
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from time import time
from typing import Final

import requests

from completion_aggregator.conf import Webhook
from completion_aggregator.exceptions import CompletionAggregatorError

_TOO_MANY: Final = 429


class DeliveryFailed(CompletionAggregatorError):
    """An endpoint did not take a crossing; the message says why, and holds no secret."""


class EndpointDown(DeliveryFailed):
    """An endpoint takes nothing at present, whatever the crossing."""


def post(webhook: Webhook, event_id: str, body: bytes, *, patience: float) -> None:
    """Post *body*, and wait *patience* seconds for a yes. Raises DeliveryFailed or EndpointDown."""
    _within(patience, lambda: _request(webhook, event_id, body, patience))


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return what the header Completion-Signature says of a post."""
    return "sha256=" + hmac.digest(secret.encode(), timestamp.encode() + b"." + body, "sha256").hex()


def _request(webhook: Webhook, event_id: str, body: bytes, patience: float) -> None:
    timestamp = str(int(time()))
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": event_id,
        "Completion-Timestamp": timestamp,
        "Completion-Signature": signature(webhook.secret, timestamp, body),
    }
    with requests.Session() as session:
        session.trust_env = not webhook.is_local  # proxies and their like are for other machines
        try:
            # The body of the answer is of no interest, and not read.
            answer = session.post(
                webhook.url, data=body, headers=headers, timeout=patience, allow_redirects=False, stream=True
            )
        except requests.RequestException as error:
            # The whole message has the address in it.
            raise EndpointDown(f"no answer: {type(error).__name__}") from None
        answer.close()
    if answer.is_redirect:
        raise EndpointDown(f"answered {answer.status_code}: redirects are not followed")
    if 400 <= answer.status_code < 500 and answer.status_code != _TOO_MANY:
        raise DeliveryFailed(f"answered {answer.status_code}")
    if not 200 <= answer.status_code < 300:
        raise EndpointDown(f"answered {answer.status_code}")


def _within(seconds: float, work: Callable[[], None]) -> None:
    """Do *work*, which ends in an answer or DeliveryFailed, and wait so long for it.

    An endpoint that sends a byte now and then never reaches the time-out of a socket. Such a thread is left to itself.
    """
    ends: SimpleQueue[BaseException | None] = SimpleQueue()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            ends.put(error)
        else:
            ends.put(None)

    Thread(target=run, name="delivery", daemon=True).start()
    try:
        error = ends.get(timeout=seconds)
    except Empty:
        raise EndpointDown(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
