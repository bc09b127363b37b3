"""A headless Chromium, steered through its debugging protocol on a pair of pipes.

Messages are JSON objects that end with a zero byte: the browser reads them from descriptor 3 and
writes answers and events to descriptor 4. Whatever a page throws, logs as an error or tries to load
is collected in `problems`.
"""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time


class Browser:
    def __init__(self, program, timeout=60):
        self.timeout, self.number, self.buffer = timeout, 0, b""
        self.problems, self.events = [], []
        self.folder = tempfile.mkdtemp(prefix="sartor-browser-")
        to_read, self.to = os.pipe()
        self.source, from_write = os.pipe()

        def descriptors():
            # Out of the way first: either may be 3 or 4 already.
            a, b = os.dup(to_read), os.dup(from_write)
            a, b = (os.dup(a) if a in (3, 4) else a), (os.dup(b) if b in (3, 4) else b)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--disable-extensions", "--disable-background-networking",
             "--disable-component-update", "--hide-scrollbars", "--remote-debugging-pipe",
             "--user-data-dir=" + os.path.join(self.folder, "profile"), "about:blank"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, close_fds=False,
            preexec_fn=descriptors, env=dict(os.environ, HOME=self.folder))
        os.close(to_read)
        os.close(from_write)
        self.session = None
        target = next(t for t in self.call("Target.getTargets")["targetInfos"]
                      if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"],
                                 flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def close(self):
        # Its helpers write into the profile until they have ended: ask first.
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(timeout=10)
        except (OSError, RuntimeError, TimeoutError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.log.close()
        os.close(self.to)
        os.close(self.source)
        for _ in range(20):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not os.path.exists(self.folder):
                break
            time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _message(self, deadline):
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            ready = select.select([self.source], [], [], max(0, left))[0] if left > 0 else []
            data = os.read(self.source, 1 << 20) if ready else None
            if data is None:
                raise TimeoutError("the browser does not answer")
            if data == b"":
                self.log.flush()
                with open(self.log.name, errors="replace") as f:
                    raise RuntimeError("the browser ended: " + f.read()[-2000:])
            self.buffer += data
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def _event(self, message):
        method, p = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = p["exceptionDetails"]
            self.problems.append("exception: " + details.get("exception", {}).get(
                "description", details.get("text", "")))
        elif method == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning", "assert"):
            self.problems.append("console: " + json.dumps(
                [a.get("value", a.get("description")) for a in p["args"]]))
        elif method == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
            self.problems.append("log: " + p["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            url = p["request"]["url"]
            if not url.startswith(("file:", "about:")):
                self.problems.append("request: " + url)
        elif method == "Page.javascriptDialogOpening":
            self.problems.append("dialog: " + p["message"])
        self.events.append(method)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        deadline = time.monotonic() + self.timeout
        while True:
            answer = self._message(deadline)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError("%s: %s" % (method, answer["error"]["message"]))
                return answer["result"]
            self._event(answer)

    def open(self, path, width=1400, height=1000, dark=False):
        """Opens a file and waits until it is loaded; returns the seconds that took."""
        self.problems = []
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.scheme(dark)
        self.events = []
        start, deadline = time.monotonic(), time.monotonic() + self.timeout
        self.call("Page.navigate", url="file://" + os.path.abspath(path))
        while "Page.loadEventFired" not in self.events:
            self._event(self._message(deadline))
        self.frames()
        return time.monotonic() - start

    def scheme(self, dark):
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def run(self, expression):
        """The value of a JavaScript expression in the page (a promise is waited for)."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError("%s: %s" % (expression, answer["exceptionDetails"].get(
                "exception", {}).get("description")))
        return answer["result"].get("value")

    def frames(self):
        """Waits until the page has had the time to lay out and to draw."""
        self.run("new Promise(r => requestAnimationFrame(() => requestAnimationFrame("
                 "() => setTimeout(r, 30))))")

    def mouse(self, kind, x, y, buttons=0):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, buttons=buttons,
                  button="left" if kind != "mouseMoved" or buttons else "none",
                  clickCount=0 if kind == "mouseMoved" else 1)

    def place(self, expression):
        """The middle of an element in the window, after scrolling it there."""
        return self.run("(() => { const e = %s; e.scrollIntoView({block: 'center'}); const b ="
                        " e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2];"
                        " })()" % expression)

    def hover(self, expression):
        self.mouse("mouseMoved", *self.place(expression))

    def click(self, expression):
        x, y = self.place(expression)
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y, 1)
        self.mouse("mouseReleased", x, y)

    def drag(self, x, y, to_x, to_y):
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y, 1)
        for step in range(1, 6):
            self.mouse("mouseMoved", x + (to_x - x) * step / 5, y + (to_y - y) * step / 5, 1)
        self.mouse("mouseReleased", to_x, to_y)
        self.frames()

    def picture(self, path, full=True):
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full)
        if full:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                               clip=dict(size, scale=1))
        with open(path, "wb") as f:
            f.write(base64.b64decode(answer["data"]))

    def pdf(self, path):
        answer = self.call("Page.printToPDF", printBackground=True, paperWidth=8.27,
                           paperHeight=11.69)
        with open(path, "wb") as f:
            f.write(base64.b64decode(answer["data"]))
