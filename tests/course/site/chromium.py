"""What the browser tests share: Chromium, a plain file server, a page that keeps what goes wrong on it, axe."""

import functools
import importlib.util
import shutil
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from course_lib.course.site import vendor

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required"
).split()
PHONE = {"width": 375, "height": 800}
DESK = {"width": 1280, "height": 900}

MARKS = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed"),
]


@contextmanager
def serving(folder):
    """The address of a plain file server on `folder`."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def watched(page, address):
    """`page`, which keeps errors, warnings and requests to others in `page.wrong`."""
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda said: page.wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on(
        "request",
        lambda asked: None if asked.url.startswith((address, "data:", "blob:")) else page.wrong.append(asked.url),
    )
    return page


def axe_script():
    """The path of axe-core; skips the test where npm cannot be reached."""
    try:
        return str(vendor.vendored(vendor.AXE) / "axe.min.js")
    except vendor.VendorError as error:
        pytest.skip(f"axe-core is not to be had: {error}")


def serious_faults(page, axe, options=None):
    """What axe finds on `page` as it is now that is serious or critical: "rule: element"."""
    page.add_script_tag(path=axe)
    found = page.evaluate("options => axe.run(options)", {"resultTypes": ["violations"]} | (options or {}))
    return [
        f"{fault['id']}: {fault['nodes'][0]['html'][:200]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
