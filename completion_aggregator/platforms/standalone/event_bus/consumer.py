"""The Redis consumer of the bus, and what it needs to lose nothing that it has read."""

import logging
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from django.db import InterfaceError, OperationalError
from edx_event_bus_redis import RedisEventConsumer
from edx_event_bus_redis.internal.consumer import ReceiverError
from edx_event_bus_redis.internal.message import UnusableMessageError

from completion_aggregator.platforms.standalone.event_bus.rejects import fingerprint, reject

log = logging.getLogger(__name__)

PENDING_PER_LOOK: Final = 1000


class AtHand:
    """A stream that remembers the message which it gave last: of one with bad headers the library hands on nothing."""

    def __init__(self, stream: Any) -> None:
        self.fields: dict[bytes, bytes] = {}
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __getitem__(self, message_id: bytes) -> Any:
        return self._remembered([self._stream[message_id]])[0]

    def read(self, **how: Any) -> list[Any]:
        """Return the next messages, as the stream does."""
        return self._remembered(self._stream.read(**how))

    def _remembered(self, messages: list[Any]) -> list[Any]:
        self.fields = (messages[0][1] or {}) if messages and messages[0] else {}
        return messages


class Consumer(RedisEventConsumer):  # type: ignore[misc]  # the library has no types
    """The library's consumer. It acknowledges each message, whatever became of it; so nothing may become lost before.

    The library asks for the database before it hands out a message, and gives the message up where that fails; and it
    gives up messages that it cannot read. Both end here, before they are acknowledged.
    """

    consumer: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.consumer = AtHand(self.consumer)

    def record_event_consuming_error(self, run_context: dict[str, Any], error: Exception, maybe_message: Any) -> None:
        """Do what is left to do with a message that failed. The log gets no data of it: it may name people."""
        if isinstance(error, ReceiverError):
            _tell(error)
        elif maybe_message is not None and isinstance(error, InterfaceError | OperationalError):
            self._hand_out_again(maybe_message)
        elif maybe_message is not None:
            self._reject(maybe_message, error)
        elif isinstance(error, UnusableMessageError):
            self._reject_unreadable(error)
        else:
            log.warning("cannot read topic=%s: %s", self.full_topic, error)

    def forget_trimmed(self) -> int:
        """Drop messages that were read, and are gone from the stream before they were handled. Return how many.

        The library would ask for the first of them for ever, and never look at those behind it.
        """
        gone, after = 0, "-"
        while pending := self.consumer.pending(start=after, count=PENDING_PER_LOOK):
            for each in pending:
                if not self.db.xrange(self.full_topic, each["message_id"], each["message_id"]):
                    gone += self.consumer.ack(each["message_id"])
            after = f"({pending[-1]['message_id'].decode()}"
        if gone:
            log.error("%d events of topic=%s are lost: the stream was cut too short; reconcile", gone, self.full_topic)
        return gone

    def _hand_out_again(self, message: Any) -> None:
        # The receivers wait for the database themselves.
        try:
            self.emit_signals_from_message(message)
        except ReceiverError as error:
            _tell(error)
        except (KeyError, ValueError, TypeError, EOFError, IndexError) as error:
            self._reject(message, error)

    def _reject_unreadable(self, error: Exception) -> None:
        # The text of the error quotes the header. Its own id may be what is wrong: one that comes again is told by the
        # bytes, which are the same.
        content = b"".join(part for field in sorted(self.consumer.fields.items()) for part in field)
        reject(
            f"unreadable headers: {type(error.__cause__).__name__}",
            event_type=self.full_topic,
            event_id=str(UUID(bytes=sha256(content).digest()[:16])),
            data=fingerprint(content),
        )

    def _reject(self, message: Any, error: Exception) -> None:
        about = message.event_metadata
        reject(
            f"undecodable: {type(error).__name__}",
            event_type=about.event_type,
            event_id=str(about.id),
            moment=about.time,
            data=fingerprint(message.event_data),
        )


def _tell(error: ReceiverError) -> None:
    # Django has logged the traceback. Our receiver keeps aside what it cannot take.
    log.error("a receiver failed: %s", error)
