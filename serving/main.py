"""Runs one serving process: `python -m serving.main`, with settings from the environment.

SIGTERM and SIGINT let requests in flight finish, within the graceful time, then end the process.
"""

import logging
import signal
import socket
import sys
from typing import Any, cast

import uvicorn

from adapters.apigateway_posts import ApiGatewayPosts
from adapters.aws_clients import AwsClients
from adapters.connection import connect, connect_path, response_wire
from adapters.model_connection import connect_models
from adapters.msgpack_wire import encode_event
from adapters.prometheus_metrics import Metrics
from adapters.pseudonyms import Pseudonyms
from adapters.redis_hot_users import decode_features
from adapters.redis_sessions import decode_copy
from adapters.spool_writing import SpoolWriter
from adapters.sqs_direct import DirectSqs
from adapters.sqs_queues import SqsQueues
from adapters.trace_connection import connect_traces
from config import answers, budgets, failpoints, queues
from config.errors import ConfigError
from config.settings import Settings, read
from serving.model_path import ModelParts
from serving.parts import MIB, Parts
from serving.protocol import IDLE_SECONDS, HotProtocol
from serving.questions import QuestionClassifier
from serving.service import Service
from serving.websocket import WebSocketProtocol

GRACEFUL_SECONDS = 8
MAX_CONNECTIONS_WAITING = 2048


def run(settings: Settings) -> None:
    """Serve until a signal ends it; raises ConfigError before it listens."""
    serve(connected(settings))


def connected(settings: Settings) -> Parts:
    """The parts over the real services; raises ConfigError for settings that do not fit."""
    if settings.jwks_url and not (settings.token_issuer and settings.token_audience):
        raise ConfigError("MANGAASSIST_JWKS_URL needs the issuer and audience of tokens as well")
    failpoints.arm(settings.failpoint)
    metrics = Metrics()
    ports = connect(settings, metrics)
    table = budgets.declared()
    path = connect_path(settings, metrics, table.routes["recommendations"].total_ms / 1000)
    patterns = answers.declared().patterns
    return Parts(
        settings=settings,
        budgets=table,
        catalogue=ports.catalogue,
        sessions=ports.sessions,
        users=path.users,
        features=path.features,
        recommender=path.recommender,
        decode_features=decode_features,
        metrics=metrics,
        encode_event=encode_event,
        decode_session=decode_copy,
        posts=ApiGatewayPosts(AwsClients()) if settings.gateway_key else None,
        spool=SpoolWriter(settings.spool, max_bytes=settings.spool_max_mb * MIB),
        send_events=DirectSqs(SqsQueues(AwsClients()), queues.declared()).send,
        build_classifier=lambda catalogue: QuestionClassifier(catalogue, patterns).classify,
        model=model_parts(settings),
        traces=connect_traces("serving"),
    )


def model_parts(settings: Settings, aws: AwsClients | None = None) -> ModelParts:
    """What answers with a model, over the services that these settings name."""
    connection = connect_models(settings, aws)
    return ModelParts(
        models=connection.models,
        table=connection.table,
        build_search=connection.build_search,
        wire=response_wire(settings),
        pseudonym=Pseudonyms(settings.pseudonym_key).of,
        close=connection.close,
    )


def serve(parts: Parts) -> None:
    """Serve with these parts until a signal ends it; raises ConfigError before it listens."""
    try:
        service = Service(parts)
    except ValueError as error:  # the URL of Redis or of the keys
        raise ConfigError(str(error)) from error
    server = uvicorn.Server(
        uvicorn.Config(
            service.app,
            loop="uvloop",
            http=HotProtocol,
            ws=WebSocketProtocol,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=MAX_CONNECTIONS_WAITING,
            timeout_keep_alive=int(IDLE_SECONDS),
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
        )
    )
    service.watch_connections(cast("set[object]", server.server_state.connections))
    listener = _listen(parts.settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _already_handled)
    server.run(sockets=[listener])


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        raise ConfigError(f"cannot listen on {where}: {error.strerror}") from error
    return listener


def _already_handled(_number: int, _frame: Any) -> None:
    """uvicorn raises the signal that ended it once more, when everything is done."""


def main() -> int:
    """The entry point of the process; 2 for wrong settings."""
    try:
        settings = read()
        logging.basicConfig(
            level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        run(settings)
    except ConfigError as error:
        sys.stderr.write(f"mangaassist serve: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
