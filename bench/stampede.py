"""How often the model is asked when 500 clients of 4 processes ask one new question at once."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import redis

from bench import machine
from bench.environments import python_with
from bench.processes import DidNotStartError, Processes
from bench.report import Claim, Result, Table, duration, median
from bench.stack import start_valkey

PROCESSES = 4
CLIENTS = 125
MODEL_SECONDS = 1.0
PATIENCE_SECONDS = 120
ROOT = Path(__file__).resolve().parents[1]
OURS = "tests.integration.serving.response_app"
THEIRS = ROOT / "bench" / "baselines" / "stampede_clients.py"
LIBRARIES = ("aiocache[redis]>=0.12", "cashews[redis]>=7.6")
CALLS = "model_calls"
MANGAASSIST = "MangaAssist"
OTHERS = {
    "aiocache": "aiocache `cached`",
    "aiocache-stampede": "aiocache `cached_stampede`",
    "cashews": "cashews `cache`",
    "cashews-lock": "cashews `cache(lock=True)`",
}


@dataclass(frozen=True, slots=True)
class Run:
    """What one stampede cost; seconds until the last client had the answer."""

    cache: str
    model_calls: int
    answered: int
    seconds: float


def run(rounds: int) -> Result:
    """Each cache, so many times."""
    description = machine.describe()
    python = python_with("stampede", LIBRARIES)
    runs = []
    with Processes() as processes:
        valkey = start_valkey(processes, machine.cores().others)
        for _ in range(rounds):
            ours: list[str | Path] = [
                sys.executable, "-m", OURS, valkey.url, str(CLIENTS), "料理の漫画",
                str(MODEL_SECONDS),
            ]  # fmt: skip
            runs.append(_stampede(MANGAASSIST, ours, valkey.url))
            for library, name in OTHERS.items():
                theirs: list[str | Path] = [
                    python, THEIRS, library, valkey.url, str(CLIENTS), str(MODEL_SECONDS),
                ]  # fmt: skip
                runs.append(_stampede(name, theirs, valkey.url))
    return summarise(runs, description)


def _stampede(name: str, command: Sequence[str | Path], url: str) -> Run:
    with redis.Redis.from_url(url) as client, ExitStack() as stack:
        client.flushall()
        processes = [stack.enter_context(_started(command)) for _ in range(PROCESSES)]
        for process in processes:
            stack.callback(process.kill)
            _await_ready(name, process)
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [
            json.loads(process.communicate(timeout=PATIENCE_SECONDS)[0]) for process in processes
        ]
        calls = int(client.get(CALLS) or 0)
    answered = sum(one.get("answered", 0) + sum(one.get("texts", {}).values()) for one in said)
    return Run(name, calls, answered, max(one["seconds"] for one in said))


def _started(command: Sequence[str | Path]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
    )


def _await_ready(name: str, process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise DidNotStartError(f"{name} ended before it was ready")


def summarise(runs: Sequence[Run], description: machine.Description) -> Result:
    """The table and the claim."""
    by_cache: dict[str, list[Run]] = {}
    for one in runs:
        by_cache.setdefault(one.cache, []).append(one)
    rows = [
        [
            name,
            _range([one.model_calls for one in of_cache]),
            _range([one.answered for one in of_cache]),
            duration(median([one.seconds for one in of_cache])),
        ]
        for name, of_cache in by_cache.items()
    ]
    ours = max(one.model_calls for one in by_cache[MANGAASSIST])
    fewest = min(one.answered for one in by_cache[MANGAASSIST])
    clients = PROCESSES * CLIENTS
    table = Table(
        f"{clients} clients of {PROCESSES} processes, one new question, a model of "
        f"{MODEL_SECONDS:g} s",
        ("cache", "calls of the model", "clients answered", "until the last one"),
        rows,
    )
    claims = [
        Claim("calls of the model", ours, 1, False),
        Claim("clients answered", fewest, clients),
    ]
    notes = ["Where fewer clients are answered, the library raised an error for the others."]
    return Result("stampede", description, [table], claims, notes, [asdict(one) for one in runs])


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}–{high}"
