"""Ports for the servers of tests: nobody else is given one until this process ends."""

from cli.ports import ReservedPort, reserve_any

_reserved: list[ReservedPort] = []


def free_port() -> int:
    """A port for a server that is started later, as often as it may be."""
    _reserved.append(reserve_any())
    return _reserved[-1].number
