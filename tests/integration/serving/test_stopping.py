"""A serving process on SIGTERM."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.serving.client import Connection, chat
from tests.integration.serving.processes import Valkey, start_serving, stop, wait_until


async def test_on_sigterm_idle_connections_close_and_the_process_ends_well(
    valkey: Valkey, tmp_path: Path
) -> None:
    serving = start_serving(valkey, tmp_path)
    await asyncio.to_thread(wait_until, serving.ready, "the request path is ready")
    connection = await Connection.to(serving)
    assert (await connection.send(chat("new releases", "stop-1"))).status == 200
    assert await asyncio.to_thread(stop, serving) == 0
    assert await connection.at_end()
    await connection.close()
    assert "Traceback" not in serving.log.read_text()


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"MANGAASSIST_PORTS": "1"}, "no such setting"),
        ({"MANGAASSIST_PORT": "70000"}, "MANGAASSIST_"),
        ({"MANGAASSIST_REDIS_URL": "redis://127.0.0.1/x"}, "database"),
        ({"MANGAASSIST_JWKS_URL": "file:///keys"}, "issuer and audience"),
        ({"MANGAASSIST_HOST": "192.0.2.1"}, "cannot listen on 192.0.2.1:8080"),
    ],
)
def test_wrong_settings_are_one_clear_line_and_exit_code_2(
    setting: dict[str, str], reason: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "serving.main"],
        env={**os.environ, **setting},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert reason in ended.stderr
