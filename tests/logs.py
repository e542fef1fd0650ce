"""What a test had logged: threads that earlier ones left to end by themselves speak too."""

import logging
import threading

import pytest


def here(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """The records of this thread alone, in their order."""
    return [record for record in caplog.records if record.thread == threading.get_ident()]
