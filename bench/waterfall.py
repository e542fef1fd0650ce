"""The path of a question, segment by segment: a chain of calls, and ours, on equally slow services.

The chain makes a connection for each call and writes everything before it answers. What both inject
is in `injected.py`; the mix of questions is the same for both.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import redis

from bench import machine, ours
from bench.custom_questions import PRECOMPUTED, Question, mix
from bench.environments import python_with
from bench.hit import WrongAnswerError
from bench.injected import AFTER, AROUND, BEFORE
from bench.processes import HOST, Processes, answers_ok, free_port, listens, wait_for
from bench.recommending_backends import put
from bench.report import RESULTS, Claim, Result, median
from bench.stack import CREDENTIALS, Valkey, start_valkey
from bench.stored import answer
from bench.visitors import Heard, Site
from bench.waterfall_tables import OURS_FOR, at, mix_table, own_segments, rest_of, segments_table
from domain.answers import AnswerKey

OTHER_MS, MIX_MS, WITHOUT_MODEL = 5.0, 5.0, 0.57
PICTURE = Path(__file__).with_name("waterfall_picture.py")
DRAWING = ("matplotlib>=3.10,<4",)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many questions, by how many visitors at a time, each of whom asks so many.

    The chain only sleeps: more of it at a time take no longer each.
    """

    questions: int
    visitors: int
    chains: int = 8
    of_visit: int = 10
    pictures: Path | None = RESULTS


def run(plan: Plan) -> Result:
    """Measure both."""
    description, cores = machine.describe(), machine.cores()
    questions = mix(plan.questions)
    with Processes() as processes:
        valkey = start_valkey(processes, cores.others)
        chain = _chain(processes, cores, valkey, questions, plan)
        site = start(processes, cores, valkey, plan.questions // plan.of_visit + 1)
        with machine.pinned(cores.others):
            heard = asyncio.run(_visits(site, questions, plan))
    return summarise(chain, heard, questions, description, plan)


def _chain(
    processes: Processes,
    cores: machine.Cores,
    valkey: Valkey,
    questions: Sequence[Question],
    plan: Plan,
) -> list[dict[str, float]]:
    port = free_port()
    services = processes.start(
        "services", [sys.executable, "-m", "bench.slow_services", str(port)], cores.others
    )
    wait_for(services, lambda: listens(port))
    command = [sys.executable, "-m", "bench.baselines.sequential_chain", valkey.url, str(port)]
    with machine.pinned(cores.server):
        done = subprocess.run(
            [*command, str(plan.chains)],
            input="".join(f"{question.message}\n" for question in questions),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise WrongAnswerError(f"the chain failed: {done.stderr[-500:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def start(processes: Processes, cores: machine.Cores, valkey: Valkey, users: int) -> Site:
    """The request path, with everything that it waits for as slow as it is said to be."""
    redis_port, bedrock_port, port = (free_port() for _ in range(3))
    away = [str(redis_port), str(valkey.port), str(AFTER["cache check"])]
    redis_away = processes.start(
        "redis-away", [sys.executable, "-m", "bench.delayed_redis", *away], cores.others
    )
    wait_for(redis_away, lambda: listens(redis_port))
    bedrock = processes.start(
        "bedrock",
        [sys.executable, "-m", "emulators", "bedrock", "--port", str(bedrock_port)],
        cores.others,
    )
    bedrock_url = f"http://{HOST}:{bedrock_port}"
    wait_for(bedrock, lambda: answers_ok(f"{bedrock_url}/_emulator/health"))
    _publish(valkey)
    identity = ours.new_identity(processes.directory, [f"bench-{n}" for n in range(users)])
    environment = {
        **CREDENTIALS,
        **identity.environment,
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": bedrock_url,
        "MANGAASSIST_REDIS_URL": f"redis://{HOST}:{redis_port}/0",
        "MANGAASSIST_PORT": str(port),
        "MANGAASSIST_PSEUDONYM_KEY": "bench",
        "MANGAASSIST_LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "bench.waterfall_app", str(processes.directory / "spool")]
    child = processes.start(
        "serving", [*command, f"{AFTER['search']:g}"], cores.server, environment
    )
    wait_for(child, lambda: answers_ok(f"http://{HOST}:{port}/readyz"))
    slow_down(bedrock_url, AFTER["model"])
    return Site(port, identity)


def slow_down(bedrock_url: str, milliseconds: float) -> None:
    """Let the model think for so long before it speaks."""
    put(f"{bedrock_url}/_emulator/faults", [{"kind": "pace", "ms": milliseconds}])


def _publish(valkey: Valkey) -> None:
    asked = [row.key for rows in PRECOMPUTED.values() for row in rows]
    fallbacks = [AnswerKey("fallback", "", "ja"), AnswerKey("fallback", "", "en")]
    with redis.Redis.from_url(valkey.url) as client:
        for key in (*asked, *fallbacks):
            for name in key.redis_keys():
                client.set(name, answer(key).pack(), ex=36_000)


async def _visits(site: Site, questions: Sequence[Question], plan: Plan) -> list[Heard]:
    visits = [questions[at : at + plan.of_visit] for at in range(0, len(questions), plan.of_visit)]
    waiting = iter(enumerate(visits))
    heard: list[Heard] = []

    async def visitor() -> None:
        for number, asked in waiting:
            token = site.identity.tokens[number]
            heard.extend(await site.visit(f"visit-{number}", token, asked))

    await asyncio.gather(*(visitor() for _ in range(plan.visitors)))
    return heard


def summarise(
    chain: Sequence[Mapping[str, float]],
    heard: Sequence[Heard],
    questions: Sequence[Question],
    description: machine.Description,
    plan: Plan,
) -> Result:
    """The tables, the claims and the picture."""
    kinds = [question.kind for question in questions]
    whole = [one for one, kind in zip(chain, kinds, strict=True) if kind == "custom"]
    custom = [one for one in heard if one.kind == "custom"]
    made = [one for one in custom if one.source == "model"]
    theirs = {name: median([one.get(name, 0.0) for one in whole]) for name in BEFORE}
    our_own = own_segments(made)
    if plan.pictures is not None:
        _draw(theirs, our_own, plan.pictures)
    rest = [rest_of(one) for one in whole]
    others = [one.other_seconds for one in made]
    without = 1 - len([one for one in heard if one.source == "model"]) / len(heard)
    tables = [
        segments_table(theirs, our_own, rest, others),
        mix_table(chain, heard, made),
    ]
    claims = [
        Claim(
            "custom question: ms at p95 of everything but search and model",
            at(others, 0.95) * 1000, OTHER_MS, at_least=False,
        ),
        Claim(
            "whole mix: ms at p50", at([one.seen_seconds for one in heard], 0.5) * 1000, MIX_MS,
            at_least=False,
        ),
        Claim("share of the answers without a call of the model", without, WITHOUT_MODEL),
    ]  # fmt: skip
    notes = [
        f"{plan.visitors} visitors at a time, {plan.of_visit} questions each over a WebSocket",
        (
            "said: the figures of the flow to beat, before and after its authors improved it; those"
            " before are injected into the chain, those after into what ours waits for"
        ),
        "the edge is left out of every sum: no code of a request path can change it",
        (
            "Redis is as far away as said, on every trip; guardrails, cache and session are written"
            " by workers after the answer"
        ),
        (
            f"our model's segment has {our_own['model'] * 1000 - AFTER['model']:.1f} ms beyond what"
            " is injected: signature, request and stream"
        ),
    ]
    samples = [asdict(one) for one in made[:100]]
    return Result("waterfall", description, tables, claims, notes, samples)


def _draw(theirs: Mapping[str, float], our_own: Mapping[str, float], directory: Path) -> None:
    """The picture of both, as SVG and PNG."""
    document = {
        "before": {name: theirs[name] * 1000 for name in BEFORE if name not in AROUND},
        "ours": {name: our_own[name] * 1000 for name in (*OURS_FOR, "send")},
    }
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [python_with("waterfall", DRAWING), PICTURE, directory],
        input=json.dumps(document), text=True, check=True,
    )  # fmt: skip
