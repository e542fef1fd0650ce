"""Runs one relay: `python -m workers.relay`. Several may run side by side."""

import logging
import sys
import threading

from adapters.aws_clients import AwsClients
from adapters.connection import redis_of
from adapters.prometheus_metrics import Metrics
from adapters.redis_confirmations import RedisConfirmations
from adapters.redis_outbox import RedisOutbox
from adapters.spool_writing import SpoolWriter
from adapters.sqs_queues import SqsQueues
from adapters.trace_connection import connect_traces
from config import failpoints
from config import metrics as metrics_table
from config import settings as settings_module
from config.errors import ConfigError
from config.queues import Queue, Queues, declared
from config.settings import Settings
from workers import logs, stopping
from workers.copy_watching import CopyWatch
from workers.ledger import Ledger
from workers.packing import Limits, Packer
from workers.relaying import Relay
from workers.sending import QueueSender, Sendings, SendPacks
from workers.spool_draining import SpoolDrain
from workers.sqs_sending import SqsSending, new_pack_id

logger = logging.getLogger("workers.relay")

USAGE_ERROR = 2
MIB = 1024 * 1024


def run(settings: Settings) -> int:
    """Relay until SIGTERM or SIGINT; the exit code."""
    stop = stopping.on_signal()
    logs.configure(settings.log_level)
    failpoints.arm(settings.failpoint)
    metrics, traces = Metrics(), connect_traces("relay")
    table = declared()
    redis = redis_of(settings)
    sending = SqsSending(SqsQueues(AwsClients(), metrics), table)
    ledger = Ledger()
    relay = Relay(
        outbox=RedisOutbox(redis, settings.outbox_shards),
        senders=_senders(table, sending.packs, Sendings(ledger, metrics, traces)),
        queue_of=table.of_job,
        ledger=ledger,
        metrics=metrics,
        confirm=RedisConfirmations(redis, settings.outbox_shards).confirm,
    )
    spooled = Ledger()
    drain = SpoolDrain(
        settings.spool,
        senders=_senders(table, sending.packs, Sendings(spooled, metrics, traces)),
        queue_of=table.of_job,
        ledger=spooled,
        metrics=metrics,
    )
    watch = CopyWatch(
        settings.spool,
        confirmations=RedisConfirmations(redis, settings.outbox_shards),
        spool_writer=SpoolWriter(settings.spool, max_bytes=settings.spool_max_mb * MIB),
        metrics=metrics,
    )
    port = settings.metrics_port or metrics_table.declared().ports.relay
    server = metrics.serve_http(settings.metrics_host, port, relay.healthy)
    logger.info("relay metrics=http://%s:%d", settings.metrics_host, server.port)
    others = [
        threading.Thread(target=drain.run, args=(stop,), name="spool"),
        threading.Thread(target=watch.run, args=(stop,), name="copies"),
    ]
    for other in others:
        other.start()
    relay.run(stop)
    for other in others:
        other.join()
    if traces is not None:
        traces.close()
    logger.info("relay has left")
    return 0


def _senders(table: Queues, send: SendPacks, to: Sendings) -> dict[str, QueueSender]:
    return {
        name: QueueSender(name, Packer(_limits(row), new_pack_id), send, to)
        for name, row in table.queues.items()
        if row.jobs
    }


def _limits(row: Queue) -> Limits:
    return Limits(pack_jobs=row.pack_jobs, linger_seconds=row.linger_ms / 1000)


def main() -> int:
    """The command line of this module."""
    try:
        return run(settings_module.read())
    except (ConfigError, OSError) as error:
        sys.stderr.write(f"relay: {error}\n")
        return USAGE_ERROR


if __name__ == "__main__":
    sys.exit(main())
