"""Chromium without a window, driven through a pipe: what a page looks like, says and asks for when it is opened."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"),
)
_FREE = 20  # descriptors from here on are free, or at least neither 3 nor 4, which it reads and writes


def found() -> str | None:
    """The browser of this machine; None where it has none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A running browser; one page is open at a time."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = os.fdopen(read, "rb"), os.fdopen(write, "wb")
        self._rest = b""
        self._number = 0
        self.events: list[Mapping[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: object) -> Any:
        """Calls a method of the DevTools protocol; events that come meanwhile are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self._write.write(json.dumps({**message, **({"sessionId": session} if session else {})}).encode() + b"\0")
        self._write.flush()
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def wait(self, event: str) -> None:
        """Waits for an event of this name."""
        while not any(one.get("method") == event for one in self.events):
            self.events.append(self._next())

    def _next(self) -> Any:
        while b"\0" not in self._rest:
            read = os.read(self._read.fileno(), 1 << 20)
            if not read:
                raise RuntimeError("the browser ended")
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@contextlib.contextmanager
def running(executable: str) -> Iterator[Browser]:
    """A browser with a profile of its own, ended afterwards."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    # Out of the way of the descriptors that the browser wants.
    theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, _FREE) for end in (to_read, from_write)]
    shell = f'exec "$0" "$@" 3<&{theirs[0]} 4>&{theirs[1]}'
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            ["bash", "-c", shell, executable, *_FLAGS, f"--user-data-dir={profile}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=theirs,
        )
        for end in (to_read, from_write, *theirs):
            os.close(end)
        try:
            browser = Browser(from_read, to_write)
            yield browser
            browser.call("Browser.close")
        finally:
            process.kill()
            process.wait()


@dataclasses.dataclass
class OpenPage:
    """A page that is open.

    Attributes:
      browser: that it is open in.
      session: of the page.
    """

    browser: Browser
    session: str

    def call(self, method: str, **parameters: object) -> Any:
        return self.browser.call(method, self.session, **parameters)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, of a promise what it comes to."""
        done = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in done:
            raise RuntimeError(done["exceptionDetails"].get("exception", {}).get("description", "failed"))
        return done["result"].get("value")

    def resize(self, width: int, height: int = 900, media: str = "") -> None:
        """The size of the window in pixels, and `print` for how it would be printed."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", media=media)

    def screenshot(self, to: Path) -> None:
        """The whole page."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16_000), "scale": 1}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        to.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self) -> bytes:
        """As it is printed, on A4."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True}
        return base64.b64decode(self.call("Page.printToPDF", **paper)["data"])

    @property
    def said(self) -> list[str]:
        """What it wrote to the console, and what failed in it."""
        found = []
        for event in self.browser.events:
            method, what = event.get("method"), event.get("params", {})
            if method == "Runtime.consoleAPICalled":
                found.append(" ".join(str(one.get("value", one.get("description"))) for one in what["args"]))
            if method == "Log.entryAdded":
                found.append(what["entry"]["text"])
            if method == "Runtime.exceptionThrown":
                found.append(what["exceptionDetails"].get("exception", {}).get("description", "exception"))
        return found

    @property
    def asked_for(self) -> list[str]:
        """The addresses that it asked for, itself and what is in the page aside."""
        sent = [one["params"] for one in self.browser.events if one.get("method") == "Network.requestWillBeSent"]
        urls = [one["request"]["url"] for one in sent if one.get("type") != "Document"]
        return [url for url in urls if not url.startswith("data:")]


@contextlib.contextmanager
def opened(browser: Browser, path: Path, width: int = 1280) -> Iterator[OpenPage]:
    """A file, open in a window of some width."""
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    page = OpenPage(browser, session)
    browser.events.clear()
    for domain in ("Page", "Runtime", "Log", "Network"):
        page.call(f"{domain}.enable")
    page.resize(width)
    page.call("Page.navigate", url=path.absolute().as_uri())
    browser.wait("Page.loadEventFired")
    try:
        yield page
    finally:
        browser.call("Target.closeTarget", targetId=target)
