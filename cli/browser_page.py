"""Opens the chat page in the browser of whoever sits at the terminal."""

import os
import sys
import webbrowser


def is_wanted() -> bool:
    """Whether somebody is there to look: a terminal, and a screen of this machine."""
    has_screen = sys.platform in {"darwin", "win32"} or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return has_screen and sys.stdout.isatty() and "SSH_CONNECTION" not in os.environ


def show(url: str) -> None:
    """Open the page; where no browser can be started there is still the address to read."""
    webbrowser.open(url)
