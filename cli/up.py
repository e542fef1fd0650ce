"""`mangaassist up`: everything is checked before anything starts, then a stack runs until a signal.

Imports nothing slow: it has to be out of the way while everything else starts.
"""

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from cli import browser_page, catalogue_files, tokens
from cli.data_dir import DataDir
from cli.embedded import REDIS_VARIABLE, Stack, plan
from cli.failures import Failure
from cli.ports import reserve, reserve_any
from cli.running import Run
from cli.voice import Voice
from config import queues, settings

CONNECT_SECONDS = 2.0
REDIS_PORT = 6379


def run(port: int, data_dir: Path, catalogue: str | None, *, browser: bool) -> None:
    """Run a stack until SIGINT or SIGTERM; raises Failure."""
    began = time.monotonic()
    groups = list(queues.declared().groups)
    directory = DataDir(data_dir)
    directory.make()
    with directory.lock():
        file = _catalogue_file(catalogue, directory)
        _check_redis(os.environ)
        key = tokens.pseudonym_key(directory)
        http = reserve(port) if port else reserve_any()
        try:
            stack = plan(directory, http, groups, os.environ, pseudonym_key=key)
            settings.read(stack.environment)
            _run_planned(stack, file, began, browser=browser)
        finally:
            http.release()


def _catalogue_file(named: str | None, directory: DataDir) -> Path | None:
    """The file to load; None where the data directory keeps the catalogue of the last run."""
    if named is None and directory.catalogue.is_file():
        return None
    file = catalogue_files.find(named)
    if named is not None:
        catalogue_files.require_good(file)
    return file


def _run_planned(stack: Stack, catalogue: Path | None, began: float, *, browser: bool) -> None:
    directory = stack.directory
    try:
        directory.endpoints.unlink(missing_ok=True)
        directory.rotate_logs()
        tokens.make_keys(directory)
        log = directory.log("up").open("a", encoding="utf-8")
    except OSError as error:
        raise Failure(f"{error.filename or directory.path}: {error.strerror}") from error

    with log:
        try:
            run = _until_signal(stack, catalogue, Voice(log, began), browser=browser)
            asyncio.run(run)
        finally:
            directory.endpoints.unlink(missing_ok=True)
            stack.ports.release()


async def _until_signal(
    stack: Stack, catalogue: Path | None, voice: Voice, *, browser: bool
) -> None:
    show = browser_page.show if browser and browser_page.is_wanted() else None
    await Run(stack, catalogue, voice, show).until_signal()


def _check_redis(environment: Mapping[str, str]) -> None:
    """Raise Failure for a Redis of somebody else's that cannot be reached."""
    url = environment.get(REDIS_VARIABLE)
    if not url:
        return
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss"}:
        raise Failure(f"{REDIS_VARIABLE} must begin with redis:// or rediss://")
    host = parts.hostname or "127.0.0.1"
    try:
        port = parts.port or REDIS_PORT
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise Failure(f"{REDIS_VARIABLE}: {host} cannot be reached: {error}") from error
