"""The report on one's own recordings in Chromium: nothing fails, every picture has text, axe finds no serious fault."""

import importlib.util
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

from course_lib.course.audio_report import write_report
from course_lib.course.site import vendor
from course_lib.data import load_audio_table

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report on 24 noises, among which the model has mistakes to show."""
    folder, rng, rows = tmp_path_factory.mktemp("report"), np.random.default_rng(0), []
    for i in range(24):
        soundfile.write(folder / f"{i}.wav", 0.1 * rng.standard_normal(2000), 4000)
        rows.append({"file": f"{i}.wav", "label": ("yes & no", "<maybe>")[i % 2], "who": f"s{i // 6}"})
    pd.DataFrame([*rows, {"file": "gone.wav", "label": "<maybe>", "who": "s0"}]).to_csv(folder / "t.csv", index=False)
    form = {"sample_rate": 4000, "duration": 0.5, "cache": False, "progress": False}
    data = load_audio_table(folder / "t.csv", group="who", **form)
    return write_report(data, folder / "out", epochs=2, folds=2, progress=False)


@pytest.fixture(scope="module")
def page(report):
    """The open page, with what it said on the console or failed to load."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.said = []
        page.on("console", lambda message: page.said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("requestfailed", lambda request: page.said.append(request.url[:80]))
        page.goto(report.as_uri())
        page.wait_for_load_state("load")
        yield page
        browser.close()


def test_nothing_fails_and_every_picture_is_there_with_text(page):
    assert page.said == []
    pictures = page.evaluate("[...document.images].map(i => [i.alt, i.naturalWidth])")
    assert len(pictures) >= 5 and all(len(text) > 30 and width > 0 for text, width in pictures)
    players = page.evaluate("[...document.querySelectorAll('audio')].map(a => a.getAttribute('aria-label'))")
    assert players and all(players)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_axe_finds_no_serious_fault(page):
    try:
        axe = vendor.vendored(vendor.AXE) / "axe.min.js"
    except vendor.VendorError as error:
        pytest.skip(f"axe-core is not to be had: {error}")
    page.add_script_tag(path=str(axe))
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    faults = [f"{f['id']}: {f['nodes'][0]['html'][:200]}" for f in found if f["impact"] in ("serious", "critical")]
    assert faults == []
