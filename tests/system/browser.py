"""A page in a headless Chromium, driven over the DevTools protocol."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.system.running import eventually

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SECONDS = 120.0
"""What only a failing test waits, however busy the machine is."""
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)  # fmt: skip
PATIENT = """(() => {
  const fetched = window.fetch;
  window.fetch = async (path, { signal, ...options } = {}) => {
    for (;;) {
      const response = await fetched(path, options);
      const isLate = response.headers.get("x-answer-source") === "fallback";
      if (!isLate || !path.startsWith("v1/sessions/")) return response;
    }
  };
})()"""
"""On a busy machine the page would give up, and a server that is late tell of no turns."""
ENTER = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}


class Page:
    """One tab."""

    def __init__(self, line: ClientConnection, language: str) -> None:
        self._line = line
        self._numbers = count(1)
        self._session = ""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self._call("Page.enable")
        self._call("Page.addScriptToEvaluateOnNewDocument", source=PATIENT)
        self._call("Emulation.setUserAgentOverride", userAgent="test", acceptLanguage=language)

    def open(self, address: str) -> None:
        """Load this address; returns when its scripts have begun."""
        self.run("window.isOld = true")
        self._call("Page.navigate", url=address)
        self._until_new()

    def reload(self) -> None:
        """Load the page again; returns when its scripts have begun."""
        self.run("window.isOld = true")
        self._call("Page.reload")
        self._until_new()

    def resize(self, width: int, height: int) -> None:
        """Give the page a screen of this size."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def run(self, script: str) -> Any:
        """The value of an expression; None while there is no page that could tell."""
        told = self._call("Runtime.evaluate", expression=script, returnByValue=True)
        return told.get("result", {}).get("value")

    def texts(self, selector: str) -> list[str]:
        """What every element that matches says."""
        texts = f"[...document.querySelectorAll({selector!r})].map((e) => e.innerText)"
        found: list[str] = self.run(texts) or []
        return found

    def click(self, selector: str) -> None:
        """Click on the first element that matches, once it is there."""
        self._until_there(selector)
        self.run(f"document.querySelector({selector!r}).click()")

    def enter(self, selector: str, text: str) -> None:
        """Type a text into a field and press Enter."""
        self._until_there(selector)
        self.run(f"document.querySelector({selector!r}).focus()")
        self._call("Input.insertText", text=text)
        for event in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=event, **ENTER)

    def _until_new(self) -> None:
        eventually(lambda: self.run("!window.isOld && document.readyState"), _is_complete)

    def _until_there(self, selector: str) -> None:
        eventually(lambda: self.run(f"document.querySelector({selector!r}) !== null"), bool)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._line.send(json.dumps(message))
        while True:
            told = json.loads(self._line.recv(SECONDS))
            if told.get("id") == number:
                return told.get("result") or {}


def _is_complete(state: object) -> bool:
    return state == "complete"


@contextlib.contextmanager
def page(profile: Path, language: str) -> Iterator[Page]:
    """A tab of a browser of its own, which ends with it."""
    assert CHROMIUM is not None
    with subprocess.Popen(
        [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as browser:
        try:
            with connect(
                _address(profile),
                proxy=None,
                max_size=None,
                open_timeout=SECONDS,
                ping_interval=None,
            ) as line:
                yield Page(line, language)
        finally:
            browser.terminate()


def _address(profile: Path) -> str:
    told = profile / "DevToolsActivePort"
    lines = eventually(
        lambda: told.read_text().split() if told.exists() else [],
        lambda found: len(found) == 2,
        SECONDS,
    )
    return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
