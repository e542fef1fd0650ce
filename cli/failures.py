"""What ends a command with one line on stderr and an exit code, instead of a traceback."""

USAGE = 2
"""What was asked for cannot be done as things are."""
FAILED = 1
"""Something was tried, or looked at, and is not as it should be."""


class Failure(Exception):  # noqa: N818 - not every failure is an error of ours
    """The line to print and the code to exit with."""

    def __init__(self, line: str, code: int = USAGE) -> None:
        self.code = code
        super().__init__(" ".join(line.split()))
