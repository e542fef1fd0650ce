"""A recommendation request: ours, beside the chain of three calls that it replaces.

DynamoDB, the feature store and the endpoint take what such services are said to take. Every user is
asked about once, so that nothing is answered from a memory of the process.
"""

import http.client
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import redis

from bench import machine, recommended
from bench.ours import Signer
from bench.processes import HOST, Processes, answers_ok, free_port, wait_for
from bench.recommending_app import SampleCatalogue
from bench.recommending_backends import Backends
from bench.report import Claim, Result, Table, duration
from bench.stack import start_valkey
from bench.stored import answer
from config import budgets, texts
from domain.answers import AnswerKey
from domain.personal_answers import Lifetime, recommendation_key, store

USUAL = {"table": (1, 5), "features": (50, 250), "model": (50, 500)}
"""What the services take, in ms, from the measurements that this project began with."""
VARIANTS = {
    "sequence": "chain: new clients, one call after the other",
    "parallel": "chain: new clients, both reads at once",
    "kept": "chain: clients made once, both reads at once",
}
SORTS = {
    "hot": "ours: recommendation in Redis",
    "warm": "ours: features in DynamoDB",
    "cold": "ours: features in the feature store alone",
}
SLOW_TIMES, OVERRUN, HOT_TIMES = 10, 1.1, 50.0
BUDGET = budgets.declared().routes["recommendations"]


class NotRecommendedError(RuntimeError):
    """A request was not answered with a recommendation."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many users of each sort."""

    users: int
    slow_users: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: of which sort, how long it took, where the answer came from."""

    sort: str
    seconds: float
    source: str = "chain"


def run(plan: Plan) -> Result:
    """Measure everything once."""
    description = machine.describe()
    cores = machine.cores()
    samples: list[Sample] = []
    with Processes() as processes:
        backends = Backends(processes, cores.others)
        backends.know(_users("cold", plan.users + plan.slow_users))
        backends.know(_users("warm", plan.users))
        backends.slow_down(**USUAL)
        for variant in VARIANTS:
            samples += _chain(variant, plan.users, backends)
        ours = Ours(processes, backends, cores)
        ours.prepare(_users("hot", plan.users))
        before = backends.feature_store_reads()
        samples += ours.ask("hot", plan.users)
        samples += ours.ask("warm", plan.users)
        warm_reads = backends.feature_store_reads() - before
        samples += ours.ask("cold", plan.users)
        samples += ours.ask_slowly(plan.users, plan.slow_users)
    return summarise(samples, warm_reads, description)


def summarise(
    samples: Sequence[Sample], warm_reads: int, description: machine.Description
) -> Result:
    """The tables and claims of these samples."""
    named = {**VARIANTS, **SORTS, **{sort: sort for sort in _slow_sorts(samples)}}
    rows = [
        _row(name, [one for one in samples if one.sort == sort]) for sort, name in named.items()
    ]
    columns = ("", "p50", "p95", "longest", "where the answers came from")
    tables = [Table("A recommendation request", columns, rows)]
    chain, hot = (_percentile(samples, sort, 0.95) for sort in ("sequence", "hot"))
    longest = max(one.seconds for one in samples if one.sort not in VARIANTS)
    claims = [
        Claim("p95 of the chain in sequence : p95 of a hot user", chain / hot, HOT_TIMES),
        Claim("feature store reads for hot and warm users", warm_reads, 0, at_least=False),
        Claim(
            f"longest request of ours : its {BUDGET.total_ms} ms, whatever is slow",
            longest * 1000 / BUDGET.total_ms,
            OVERRUN,
            at_least=False,
        ),
    ]
    notes = [
        "each user is asked about once, by one client, over one connection that stays open",
        "DynamoDB's reads are a stand-in's, since moto's take longer than a real table's",
        f"slow: the service takes {SLOW_TIMES} times its budget; of Redis, every command waits",
    ]
    found = recommended.quality()
    if found is not None:
        tables.append(found[0])
        claims.append(found[1])
    return Result(
        "recommendations", description, tables, claims, notes, [asdict(one) for one in samples]
    )


class Ours:
    """The request path."""

    def __init__(self, processes: Processes, backends: Backends, cores: machine.Cores) -> None:
        self._backends = backends
        self._redis = redis.Redis.from_url(start_valkey(processes, cores.others).url)
        self._signer = Signer(processes.directory)
        self._port = free_port()
        for kind in ("trending", "recommendation", "fallback"):
            for key in (AnswerKey(kind, "", "ja"), AnswerKey(kind, "", "en")):
                self._redis.set(key.redis_key(), answer(key).pack(), ex=36_000)
        port = self._redis.connection_pool.connection_kwargs["port"]
        environment = {
            **backends.environment,
            **self._signer.environment,
            "MANGAASSIST_REDIS_URL": f"redis://{HOST}:{port}/0",
            "MANGAASSIST_PORT": str(self._port),
        }
        command = [
            sys.executable,
            "-m",
            "bench.recommending_app",
            str(processes.directory / "spool"),
        ]
        child = processes.start("serving", command, cores.server, environment)
        wait_for(child, lambda: answers_ok(f"http://{HOST}:{self._port}/readyz"))

    def prepare(self, users: Iterable[str]) -> None:
        """Put a recommendation of the common size where the request path finds it."""
        catalogue = SampleCatalogue().load()
        rows = [(title, 1.0) for title in catalogue.by_popularity[:10]]
        lifetime = Lifetime(3600, 36_000)
        for user in users:
            stored = store(
                user,
                rows,
                texts.declared(),
                time.time(),
                lifetime,
                catalogue_version=catalogue.version,
            )
            self._redis.set(recommendation_key(user), stored.pack(), ex=3600)

    def ask(self, sort: str, count: int, skip: int = 0, label: str = "") -> Iterator[Sample]:
        """Ask about so many users, one after the other."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=10)
        for user in list(_users(sort, skip + count))[skip:]:
            headers = {"Authorization": f"Bearer {self._signer.token(user)}"}
            started = time.perf_counter()
            connection.request("GET", "/v1/recommendations", headers=headers)
            reply = connection.getresponse()
            body = reply.read()
            seconds = time.perf_counter() - started
            if reply.status != 200 or b'"kind":"recommendation"' not in body:
                raise NotRecommendedError(f"{reply.status} for a {sort} user: {body[:200]!r}")
            yield Sample(label or sort, seconds, reply.headers["X-Answer-Source"])
        connection.close()

    def ask_slowly(self, skip: int, count: int) -> Iterator[Sample]:
        """Ask about cold users while one service after the other is much too slow."""
        fast = dict.fromkeys(USUAL, (0, 1))
        part = count // 4
        for number, (service, segment) in enumerate(
            {"table": "dynamodb", "features": "feature_store", "model": "model"}.items()
        ):
            slow = SLOW_TIMES * BUDGET.segments[segment]
            self._backends.slow_down(**{**fast, service: (slow, slow)})
            yield from self.ask("cold", part, skip + number * part, f"slow {segment}")
        self._backends.slow_down(**fast)
        for number in range(part):
            self._redis.client_pause(SLOW_TIMES * BUDGET.segments["redis"], all=True)
            yield from self.ask("cold", 1, skip + 3 * part + number, "slow redis")


def _chain(variant: str, count: int, backends: Backends) -> Iterator[Sample]:
    users = "".join(f"{user}\n" for user in _users("warm", count))
    done = subprocess.run(
        [sys.executable, "-m", "bench.baselines.feature_chain", variant],
        input=users,
        env=backends.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotRecommendedError(f"the chain failed: {done.stderr[-500:]}")
    for line in done.stdout.splitlines():
        yield Sample(variant, float(line))


def _users(sort: str, count: int) -> Iterator[str]:
    return (f"{sort}-{number}" for number in range(count))


def _slow_sorts(samples: Sequence[Sample]) -> Sequence[str]:
    return list(dict.fromkeys(one.sort for one in samples if one.sort.startswith("slow ")))


def _row(name: str, samples: Sequence[Sample]) -> list[str]:
    seconds = sorted(one.seconds for one in samples)
    sources = Counter(one.source for one in samples).most_common()
    shares = ", ".join(f"{source} {100 * count / len(samples):.0f}%" for source, count in sources)
    return [
        name,
        duration(_at(seconds, 0.5)),
        duration(_at(seconds, 0.95)),
        duration(seconds[-1]),
        shares,
    ]


def _percentile(samples: Sequence[Sample], sort: str, share: float) -> float:
    return _at(sorted(one.seconds for one in samples if one.sort == sort), share)


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
