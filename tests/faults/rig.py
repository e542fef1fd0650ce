"""The product's real processes on Valkey, moto and the SQS emulator, each behind a proxy.

The processes are those of `mangaassist up`, planned by the same code; the proxies stand between
them and what they depend on. The main thread watches over them: what dies is noted and started
again, as an orchestrator would.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import redis

from cli import tokens
from cli.children import Child, Spec
from cli.data_dir import DataDir
from cli.ports import HOST, reserve_any
from config.failpoints import Failpoint
from tests.faults import planning
from tests.faults.nemesis import Nemesis
from tests.faults.waiting import answers_ok, listens, until

START_SECONDS = 180.0
END_SECONDS = 90.0
TICK_SECONDS = 0.05
RESTART_SECONDS = 0.2
REPLICA = "replica"
REDIS_PROXIES = ("redis", "replication")
"""Replicas follow through a proxy of their own."""
BESIDE = ("search", "keys")
"""What only some cells start, each behind a proxy of its name."""


@dataclass(frozen=True, slots=True)
class Death:
    """A process that ended although nobody had asked it to."""

    name: str
    code: int


class Rig:
    """One stack. Every method is for the main thread, whose death its processes share."""

    def __init__(self, directory: Path) -> None:
        self.directory = DataDir(directory)
        self.directory.make()
        tokens.make_keys(self.directory)
        self.stack = planning.stack(self.directory)
        ports = self.stack.ports
        assert ports.redis is not None
        self.redis_port = ports.redis.number
        self.sqs_url = ports.sqs.url
        self.http_port = ports.http.number
        self._spare = reserve_any()
        self._children: dict[str, Child] = {}
        self._stopped: set[str] = set()
        self.deaths: list[Death] = []
        targets = dict.fromkeys(planning.SERVICES, ports.moto.number)
        targets |= dict.fromkeys(planning.OF_OUR_EMULATORS, ports.sqs.number)
        targets |= dict.fromkeys(REDIS_PROXIES, self.redis_port)
        self.beside = {name: reserve_any() for name in BESIDE}
        targets |= {name: port.number for name, port in self.beside.items()}
        self.nemesis = Nemesis(targets)
        try:
            self._bring_up()
        except BaseException:
            self.close()
            raise

    @property
    def names(self) -> list[str]:
        """The processes that are the product's."""
        return [spec.name for spec in self.stack.processes]

    @property
    def environment(self) -> Mapping[str, str]:
        """What leads past the proxies, for whoever looks at the stores."""
        return self.stack.environment

    def client(self) -> "redis.Redis":
        """A client of the Redis that the proxy leads to now."""
        return redis.Redis(port=self.redis_port)

    def pid(self, name: str) -> int:
        """The process of this name."""
        pid = self._children[name].pid
        assert pid is not None
        return pid

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal; SIGSTOP lasts until `heal`."""
        self._children[name].signal(number)
        if number is signal.SIGSTOP:
            self._stopped.add(name)

    def kill(self, name: str) -> None:
        """Kill a process as if its machine had gone; it is started again by `tend`."""
        self._children[name].kill_group()

    def replace(
        self,
        name: str,
        failpoint: Failpoint | None = None,
        *,
        number: int = 1,
        without: str = "",
        clock_seconds: int = 0,
        backoff_seconds: int = 0,
    ) -> None:
        """End a process and start it again, to die at a failpoint, without a protection, with a
        clock that is wrong by so much, or to put off what fails no longer than that."""
        spec = next(spec for spec in self.stack.processes if spec.name == name)
        environment = {**spec.environment}
        if failpoint is not None:
            environment["MANGAASSIST_FAILPOINT"] = f"{failpoint}:{number}"
        if without:
            environment["FAULTS_WITHOUT"] = without
        if clock_seconds:
            environment["FAULTS_CLOCK_SECONDS"] = str(clock_seconds)
        if backoff_seconds:
            environment["FAULTS_BACKOFF_SECONDS"] = str(backoff_seconds)
        self._end(name)
        self.start(replace(spec, environment=environment))

    def add_twin(self, name: str) -> None:
        """Start a process a second time, beside the first."""
        spec = next(spec for spec in self.stack.processes if spec.name == name)
        port = str(self._spare.number)
        environment = {**spec.environment, "MANGAASSIST_METRICS_PORT": port}
        self.start(replace(spec, name=f"{name}-twin", environment=environment))

    def remove(self, name: str, *, at_once: bool = False) -> None:
        """End a process for good, by a kill where it must not have time for a farewell."""
        if at_once:
            self._children[name].kill_group()
        else:
            self._end(name)
        del self._children[name]

    def kill_fork(self, name: str) -> None:
        """Kill the processes that a worker has forked."""
        pid = self.pid(name)
        for fork in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(fork), signal.SIGKILL)

    def start_replica(self) -> None:
        """Start a replica of Redis, and wait until it holds all."""
        spec = next(spec for spec in self.stack.foundations if spec.name == "redis")
        port = self._spare.number
        directory = self.directory.path / "replica"
        directory.mkdir()
        command = [*spec.command, "--port", str(port), "--dir", str(directory)]
        command += ["--replicaof", f"{HOST} {self.nemesis.ports['replication']}"]
        self.start(replace(spec, name=REPLICA, command=command, port=port))
        with redis.Redis(port=port) as client:
            self.until(lambda: _is_in_step(client), START_SECONDS, "the replica does not follow")

    def start(self, spec: Spec) -> None:
        """Start a process beside those of the stack; it ends with them."""
        self._children[spec.name] = self._started(spec)

    def finish(self, spec: Spec) -> None:
        """Run a process to its end, which must be a good one."""
        self._until_done(self._started(spec))

    def serve_with(self, settings: Mapping[str, str]) -> None:
        """Have the request path led elsewhere from now on."""
        self.stack = planning.serving_with(self.stack, settings)
        self.replace("serving")
        self.until(self.ready, START_SECONDS, "the request path does not start")

    def promote_replica(self) -> None:
        """Make the replica the primary, and have everybody led to it."""
        self.redis_port = self._spare.number
        with self.client() as client:
            client.replicaof("NO", "ONE")
        self.nemesis.lead("redis", self.redis_port)

    def swap_with_replica(self) -> None:
        """Have primary and replica change places; nobody's connection is cut."""
        with self.client() as primary:
            primary.execute_command("FAILOVER")
            self.until(
                lambda: primary.info("replication")["role"] == "slave",
                START_SECONDS,
                "the primary does not give way",
            )
        self.redis_port = self._spare.number
        self.nemesis.lead("redis", self.redis_port, cut=False)

    def tend(self) -> None:
        """Note what has died, and start it again as it was planned."""
        for name, child in list(self._children.items()):
            code = child.ended()
            if code is None:
                continue
            self.deaths.append(Death(name, code))
            child.kill_group()
            planned = {spec.name: spec for spec in (*self.stack.foundations, *self.stack.processes)}
            self._stopped.discard(name)
            if child.lived_seconds < RESTART_SECONDS:
                time.sleep(RESTART_SECONDS)
            self.start(planned.get(name, child.spec))

    def until(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait while watching over the processes."""

        def tended() -> bool:
            self.tend()
            return done()

        until(tended, seconds, lambda: f"{what}; {self.last_words()}", TICK_SECONDS)

    def until_later(self, seconds: float) -> None:
        """Let time pass while watching over the processes."""
        later = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= later, seconds + START_SECONDS, "time stands still")

    def log(self, name: str) -> str:
        """Everything that a process has said."""
        return self._children[name].log.read_text(errors="replace")

    def ready(self) -> bool:
        """Whether every process of ours does what it is there for."""
        return all(
            answers_ok(child.spec.port, child.spec.path or "/")
            for name, child in self._children.items()
            if name in self.names
        ) and answers_ok(self.http_port, "/readyz")

    def heal(self) -> None:
        """End every fault that lasts."""
        self.nemesis.heal()
        for name in self._stopped:
            self._children[name].signal(signal.SIGCONT)
        self._stopped.clear()

    def last_words(self) -> str:
        """The last line of each process's log, for whoever reads a failure."""
        return "; ".join(f"{name}: {child.last_words()}" for name, child in self._children.items())

    def close(self) -> None:
        """End everything."""
        for child in reversed(self._children.values()):
            child.kill_group()
        self._children.clear()
        self.nemesis.close()
        self.stack.ports.release()
        self._spare.release()
        for port in self.beside.values():
            port.release()

    def _bring_up(self) -> None:
        for spec in self.stack.foundations:
            self.start(spec)
        for port in [spec.port for spec in self.stack.foundations]:
            self.until(partial(listens, port), START_SECONDS, "what it rests on does not start")
        self.finish(planning.provisioning(self.stack))
        priming = self._started(planning.priming(self.stack))
        self.stack = planning.proxied(self.stack, self.nemesis.ports)
        for spec in self.stack.processes:
            self.start(spec)
        self._until_done(priming)
        self.until(self.ready, START_SECONDS, "the stack does not start")

    def _until_done(self, step: Child) -> None:
        self.until(lambda: step.ended() is not None, START_SECONDS, f"{step.spec.name} goes on")
        assert step.ended() == 0, step.last_words()

    def _started(self, spec: Spec) -> Child:
        child = Child(spec, self.directory.log(spec.name), self.directory.path)
        child.start()
        return child

    def _end(self, name: str) -> None:
        child = self._children[name]
        child.signal(signal.SIGTERM)
        until(
            lambda: child.ended() is not None,
            END_SECONDS,
            lambda: f"{name} does not end",
            TICK_SECONDS,
        )
        child.kill_group()


def _is_in_step(replica: "redis.Redis") -> bool:
    try:
        return bool(replica.info("replication")["master_link_status"] == "up")
    except redis.ConnectionError:
        return False


@contextmanager
def running(directory: Path) -> Iterator[Rig]:
    """A rig for a time."""
    rig = Rig(directory)
    try:
        yield rig
    finally:
        rig.close()
