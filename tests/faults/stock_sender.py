"""A customer of the stock way: `python -m tests.faults.stock_sender COUNT SECONDS WORD`.

Sends a task for each event, evenly over so many seconds, each again until that is confirmed, as a
client of an HTTP handler with `.delay()` in it would; prints the word and the number of each that
was.
"""

import sys
import time

from bench.baselines.stock_events import keep_in_memory
from bench.baselines.stock_sender import message
from tests.faults.stock_app import APP

TRIES = 40
RETRY_SECONDS = 0.5


def main() -> None:
    """Send them all."""
    count, seconds, word = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    assert keep_in_memory.app is APP, "it is to be set up before it sends"
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + seconds * number / count - time.monotonic()))
        if _sent(number):
            sys.stdout.write(f"{word} {number}\n")
            sys.stdout.flush()


def _sent(number: int) -> bool:
    for _ in range(TRIES):
        try:
            keep_in_memory.apply_async((message(number),))
        except Exception as error:  # whatever it is, the customer is told to try again
            sys.stderr.write(f"{number}: {error!r}\n")
            time.sleep(RETRY_SECONDS)
        else:
            return True
    return False


if __name__ == "__main__":
    main()
