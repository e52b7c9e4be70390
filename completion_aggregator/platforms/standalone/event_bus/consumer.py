"""The Redis consumer of the bus, and what it needs to lose nothing that it has read."""

import logging
from typing import Any, Final

from django.db import InterfaceError, OperationalError
from edx_event_bus_redis import RedisEventConsumer
from edx_event_bus_redis.internal.consumer import ReceiverError
from edx_event_bus_redis.internal.message import UnusableMessageError

from completion_aggregator.platforms.standalone.event_bus.rejects import fingerprint, reject

log = logging.getLogger(__name__)

PENDING_PER_LOOK: Final = 1000


class Consumer(RedisEventConsumer):  # type: ignore[misc]  # the library has no types
    """The library's consumer. It acknowledges each message, whatever became of it; so nothing may become lost before.

    The library asks for the database before it hands out a message, and gives the message up where that fails; and it
    gives up messages that it cannot read. Both end here, before they are acknowledged.
    """

    def record_event_consuming_error(self, run_context: dict[str, Any], error: Exception, maybe_message: Any) -> None:
        """Do what is left to do with a message that failed. The log gets no data of it: it may name people."""
        if isinstance(error, ReceiverError):
            _tell(error)
        elif maybe_message is not None and isinstance(error, InterfaceError | OperationalError):
            self._hand_out_again(maybe_message)
        elif maybe_message is not None:
            self._reject(maybe_message, error)
        elif isinstance(error, UnusableMessageError):
            reject(f"unreadable: {error}", event_type=self.full_topic)
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
