"""Reads the declared tables: TOML files into frozen, checked rows, with one-line errors.

Knows no table in particular; each has its rows in a module of its own name.
"""

import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from config.errors import ConfigError

Table = TypeVar("Table")

_DIRECTORY = Path(__file__).parent


def read(name: str, shape: type[Table], directory: Path = _DIRECTORY) -> Table:
    """The table `name`.toml as `shape`, a frozen struct that forbids unknown fields.

    Raises ConfigError with the file, the path to the value and the reason.
    """
    path = directory / f"{name}.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path.name}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name}: not TOML: {error}") from error
    try:
        return msgspec.convert(document, shape)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path.name}: {error}") from error


def require(holds: bool, where: str, why: str) -> None:
    """Refuse a row whose values do not go together."""
    if not holds:
        raise ConfigError(f"{where}: {why}")
