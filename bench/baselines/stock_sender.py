"""Sends events as stock tasks: `python -m bench.baselines.stock_sender TASK COUNT`."""

import sys
import time

from bench.baselines.stock_events import EventMessage, app
from bench.numbered import event_id


def message(number: int) -> EventMessage:
    """One view of a title."""
    return {
        "event_id": event_id(number),
        "number": number,
        "type": "interaction.recorded",
        "occurred_at": time.time(),
        "attributes": {
            "interaction": "view",
            "item_id": f"title-{number % 300}",
            "user": f"user-{number % 1000}",
            "value": None,
        },
    }


def main() -> None:
    """Send them all."""
    name, count = sys.argv[1:]
    task = app.tasks[f"bench.baselines.stock_events.{name}"]
    for number in range(int(count)):
        task.apply_async((message(number),))


if __name__ == "__main__":
    main()
