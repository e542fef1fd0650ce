"""What `doctor` asks the processes themselves: their health, over HTTP."""

from collections.abc import Iterator, Mapping

from cli import web_calls
from cli.failures import Failure
from cli.findings import Finding, Look, fail, ok, warn
from cli.target import Target
from config import queues

OK = 200
ELSEWHERE = "its log"


def looks(target: Target) -> Iterator[tuple[str, Look, str]]:
    """A look at each process, by name, and where its log is."""
    yield "serving", lambda: _serving(target.http), _log(target, "serving")
    if target.stack is not None:
        for name, url in target.stack.endpoints.metrics.items():
            if name != "serving":
                health = url.removesuffix("/metrics") + "/healthz"
                yield name, _health(name, health), _log(target, name)
        return
    for name, url in _declared(target).items():
        yield name, _maybe_elsewhere(name, url), ELSEWHERE


def _serving(url: str) -> Iterator[Finding]:
    reply = web_calls.get(f"{url}/readyz")
    checks = reply.body.get("checks")
    missing, cold = _open(checks), _open(checks.get("soft") if isinstance(checks, dict) else None)
    if reply.status == OK and cold:
        yield warn("serving", f"ready, degraded: {', '.join(cold)}", "see why it does not answer")
        return
    if reply.status == OK:
        yield ok("serving", f"ready at {url}")
        return
    yield fail(
        "serving", f"not ready: {', '.join(missing) or reply.status}", "see what it waits for"
    )


def _open(checks: object) -> list[str]:
    """The checks that do not hold."""
    if not isinstance(checks, dict):
        return []
    return [name for name, done in checks.items() if done is False]


def _health(name: str, url: str) -> Look:
    def look() -> Iterator[Finding]:
        status = web_calls.get(url).status
        if status == OK:
            yield ok(name, "healthy")
        else:
            yield fail(name, f"{url} answers {status}", "restart it and look into its log")

    return look


def _maybe_elsewhere(name: str, url: str) -> Look:
    """In a deployment a process need not run where the operator is."""

    def look() -> Iterator[Finding]:
        try:
            yield from _health(name, url)()
        except Failure as error:
            yield warn(name, str(error), "no fault if it runs on another machine")

    return look


def _declared(target: Target) -> Mapping[str, str]:
    host = target.settings.metrics_host
    return {
        f"worker-{name}": f"http://{host}:{group.metrics_port}/healthz"
        for name, group in queues.declared().groups.items()
    }


def _log(target: Target, name: str) -> str:
    return str(target.stack.directory.log(name)) if target.stack is not None else ELSEWHERE
