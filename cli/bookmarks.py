"""Where a long command has got to, in a file, so that the next call goes on from there."""

from pathlib import Path

from cli.failures import Failure


class FileBookmarks:
    """Implements `domain.ports.Bookmarks` for one operator's commands."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, name: str) -> str | None:
        """Where it has got to; None where it has not begun."""
        try:
            return self._path(name).read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise Failure(f"{self._path(name)} cannot be read: {error}") from error

    def put(self, name: str, place: str) -> None:
        """Remember the place, in one step."""
        path = self._path(name)
        fresh = path.with_suffix(".new")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.write_text(place, "utf-8")
            fresh.replace(path)
        except OSError as error:
            raise Failure(f"{path} cannot be written: {error.strerror}") from error

    def remove(self, name: str) -> None:
        """Forget it: the work is done."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.bookmark"
