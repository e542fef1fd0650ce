"""The path of a question, segment by segment: a chain of calls, and ours, on equally slow services.

The chain makes a connection for each call and writes everything before it answers. What both inject
is in `injected.py`; the mix of questions is the same for both.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import redis

from bench import machine, ours
from bench.custom_questions import PRECOMPUTED, Question, mix
from bench.environments import python_with
from bench.hit import WrongAnswerError
from bench.injected import AFTER, AROUND, BEFORE, WAITED_FOR
from bench.processes import HOST, Processes, answers_ok, free_port, listens, wait_for
from bench.recommending_backends import put
from bench.report import RESULTS, Claim, Result, Table, duration, median
from bench.stack import CREDENTIALS, Valkey, start_valkey
from bench.stored import answer
from bench.visitors import Heard, Site
from domain.answers import AnswerKey

OTHER_MS, MIX_MS, WITHOUT_MODEL = 5.0, 5.0, 0.57
PICTURE = Path(__file__).with_name("waterfall_picture.py")
DRAWING = ("matplotlib>=3.10,<4",)

OURS_FOR = {
    "routing": "auth", "classify": "classify", "cache check": "redis", "session": "context",
    "search": "search", "prompt": "prompt", "model": "model",
}  # fmt: skip
"""Which segment of ours does what one of the chain does; what is left over is ours of `send`."""
AFTERWARDS = ("guardrails", "cache write", "session update")


@dataclass(frozen=True, slots=True)
class Plan:
    """How many questions, by how many visitors at a time, each of whom asks so many."""

    questions: int
    visitors: int
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
            [*command, str(plan.visitors)],
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
    our_own = _own_segments(made)
    if plan.pictures is not None:
        _draw(theirs, our_own, plan.pictures)
    rest = [_rest(one) for one in whole]
    others = [one.other_seconds for one in made]
    without = 1 - len([one for one in heard if one.source == "model"]) / len(heard)
    tables = [
        _by_segment(theirs, our_own, rest, others),
        _of_mix(chain, heard, made),
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


def _own_segments(made: Sequence[Heard]) -> dict[str, float]:
    """Our median seconds under the names of the chain."""
    found = {
        name: median([one.segments.get(own, 0.0) for one in made]) for name, own in OURS_FOR.items()
    }
    left = [one.segments["total"] - sum(one.segments.get(s, 0.0) for s in OURS_FOR.values())
            for one in made]  # fmt: skip
    return {**found, "send": median(left)}


def _rest(segments: Mapping[str, float]) -> float:
    return sum(v for name, v in segments.items() if name not in (*AROUND, *WAITED_FOR))


def _by_segment(
    theirs: Mapping[str, float],
    our_own: Mapping[str, float],
    rest: Sequence[float],
    others: Sequence[float],
) -> Table:
    rows = [
        [
            name,
            f"{BEFORE[name]:g} ms",
            duration(theirs[name]),
            f"{AFTER[name]:g} ms",
            "afterwards" if name in AFTERWARDS else duration(our_own.get(name, 0.0)),
        ]
        for name in BEFORE
        if name not in AROUND
    ]
    inner = [name for name in BEFORE if name not in AROUND]
    outer = [name for name in inner if name not in WAITED_FOR]
    rows += [
        [
            "all of it, p50",
            f"{sum(BEFORE[name] for name in inner):g} ms",
            duration(sum(theirs.values()) - sum(theirs[name] for name in AROUND)),
            f"{sum(AFTER[name] for name in inner):g} ms",
            duration(sum(our_own.values())),
        ],
        [
            "all but search and model, p50",
            f"{sum(BEFORE[name] for name in outer):g} ms",
            duration(at(rest, 0.5)),
            f"{sum(AFTER[name] for name in outer):g} ms",
            duration(at(others, 0.5)),
        ],
        [
            "all but search and model, p95",
            "",
            duration(at(rest, 0.95)),
            "",
            duration(at(others, 0.95)),
        ],
    ]
    columns = ("segment, p50", "said, before", "chain", "said, after", "ours")
    return Table("A custom question that nobody asked before", columns, rows)


def _of_mix(
    chain: Sequence[Mapping[str, float]], heard: Sequence[Heard], made: Sequence[Heard]
) -> Table:
    totals = [sum(one.values()) - sum(one[name] for name in AROUND) for one in chain]
    asked = sum("model" in one for one in chain) / len(chain)
    firsts = [one.first_seconds for one in made]
    sources = sorted({one.source for one in heard})
    shares = ", ".join(
        f"{source} {100 * sum(one.source == source for one in heard) / len(heard):.0f}%"
        for source in sources
    )

    def row(name: str, seconds: Sequence[float], more: Iterable[str]) -> list[str]:
        return [name, duration(at(seconds, 0.5)), duration(at(seconds, 0.95)), *more]

    whole = [
        sum(one.values()) - sum(one[name] for name in AROUND) for one in chain if "model" in one
    ]
    rows = [
        row(
            "chain", totals,
            [duration(at(whole, 0.5)), duration(at(whole, 0.95)),
             f"model {100 * asked:.0f}%, cache {100 * (1 - asked):.0f}%"],
        ),
        row(
            "ours", [one.seen_seconds for one in heard],
            [duration(at(firsts, 0.5)), duration(at(firsts, 0.95)), shares],
        ),
    ]  # fmt: skip
    columns = ("", "p50", "p95", "first token of a custom one, p50", "p95", "served from")
    return Table("The whole mix, as the client sees it", columns, rows)


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


def at(values: Iterable[float], share: float) -> float:
    """The value below which this share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
