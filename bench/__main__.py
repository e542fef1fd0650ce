"""`python -m bench [NAME…]`: measures, prints the tables and keeps them in bench/results/."""

import argparse
import signal
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

from bench import (
    events,
    hit,
    machine,
    outage,
    paraphrases,
    questions,
    recommendations,
    replay,
    report,
    sockets,
    stampede,
    sync,
    waterfall,
)
from bench.drain import LostEventsError
from bench.generator import BrokenLoadError
from bench.hit import WrongAnswerError
from bench.outage import NotDrainedError
from bench.paced import NotAppliedError
from bench.processes import DidNotStartError
from bench.recommendations import NotRecommendedError

PATIENCE_SECONDS = 20.0

FAULTS = (
    BrokenLoadError,
    DidNotStartError,
    LostEventsError,
    NotAppliedError,
    NotDrainedError,
    NotRecommendedError,
    WrongAnswerError,
)
"""What makes a benchmark end without a result."""


def _hit(arguments: argparse.Namespace) -> report.Result:
    if arguments.quick:
        return hit.run(hit.Plan(arguments.rounds or 1, seconds=1.5))
    return hit.run(hit.Plan(arguments.rounds or 5, seconds=3.0))


def _events(arguments: argparse.Namespace) -> report.Result:
    return events.run(events.plan(arguments.rounds, quick=arguments.quick))


def _classify(arguments: argparse.Namespace) -> report.Result:
    return questions.run(arguments.rounds or (1 if arguments.quick else 3))


def _outage(arguments: argparse.Namespace) -> report.Result:
    if arguments.quick:
        return outage.run(outage.Plan(healthy_seconds=10.0, outage_seconds=20.0))
    return outage.run(outage.Plan())


def _sync(arguments: argparse.Namespace) -> report.Result:
    return sync.run(sync.plan(arguments.rounds, quick=arguments.quick))


def _paraphrases(arguments: argparse.Namespace) -> report.Result:
    return paraphrases.run(300 if arguments.quick else 2000)


def _stampede(arguments: argparse.Namespace) -> report.Result:
    return stampede.run(arguments.rounds or (1 if arguments.quick else 5))


def _recommendations(arguments: argparse.Namespace) -> report.Result:
    users = 20 if arguments.quick else 100 * (arguments.rounds or 2)
    return recommendations.run(recommendations.Plan(users, 40))


def _ws(arguments: argparse.Namespace) -> report.Result:
    if arguments.quick:
        return sockets.run(sockets.Plan(clients=200, questions=3, visitors=20))
    return sockets.run(sockets.Plan(clients=1000, questions=10, visitors=100))


def _waterfall(arguments: argparse.Namespace) -> report.Result:
    pictures = None if arguments.keep_nothing else report.RESULTS
    questions = 100 if arguments.quick else 1000 * (arguments.rounds or 1)
    return waterfall.run(waterfall.Plan(questions, visitors=2, pictures=pictures))


def _replay(arguments: argparse.Namespace) -> report.Result:
    return replay.run(replay.Plan(5.0 if arguments.quick else 60.0 * (arguments.rounds or 1)))


BENCHMARKS: Mapping[str, Callable[[argparse.Namespace], report.Result]] = {
    "classify": _classify,
    "hit": _hit,
    "events": _events,
    "outage": _outage,
    "sync": _sync,
    "paraphrases": _paraphrases,
    "stampede": _stampede,
    "recommendations": _recommendations,
    "ws": _ws,
    "waterfall": _waterfall,
    "replay": _replay,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument("--rounds", type=_positive, help="how often each is measured")
    parser.add_argument("--keep-nothing", action="store_true", help="write no result files")
    return parser


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def main() -> int:
    """Run the named benchmarks, or all; 1 where a target was missed or something was wrong."""
    arguments = _parser().parse_args()
    unknown = [name for name in arguments.names if name not in BENCHMARKS]
    if unknown:
        print(f"bench: there is no {unknown[0]!r}; known: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, _leave)
    _warn_if_busy()
    missed = False
    for name in arguments.names or BENCHMARKS:
        try:
            result = BENCHMARKS[name](arguments)
        except FAULTS as error:
            print(f"bench: {name}: {error}", file=sys.stderr)
            return 1
        print(f"\n{report.text(result)}\n", flush=True)
        missed = missed or not result.kept
        if not arguments.keep_nothing:
            print(f"kept in {report.write(result)}\n", flush=True)
    return int(missed)


def _leave(number: int, _frame: object) -> NoReturn:
    """By an exception, which ends what was started; also where SIGINT is ignored, as behind `&`."""
    raise SystemExit(128 + number)


def _warn_if_busy() -> None:
    share = machine.wait_until_quiet(PATIENCE_SECONDS)
    if share > machine.QUIET_SHARE:
        print(
            f"warning: other processes keep {share:.2f} cores busy: what is measured beside them "
            "is worth little",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(main())
