"""The page that hears you, in Chromium: a WAV as its microphone, files, refusals, held-out clips."""

import io
import json
import subprocess
import sys
import time
from os import listdir

import numpy as np
import pytest
import soundfile

from course_lib.course.site import live
from course_lib.data.esc10 import find_esc10
from tests.course.site.chromium import CHROMIUM, FLAGS, MARKS, PHONE, axe_script, serious_faults, watched
from tests.course.site.live_page import STATUS, crow, opened, wav

pytestmark = MARKS
PROBLEM = "#live-sound-problem"
ALLOWED = ["--use-fake-ui-for-media-stream"]


def microphone(path) -> list[str]:
    """Flags that make a WAV, over and over, Chromium's microphone."""
    return [*ALLOWED, "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={path}"]


def choose(page, name: str, content: bytes, *, at_once: bool = True) -> None:
    page.set_checked("#live-at-once", at_once)
    page.set_input_files("#live-file", {"name": name, "mimeType": "audio/wav", "buffer": content})


def over(page) -> None:
    page.wait_for_function(f"document.querySelector('{STATUS}').textContent.startsWith('The sound is over')")


def shown(page) -> np.ndarray:
    """Probabilities as the page shows them, in whole per cents: (classes,) in 0 to 1."""
    texts = page.locator("#live-classes .value").all_inner_texts()
    return np.array([float(text.rstrip(" %")) / 100 for text in texts])


def heard(page) -> float:
    return float(page.inner_text("#live-heard").split()[0])


def trouble(page) -> str:
    page.wait_for_selector(PROBLEM, state="visible", timeout=10_000)
    return page.inner_text(PROBLEM)


class TestSounds:
    def test_opens_and_answers_within_ten_seconds(self, browser, live_address):
        began = time.monotonic()
        page = opened(browser, live_address)
        page.select_option("#live-generated", "crow")
        page.wait_for_function("document.querySelector('#live-classes .value').textContent !== '–'", timeout=10_000)
        assert time.monotonic() - began < 10
        page.click("#live-stop")
        assert page.wrong == []
        page.close()

    def test_a_block_takes_less_than_half_of_its_time(self, page):
        choose(page, "crow.wav", wav(crow(16_000, 5.0), 16_000))
        over(page)
        assert page.inner_text("#live-block") == "80 ms"
        median, most = (float(page.inner_text(f"#live-{name}").split()[0]) for name in ("median", "most"))
        assert 0 < median <= most < 40
        assert page.inner_text("#live-dropped") == "0"

    def test_the_sound_is_drawn_and_said(self, page):
        choose(page, "crow.wav", wav(crow(16_000), 16_000))
        over(page)
        assert heard(page) == pytest.approx(3.0, abs=0.1)
        assert shown(page).sum() == pytest.approx(1, abs=0.06)  # each is rounded
        assert page.inner_text(STATUS).startswith("The sound is over. Most likely: ")
        label = page.get_attribute("#live-spectrogram", "aria-label")
        assert label.startswith("Spectrogram of the last 3 seconds: most sound is in the ")
        page.wait_for_timeout(100)
        drawn = page.evaluate(
            """() => { const canvas = document.getElementById("live-spectrogram");
            const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const colours = Array.from({length: data.length / 4}, (_, i) => data.slice(4 * i, 4 * i + 3).join());
            return new Set(colours).size; }"""
        )
        assert drawn > 100

    @pytest.mark.parametrize("rate", [8000, 48_000])
    def test_files_of_other_rates_say_the_same(self, page, rate):
        choose(page, "crow.wav", wav(crow(16_000), 16_000))
        over(page)
        expected = shown(page)
        choose(page, "crow.wav", wav(np.stack([crow(rate)] * 2, axis=1), rate))  # in stereo
        over(page)
        assert heard(page) == pytest.approx(3.0, abs=0.1)
        np.testing.assert_allclose(shown(page), expected, atol=0.1)

    def test_a_file_is_heard_as_it_plays(self, page):
        choose(page, "crow.wav", wav(crow(44_100), 44_100), at_once=False)
        page.wait_for_timeout(1500)
        assert 0.5 < heard(page) < 2.5
        over(page)
        assert heard(page) == pytest.approx(3.0, abs=0.2)

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("notes.wav", b"no sound at all" * 100, "notes.wav is no sound that this browser can read."),
            ("empty.wav", b"", "empty.wav is empty."),
            ("nothing.wav", wav(np.zeros(16_000), 16_000), "nothing.wav holds nothing but silence."),
        ],
    )
    def test_what_is_no_sound_is_said(self, page, name, content, said):
        choose(page, name, content)
        assert trouble(page).startswith(said)
        choose(page, "crow.wav", wav(crow(16_000), 16_000))  # and the next file is heard as if nothing had been
        over(page)
        assert not page.is_visible(PROBLEM)

    def test_in_the_background_nothing_is_lost(self, page):
        page.evaluate("Object.defineProperty(document, 'hidden', {get: () => window.away, configurable: true})")
        turn = "away => { window.away = away; document.dispatchEvent(new Event('visibilitychange')); }"
        choose(page, "crow.wav", wav(crow(16_000, 8.0), 16_000), at_once=False)
        page.wait_for_function("parseFloat(document.querySelector('#live-heard').textContent) > 0.5")
        page.evaluate(turn, True)
        page.evaluate(
            "const until = performance.now() + 3000; while (performance.now() < until);"
        )  # the page stands still
        page.evaluate(turn, False)
        page.wait_for_function(f"document.querySelector('{STATUS}').textContent.startsWith('In the background')")
        assert page.inner_text(STATUS).startswith("In the background for 3 s: 3 s of it were heard, 0 blocks dropped")
        over(page)
        assert page.inner_text("#live-dropped").startswith("0")
        assert heard(page) == pytest.approx(8.0, abs=0.2)

    def test_forgets(self, page):
        choose(page, "crow.wav", wav(crow(16_000), 16_000))
        over(page)
        page.click("#live-forget")
        assert page.inner_text(STATUS) == "The model begins anew."


@pytest.fixture(scope="module")
def held_out() -> dict[str, bytes]:
    """Class → its first clip in ESC-10's fold 5, by file name: the file as it was published. The model did not learn
    from these."""
    found = find_esc10()
    if found is None or found[1] != "ESC-10":
        pytest.skip("ESC-10 in its own layout is not here: python -m course_lib data fetch esc10")
    about = json.loads((live.MODELS / "audio.json").read_text(encoding="utf-8"))
    if not set(about["classes"]) <= {name.partition(" - ")[2].lower() for name in listdir(found[0])}:
        pytest.skip("the page's model was not trained on ESC-10")
    first = {}
    for path in sorted(found[0].glob("*/5-*"), key=lambda path: (path.parent.name, path.name)):
        first.setdefault(path.parent.name.partition(" - ")[2].lower(), path.read_bytes())
    return {name: first[name] for name in about["classes"]}


class TestHeldOut:
    def test_eight_of_ten_clips_are_right_after_five_seconds(self, page, held_out):
        right = []
        for name, clip in held_out.items():
            choose(page, f"{name}.ogg", clip)
            over(page)
            assert heard(page) == pytest.approx(5, abs=0.1)
            right.append(page.inner_text("#live-classes li.first").startswith(name))
        assert len(right) == 10 and sum(right) >= 8

    def test_one_is_right_through_the_microphone(self, playwright, live_address, tmp_path, held_out):
        samples, rate = soundfile.read(io.BytesIO(held_out["rooster"]), dtype="float32")
        soundfile.write(tmp_path / "rooster.wav", samples, rate, subtype="PCM_16")
        flags = FLAGS + microphone(tmp_path / "rooster.wav")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = opened(browser, live_address)
        page.click("#live-microphone")
        page.wait_for_function("parseFloat(document.querySelector('#live-heard').textContent) > 5", timeout=20_000)
        page.click("#live-stop")
        over(page)
        assert page.inner_text("#live-classes li.first").startswith("rooster")
        browser.close()


def test_the_command_serves_the_page(browser):
    command = [sys.executable, "-m", "course_lib", "live", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().split()[0]
            opened(browser, address).close()
        finally:
            process.terminate()


class TestMicrophone:
    @pytest.mark.parametrize("rate", [8000, 48_000])
    def test_it_is_heard(self, playwright, live_address, tmp_path, rate):
        soundfile.write(tmp_path / "microphone.wav", crow(rate, 6.0), rate, subtype="PCM_16")
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=FLAGS + microphone(tmp_path / "microphone.wav")
        )
        page = opened(browser, live_address)
        page.click("#live-microphone")
        page.wait_for_function("parseFloat(document.querySelector('#live-heard').textContent) > 3", timeout=15_000)
        assert shown(page).sum() == pytest.approx(1, abs=0.06)
        assert page.inner_text("#live-dropped").startswith("0")
        page.click("#live-stop")
        over(page)
        assert page.wrong == []
        browser.close()

    def test_refused(self, playwright, live_address):
        flags = [*FLAGS, "--use-fake-device-for-media-stream", "--deny-permission-prompts"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = opened(browser, live_address)
        page.click("#live-microphone")
        assert trouble(page).startswith("The microphone was refused.")
        assert page.inner_text(STATUS) == "Nothing is heard."
        choose(page, "crow.wav", wav(crow(16_000), 16_000))  # what needs no permission works
        over(page)
        assert page.wrong == []
        browser.close()

    def test_none_is_there(self, playwright, live_address):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS + ALLOWED)
        page = opened(browser, live_address)
        page.click("#live-microphone")
        assert trouble(page).startswith("No microphone was found.")
        browser.close()

    def test_a_page_that_may_have_none(self, browser, live_address):
        page = watched(browser.new_page(), live_address)
        page.add_init_script("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
        page.goto(live_address)
        page.click("#live-microphone")
        assert trouble(page).startswith("This browser gives a microphone only to pages that come by https")
        page.close()


class TestFailures:
    @pytest.mark.parametrize("missing", ["**/*.wasm", "**/audio.onnx", "**/audio.json", "**/ort.wasm.min.mjs"])
    def test_what_does_not_come_is_said(self, browser, live_address, missing):
        page = browser.new_page()
        page.route(missing, lambda route: route.fulfill(status=404))
        page.goto(live_address)
        assert trouble(page).startswith("The model could not be run here: ")
        assert page.is_disabled("#live-microphone")
        page.close()

    def test_without_webassembly(self, browser, live_address):
        page = browser.new_page()
        page.route("**/*.wasm", lambda route: route.fulfill(body=b"no program", content_type="application/wasm"))
        page.goto(live_address)
        assert trouble(page).startswith("The model could not be run here: ")
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("tab", ["sound", "events"])
def test_axe_finds_no_serious_fault(browser, live_address, scheme, tab):
    axe = axe_script()
    page = opened(browser, live_address, color_scheme=scheme)
    if tab == "events":
        page.click("#live-tab-events")
        page.wait_for_selector("#live-run:enabled", timeout=20_000)
    else:
        choose(page, "notes.wav", b"no sound" * 100)
        trouble(page)
    assert serious_faults(page, axe) == []
    page.close()


@pytest.mark.parametrize("tab", ["sound", "events"])
def test_fits_a_phone(browser, live_address, tab):
    page = opened(browser, live_address, viewport=PHONE)
    page.click(f"#live-tab-{tab}")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.close()


def test_tabs_are_reached_by_keyboard(page):
    page.focus("#live-tab-sound")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "live-tab-events"
    assert page.is_visible("#live-events") and not page.is_visible("#live-sound")
    page.keyboard.press("ArrowRight")
    assert page.is_visible("#live-sound")
