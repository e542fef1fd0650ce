"""`python -m emulators sqs featurestore --port 0`: serves until SIGTERM or SIGINT.

Prints one JSON line when listening: {"port": N, "services": [...]}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path

from emulators.app import DEFAULT_ACCOUNT, DEFAULT_REGION, SERVICES, EmulatorApp, EmulatorSettings
from emulators.journal import JournalError
from emulators.loop import new_event_loop

USAGE_ERROR = 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m emulators", description=__doc__)
    parser.add_argument("services", nargs="+", choices=sorted(SERVICES), metavar="SERVICE")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--journal-dir", type=Path, help="keep state in this directory")
    parser.add_argument("--account", default=DEFAULT_ACCOUNT)
    parser.add_argument("--region", default=DEFAULT_REGION)
    parser.add_argument("--seed", type=int, help="makes injected faults repeatable")
    parser.add_argument(
        "--feature-group",
        action="append",
        default=[],
        metavar="NAME:RECORD_ID:EVENT_TIME[:STORAGE]",
    )
    parser.add_argument("--endpoint", action="append", default=[], metavar="NAME=URL")
    return parser


def _settings(arguments: argparse.Namespace) -> EmulatorSettings:
    return EmulatorSettings(
        services=tuple(arguments.services),
        host=arguments.host,
        port=arguments.port,
        journal_dir=arguments.journal_dir,
        account=arguments.account,
        region=arguments.region,
        feature_groups=tuple(arguments.feature_group),
        endpoints=tuple(arguments.endpoint),
        seed=arguments.seed,
    )


async def _serve(settings: EmulatorSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = EmulatorApp(settings)
    port = await app.start()
    line = json.dumps({"port": port, "services": list(dict.fromkeys(settings.services))})
    os.write(sys.stdout.fileno(), f"{line}\n".encode())
    await stop.wait()
    await app.close()


def main() -> int:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    settings = _settings(_parser().parse_args())
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve(settings))
    except (OSError, ValueError, JournalError) as error:
        sys.stderr.write(f"emulators: {error}\n")
        return USAGE_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main())
