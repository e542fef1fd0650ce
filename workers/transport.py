"""kombu's SQS transport, mended: survives every failed request, never blocks its loop on SQS.

Use it with `broker_url="sqs://"` and `broker_transport="workers.transport:Transport"`. It needs
`predefined_queues` (nothing is ever created or listed) and a redrive policy on every queue: a
message that fails or can't be read is never deleted, only handed back. For the pools prefork,
threads and solo. Knows no task.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NoReturn

from amqp.protocol import queue_declare_ok_t
from kombu.asynchronous.hub import Hub
from kombu.transport import SQS

from workers.intake import Intake
from workers.prefetch import FULL_RECEIVE
from workers.sqs_requests import SharedClients
from workers.transport_observer import SilentObserver, TransportObserver
from workers.transport_options import CLIENT_CONFIG, TransportOptions

__all__ = ["Channel", "QoS", "SilentObserver", "Transport", "TransportObserver"]

_clients = SharedClients()


class QoS(SQS.QoS):
    """Which messages Celery has; rejected ones go back to SQS instead of being deleted."""

    channel: "Channel"
    _delivered: Any  # an OrderedDict with an attribute
    _dirty: set[str]
    _flush: Callable[[], None]

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Forget a message that the intake sees to; it may come again under the same tag."""
        self._delivered.pop(delivery_tag, None)

    def delivered(self, delivery_tag: str) -> Any | None:
        """Give the kombu message, unless it was settled before."""
        return None if delivery_tag in self._dirty else self._delivered.get(delivery_tag)

    def restore_unacked(self) -> list[NoReturn]:  # type: ignore[override]
        """Hand back everything that Celery has not finished."""
        self._flush()
        self.channel.release(list(self._delivered))
        self._delivered.clear()
        return []


_QoS = QoS


class Channel(SQS.Channel):
    """One consumer's view of its queues."""

    QoS = QoS
    qos: _QoS
    hub: Hub
    options: TransportOptions
    _resolve_queue_url: Callable[[str], str]
    _intake: Intake | None = None

    # -- settings

    def _validate_predifined_queues(self) -> None:  # kombu's spelling
        self.options = TransportOptions.read(self.conninfo.transport_options)

    @property
    def transport_options(self) -> dict[str, Any]:
        """The options as given, with time limits for boto3 where none are."""
        return {"client-config": CLIENT_CONFIG, **self.conninfo.transport_options}

    @cached_property
    def endpoint_url(self) -> None:
        """Leave the endpoint to the SDK."""
        return

    @cached_property
    def sqs_base64_encoding(self) -> bool:
        """Send the envelope as it is: it is JSON, which SQS takes."""
        return bool(self.transport_options.get("sqs_base64_encoding", False))

    def sqs(self, queue: str | None = None) -> Any:
        """Give the process's one client; credentials come from the SDK's default chain."""
        if queue is not None:
            self._resolve_queue_url(queue)
        return _clients.get(self.region, self._new_client)

    def _new_client(self) -> Any:
        return self.new_sqs_client(self.region, None, None)  # type: ignore[arg-type]

    def _renewed_client(self) -> Any:
        return _clients.renew(self.region, self._new_client)

    # -- queues and publishing

    def queue_declare(
        self, queue: str | None = None, passive: bool = False, **_: Any
    ) -> queue_declare_ok_t:
        """Check that the queue is predefined; asks SQS nothing, so a worker starts in an outage."""
        self._resolve_queue_url(queue or "")
        return queue_declare_ok_t(queue or "", 0, 0)

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        self.options.observer.request("SendMessage")
        super()._put(queue, message, **kwargs)

    def drain_events(self, timeout: float | None = None, callback: Any = None, **_: Any) -> None:
        """Refuse the blocking way of consuming, which gevent and eventlet take."""
        raise NotImplementedError("use the pools prefork, threads or solo with this transport")

    # -- consuming

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        """Start polling this queue."""
        if no_ack:
            raise ValueError(f"queue {queue}: no_ack would lose messages")
        if self._intake is None:
            self._intake = Intake(self, self.options, renewed_client=self._renewed_client)
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def _schedule_queue(self, queue: str) -> None:
        if self._intake is not None and queue in self._active_queues:
            self._intake.poll(queue)

    def basic_cancel(self, consumer_tag: str) -> Any:
        """Stop consuming; what waits goes back at once."""
        result = super().basic_cancel(consumer_tag)
        if self._intake is not None and not self._consumers:
            self._intake.stop()
            self._intake.disconnect()
        return result

    def close(self) -> None:
        """Hand back what is unfinished and send what waits to be sent."""
        super().close()
        if self._intake is not None:
            self._intake.close()
            self._intake = None

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Have the message deleted soon; returns at once and never fails."""
        message = self.qos.delivered(delivery_tag)
        if message is not None and self._intake is not None:
            self.qos.ack(delivery_tag)
            self._intake.done(message.delivery_info["routing_key"], delivery_tag)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Hand the message back: at once if `requeue`, else with backoff; it is never deleted."""
        message = self.qos.delivered(delivery_tag)
        if message is not None and self._intake is not None:
            self.qos.reject(delivery_tag, requeue=requeue)
            queue = message.delivery_info["routing_key"]
            self._intake.failed(queue, delivery_tag, at_once=requeue)

    def free_slots(self) -> int:
        """Say how many messages Celery takes now; all of a receive where there is no limit."""
        qos = self.qos
        return int(qos.can_consume_max_estimate()) if qos.prefetch_count else FULL_RECEIVE

    def callback(self, queue: str) -> Callable[[dict[str, Any]], object] | None:
        """Give the consumer of this queue, if there is one."""
        callbacks = self.connection._callbacks  # noqa: SLF001 - where kombu keeps them
        return callbacks.get(queue) if callbacks else None

    def release(self, delivery_tags: list[str]) -> None:
        """Give messages back that were not begun, or not finished, when the worker stops."""
        if self._intake is not None:
            self._intake.visibility.release(delivery_tags)


class Transport(SQS.Transport):
    """`sqs://` as MangaAssist needs it."""

    Channel = Channel
    polling_interval = 0

    def __init__(self, client: Any, **kwargs: Any) -> None:
        if client.hostname or client.userid or client.password:
            raise ValueError(
                "broker_url must be sqs:// alone: the endpoint comes from AWS_ENDPOINT_URL_SQS or "
                "the region, credentials from the SDK's default chain"
            )
        super().__init__(client, **kwargs)
