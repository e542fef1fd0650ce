"""What the headers of a Celery message may be: values that neither stop a worker nor hang it."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime

MAX_TEXT = 1024
MAX_TIME_LIMIT_SECONDS = 43_200  # SQS keeps no message in flight for longer

_TASK = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,199}")
_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,128}")


def is_acceptable(name: str, value: object) -> bool:
    """Whether Celery can be given this header."""
    return _CHECKS.get(name, _is_plain)(value)


def is_plain_text(value: object) -> bool:
    """Whether it is a short text that can be printed."""
    return isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable()


def _is_plain(value: object) -> bool:
    return (
        value is None
        or isinstance(value, bool)
        or (isinstance(value, int) and abs(value) < 2**63)
        or (isinstance(value, float) and math.isfinite(value))
        or is_plain_text(value)
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _is_task(value: object) -> bool:
    return isinstance(value, str) and _TASK.fullmatch(value) is not None


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _is_optional_id(value: object) -> bool:
    return value is None or _is_id(value)


def _is_time_limit(value: object) -> bool:
    # Two bad limits leak two pool slots in Celery, which hangs a worker of two.
    if value is None:
        return True
    return isinstance(value, list) and len(value) == 2 and all(_is_seconds(v) for v in value)  # noqa: PLR2004


def _is_seconds(value: object) -> bool:
    return value is None or (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 < value <= MAX_TIME_LIMIT_SECONDS
    )


def _is_expiry(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, str):
        return False
    try:
        # Without a zone Celery would read it in the worker's own.
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


_CHECKS: Mapping[str, Callable[[object], bool]] = {
    "task": _is_task,
    "id": _is_id,
    "root_id": _is_optional_id,
    "parent_id": _is_optional_id,
    "retries": _is_count,
    "replaced_task_nesting": _is_count,
    "timelimit": _is_time_limit,
    "expires": _is_expiry,
}
