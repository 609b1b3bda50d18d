"""A real browser on a real JupyterLab, for tests: Chromium over its DevTools protocol.

`with served(folder) as server, opened(server, "notebooks/00_start_here.ipynb") as page:` gives a page that
can `evaluate` JavaScript, run the notebook and take a picture. Nothing is read from or written to
the settings of the user who runs the tests.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import websocket

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
    "--force-device-scale-factor=1",
    "--hide-scrollbars",
]


def chromium() -> str | None:
    """The path of an installed Chromium, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


@dataclass(frozen=True)
class Server:
    address: str  # ends with a slash
    token: str

    def url(self, path: str) -> str:
        return f"{self.address}{path}?token={self.token}"


@contextlib.contextmanager
def served(folder: Path, settings: dict[str, dict] | None = None) -> Iterator[Server]:
    """JupyterLab serving `folder`; `settings[plugin id]` are the user's settings in it."""
    with tempfile.TemporaryDirectory(prefix="lab-") as scratch:
        home = Path(scratch)
        for plugin, values in (settings or {}).items():
            package, _, name = plugin.partition(":")
            file = home / "settings" / package / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values), encoding="utf-8")
        environment = os.environ | {
            "IPYTHONDIR": str(home / "ipython"),
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        }
        token = secrets.token_hex(16)
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        command += [
            "--ServerApp.port=0",
            f"--IdentityProvider.token={token}",
            "--expose-app-in-browser",
        ]
        with _running(command, home / "server.log", cwd=folder, env=environment):
            found = _wait_for(
                lambda: next((home / "runtime").glob("jpserver-*.json"), None), 60, "JupyterLab"
            )
            address = _wait_for(lambda: _json_or_none(found), 10, "JupyterLab's address")["url"]
            yield Server(address, token)


@contextlib.contextmanager
def opened(server: Server, path: str = "", width: int = 1280, height: int = 900) -> Iterator[Page]:
    """The file at `path` open in JupyterLab as the one document, or JupyterLab, in a fresh Chromium."""
    place = "doc/tree/" + urllib.parse.quote(path) if path else "lab"
    with browser(width, height) as page:
        page.call("Page.navigate", url=server.url(place))
        yield page


@contextlib.contextmanager
def browser(width: int = 1280, height: int = 900, *flags: str) -> Iterator[Page]:
    """An empty page in a fresh Chromium, which remembers every address that it is asked for."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        command = [
            chromium(),
            *FLAGS,
            *flags,
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            "about:blank",
        ]
        with _running(command, Path(profile) / "browser.log"):
            port_file = Path(profile) / "DevToolsActivePort"
            _wait_for(
                lambda: port_file.exists() and port_file.read_text().count("\n"), 60, "Chromium"
            )
            port = port_file.read_text().split()[0]
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}/json/list", timeout=120
            ) as answer:
                target = next(t for t in json.load(answer) if t["type"] == "page")
            socket = websocket.create_connection(target["webSocketDebuggerUrl"], timeout=60)
            try:
                page = Page(socket, width)
                page.call("Page.enable")
                page.call("Network.enable")
                page.call("Emulation.setFocusEmulationEnabled", enabled=True)  # no window has focus
                yield page
            finally:
                socket.close()


class Page:
    """One browser tab."""

    def __init__(self, socket: websocket.WebSocket, width: int):
        self._socket, self._width, self._last_id = socket, width, 0
        self.requests: list[str] = []  # the address of everything asked for so far

    def call(self, method: str, timeout: float = 60, **params: Any) -> dict:
        """Send one command of the DevTools protocol and return its result."""
        self._last_id += 1
        self._socket.settimeout(timeout)
        self._socket.send(json.dumps({"id": self._last_id, "method": method, "params": params}))
        while (message := json.loads(self._socket.recv())).get("id") != self._last_id:
            if message.get("method") == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return message["result"]

    def evaluate(self, script: str, timeout: float = 60) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        result = self.call(
            "Runtime.evaluate", timeout, expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(
                str(result["exceptionDetails"].get("exception", result["exceptionDetails"]))
            )
        return result["result"].get("value")

    def wait(self, script: str, seconds: float = 60) -> Any:
        """Wait until a JavaScript expression is true, and return its value."""
        return _wait_for(lambda: self.evaluate(script), seconds, script)

    def run_all(self, seconds: float = 120) -> None:
        """Restart nothing, run every cell of the notebook from top to bottom, wait for the end."""
        panel = (
            "[...jupyterapp.shell.widgets('main')].find(w => w.context?.path && w.sessionContext)"
        )
        self.wait(f"!!(window.jupyterapp && {panel}?.sessionContext?.session?.kernel)")
        self.evaluate(f"{panel}.revealed.then(() => {panel}.sessionContext.ready).then(() => true)")
        self.wait(f"{panel}.sessionContext.session.kernel.status === 'idle'")
        self.evaluate(f"{panel}.content.activate()")  # commands go to the notebook in use
        self.wait("jupyterapp.commands.isEnabled('notebook:run-all-cells')")
        self.evaluate(
            "jupyterapp.commands.execute('notebook:run-all-cells').then(() => true)", seconds
        )
        self.wait(f"{panel}.sessionContext.session.kernel.status === 'idle'", seconds)

    def errors(self) -> list[str]:
        """What the cells of the open notebook raised, in order."""
        return self.evaluate(
            "[...jupyterapp.shell.widgets('main')].find(w => w.context?.path && w.sessionContext)"
            ".content.widgets.filter(cell => cell.model.type === 'code')"
            ".flatMap(cell => cell.model.outputs.toJSON()).filter(o => o.output_type === 'error')"
            ".map(o => o.ename + ': ' + o.evalue)"
        )

    def picture(self, file: Path, whole: bool = True, selector: str | None = None) -> None:
        """A PNG of the whole notebook, of the window (`whole=False`) or of one element."""
        area = "document.querySelector('.jp-WindowedPanel-outer')"
        if whole:
            top = self.evaluate(f"{area}.getBoundingClientRect().top")
            for _ in range(3):  # the page may grow while it is laid out
                height = self.evaluate(f"{area}.scrollTop = 0, {area}.scrollHeight")
                size = {"width": self._width, "height": min(int(top + height) + 30, 16_000)}
                self.call(
                    "Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=False
                )
                time.sleep(0.7)
        options: dict[str, Any] = {}
        if selector:
            box = self.evaluate(
                f"(e => {{ const b = e.getBoundingClientRect(); return {{x: b.x, y: b.y, width: b.width, "
                f"height: b.height, scale: 2}} }})(document.querySelector({json.dumps(selector)}))"
            )
            options = {"clip": box, "captureBeyondViewport": True}
        data = self.call("Page.captureScreenshot", format="png", **options)["data"]
        Path(file).write_bytes(base64.b64decode(data))


@contextlib.contextmanager
def _running(command: list, log: Path, **kwargs: Any) -> Iterator[None]:
    """Run a program with all it starts; end the whole group afterwards."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, start_new_session=True, **kwargs
        )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_for(ready: Callable[[], Any], seconds: float, what: str) -> Any:
    end = time.monotonic() + seconds
    while not (value := ready()):
        if time.monotonic() > end:
            raise TimeoutError(f"Waited {seconds} s in vain for {what}.")
        time.sleep(0.1)
    return value


def _json_or_none(file: Path) -> dict | None:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError:  # still being written
        return None
