"""Drives a real browser through the dashboard, by chromedriver and the standard library alone.

    python3 drive.py URL NAME PASSWORD DATABASE_FILE SHOTS|-      the server is there, and so is the user

Says what it did, a line each. Ends with 77 when there is no browser here, and with 1 when something is not as it should be.
With a folder for SHOTS it also takes pictures of the pages there: at 1280 and 390 wide, light and dark.
"""

import base64
import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request

PATIENCE = 40
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    def __init__(self):
        driver = shutil.which("chromedriver")
        chromium = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
        if not driver or not chromium:
            print("skipped: there is no chromium with its chromedriver here")
            sys.exit(77)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.process = subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{port}"
        self.until(lambda: self.call("GET", "/status")["ready"], "chromedriver is ready", (urllib.error.URLError, OSError))
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"binary": chromium, "args": arguments},
                  "goog:loggingPrefs": {"browser": "ALL"}}
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += "/session/" + session["sessionId"]

    def call(self, method, path, body=None):
        data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"].splitlines()[0]) from None

    def until(self, look, what, ignored=(RuntimeError,)):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if found := look():
                    return found
            except ignored:
                pass
            if time.monotonic() > end:
                raise AssertionError(f"it does not come: {what}; the page says: {self.text()[:2000]}")
            time.sleep(0.1)

    def go(self, url):
        self.call("POST", "/url", {"url": url})

    def path(self):
        return "/" + self.call("GET", "/url").split("/", 3)[3]

    def find(self, css):
        return self.call("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def text(self, css="body"):
        return self.call("GET", f"/element/{self.find(css)}/text")

    def press(self, css):
        self.call("POST", f"/element/{self.find(css)}/click")

    def button(self, label):
        """Presses the button or link that says this."""
        said = f"//*[(self::button or self::a) and normalize-space()='{label}']"
        found = self.call("POST", "/element", {"using": "xpath", "value": said})[ELEMENT]
        self.call("POST", f"/element/{found}/click")

    def type(self, css, text):
        element = self.find(css)
        self.call("POST", f"/element/{element}/clear")
        self.call("POST", f"/element/{element}/value", {"text": text})

    def has(self, part, what=None):
        self.until(lambda: part in self.text(), what or part)

    def run(self, script):
        return self.call("POST", "/execute/sync", {"script": script, "args": []})

    def tools(self, command, parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def fits(self, page, width):
        self.tools("Emulation.setDeviceMetricsOverride",
                   {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": False})
        wide = self.run("return document.documentElement.scrollWidth")
        self.tools("Emulation.clearDeviceMetricsOverride", {})
        assert wide <= width, f"{page}: the page is {wide} wide at {width}"

    def shot(self, path, width, dark):
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.tools("Emulation.setEmulatedMedia", {"features": scheme})
        phone = width < 600
        height = 844 if phone else 800
        self.tools("Emulation.setDeviceMetricsOverride",
                   {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone})
        wide = self.run("return document.documentElement.scrollWidth")
        assert wide <= width, f"{path}: the page is {wide} wide at {width}"
        tall = max(height, min(self.run("return document.documentElement.scrollHeight"), 2600))
        self.tools("Emulation.setDeviceMetricsOverride",
                   {"width": width, "height": tall, "deviceScaleFactor": 1, "mobile": phone})
        picture = self.tools("Page.captureScreenshot", {"format": "png"})["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture))
        self.tools("Emulation.clearDeviceMetricsOverride", {})

    def close(self):
        try:
            self.call("DELETE", "")
        except (OSError, RuntimeError):
            pass
        self.process.terminate()
        self.process.wait()


def log_in(browser, name, password):
    browser.type("input[name=name]", name)
    browser.type("input[name=password]", password)
    browser.press("button[type=submit]")


def back_up(browser, url):
    """Backs up and watches the job to its end, without a reload by hand."""
    browser.go(url + "/databases/shop")
    browser.button("Back up now")
    browser.until(lambda: browser.path().startswith("/jobs/"), "the job's page")
    browser.until(lambda: "completed" in browser.text("dl.facts"), "the job's end")


def change(path, statements):
    with contextlib.closing(sqlite3.connect(path, timeout=20)) as database:
        database.executescript(statements)


def steps(browser, url, name, password, path):
    browser.go(url + "/jobs")
    assert browser.path() == "/login?next=%2Fjobs", browser.path()
    log_in(browser, name, "wrong horse")
    browser.has("do not belong together")
    log_in(browser, name, password)
    browser.until(lambda: browser.path() == "/jobs", "where one wanted to be")
    print("log in, after a wrong password")

    browser.go(url + "/")
    browser.has("<script>alert(1)")
    assert not browser.run("return window.alerted"), "a name was run"
    back_up(browser, url)
    change(path, "DELETE FROM item WHERE id = 3; UPDATE item SET name = 'renamed' WHERE id = 4; INSERT INTO item (name, price) VALUES ('fresh', 9.5);")
    back_up(browser, url)
    print("back up twice and watch it finish")

    browser.go(url + "/databases/shop")
    browser.button("shop@2")
    browser.until(lambda: "/snapshots/2" in browser.path(), "the snapshot")
    browser.button("item")
    browser.has("renamed")
    browser.button("Next")
    browser.until(lambda: "offset=50" in browser.path(), "the next rows")
    print("browse rows")

    browser.button("Ask with SQL")
    browser.type("textarea", "SELECT count(*) AS n, 'b' || 'oth' AS word FROM item")
    browser.run("document.querySelector('textarea').focus()")
    keys = [{"type": "keyDown", "value": "\ue009"}, {"type": "keyDown", "value": "\ue007"},
            {"type": "keyUp", "value": "\ue007"}, {"type": "keyUp", "value": "\ue009"}]
    browser.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": keys}]})
    browser.has("both")
    browser.type("textarea", "DROP TABLE item")
    browser.button("Run")
    browser.until(lambda: browser.text("p.wrong"), "why not")
    print("SQL, by the keyboard; what writes is refused")

    browser.go(url + "/databases/shop")
    browser.button("Compare the two")
    browser.has("renamed")
    assert "fresh" in browser.text("table.changes") and browser.text("td.differs ins") == "renamed"
    print("diff")

    browser.go(url + "/databases/shop/snapshots/1")
    browser.button("Restore\u2026")
    browser.has("The present state is kept first")
    browser.button("Restore shop@1")
    browser.until(lambda: "completed" in browser.text("dl.facts"), "the restore's end")
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM item WHERE id = 3").fetchone() == (1,)
        assert database.execute("SELECT count(*) FROM item WHERE name = 'fresh'").fetchone() == (0,)
    print("restore, with its plan")

    # Somebody holds the database so that nobody can read it: the job waits, and is cancelled.
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = DELETE")
    database.execute("BEGIN EXCLUSIVE")
    browser.go(url + "/databases/shop")
    browser.button("Back up now")
    browser.until(lambda: "at work" in browser.text("dl.facts"), "the job at work")
    browser.button("Cancel")
    browser.until(lambda: "cancelled" in browser.text("dl.facts"), "the cancelled job")
    database.execute("ROLLBACK")
    database.close()
    print("cancel")

    # Two tabs: what the second does is seen by the first, and when one logs out, so does the other.
    first = browser.call("GET", "/window")
    browser.go(url + "/databases/shop/snapshots/1")
    second = browser.call("POST", "/window/new", {"type": "tab"})["handle"]
    browser.call("POST", "/window", {"handle": second})
    browser.go(url + "/databases/shop/snapshots/1")
    browser.type("form[action$='/tag'] input[name=name]", "from-tab-two")
    browser.press("form[action$='/tag'] button")
    browser.has("Tagged.")
    browser.button("Log out")
    browser.has("Log in to pagekeep")
    browser.call("POST", "/window", {"handle": first})
    browser.type("form[action$='/tag'] input[name=name]", "from-tab-one")
    browser.press("form[action$='/tag'] button")
    browser.has("session has ended")
    log_in(browser, name, password)
    browser.until(lambda: browser.path() == "/databases/shop/snapshots/1", "where one was")
    assert "from-tab-two" in browser.text() and "from-tab-one" not in browser.text()
    print("two tabs, and a session that ended")

    for page in ["/", "/databases/shop", "/jobs", "/schedule", "/databases/shop/snapshots/1/restore"]:
        browser.go(url + page)
        assert page != "/" or browser.run("return document.querySelectorAll('#databases tbody tr').length") == 2
        browser.fits(page, 390)
    print("a phone shows pages as wide as it is")

    complaints = [line for line in browser.call("POST", "/se/log", {"type": "browser"})
                  if "401" not in line["message"] and "favicon" not in line["message"]]
    assert not complaints, complaints


def pictures(browser, url, folder):
    pages = {"home": "/", "database": "/databases/shop", "snapshot": "/databases/shop/snapshots/2",
             "rows": "/databases/shop/snapshots/2/rows?table=item", "sql": "/databases/shop/snapshots/2/sql?sql=SELECT%20*%20FROM%20item%20LIMIT%2012",
             "diff": "/databases/shop/diff?a=1&b=2", "restore": "/databases/shop/snapshots/2/restore", "configure": "/databases/shop/configure?keep-last=2",
             "jobs": "/jobs", "schedule": "/schedule", "remotes": "/remotes", "access": "/access", "reference": "/reference",
             "missing": "/databases/nothing"}
    for page, address in pages.items():
        browser.go(url + address)
        for width in (1280, 390):
            for dark in (False, True):
                browser.shot(os.path.join(folder, f"{page}-{width}-{'dark' if dark else 'light'}.png"), width, dark)
    print(f"{len(pages)} pages fit at 1280 and at 390")


def main():
    url, name, password, path, folder = sys.argv[1:]
    browser = Browser()
    try:
        steps(browser, url, name, password, path)
        if folder != "-":
            pictures(browser, url, folder)
    finally:
        browser.close()


if __name__ == "__main__":
    main()
