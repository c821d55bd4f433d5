"""The page that hears you, in Chromium: a WAV as its microphone, files, refusals, and the numbers that it shows."""

import base64
import io
import json
import time

import numpy as np
import pytest
import soundfile
import soxr

from course_lib.course.site import live
from course_lib.data.soundscape import KINDS
from tests.course.site.chromium import CHROMIUM, DESK, FLAGS, MARKS, PHONE, axe_script, serious_faults, watched

pytestmark = MARKS
STATUS, PROBLEM = "#live-sound-status", "#live-sound-problem"
ALLOWED = ["--use-fake-ui-for-media-stream"]


def crow(rate: int, seconds: float = 3.0) -> np.ndarray:
    """A generated sound at `rate`; nothing above 3.5 kHz, so that all rates hold the same."""
    sound = KINDS[8](np.random.default_rng(0), np.random.default_rng(1), round(seconds * 44_100), 44_100)
    return soxr.resample(soxr.resample(0.3 * sound / np.abs(sound).max(), 44_100, 7000), 7000, rate)


def wav(sound: np.ndarray, rate: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def microphone(path) -> list[str]:
    """Flags that make a WAV, over and over, Chromium's microphone."""
    return [*ALLOWED, "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={path}"]


@pytest.fixture
def page(browser, live_address):
    """The page, open, its first model ready. It asked nobody else and logged nothing, all the time."""
    page = opened(browser, live_address)
    yield page
    assert page.wrong == []
    page.close()


def opened(browser, address, **options):
    page = watched(browser.new_page(**({"viewport": DESK} | options)), address)
    page.goto(address)
    page.wait_for_function(f"document.querySelector('{STATUS}').textContent.startsWith('Ready')", timeout=20_000)
    return page


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


def blocks_in_browser(page, samples: np.ndarray) -> dict[str, np.ndarray]:
    """What the worker says of samples, block by block, joined; and how many blocks it dropped."""
    said = page.evaluate(
        """samples => new Promise((resolve, reject) => {
          const worker = new Worker("hearing_worker.js", {type: "module"}), blocks = [];
          worker.onmessage = ({data}) => {
            if (data.is === "failed") reject(data.why);
            if (data.is === "open") {
              worker.postMessage({do: "begin", number: 1, samples: samples.length});
              worker.postMessage({do: "samples", samples: Float32Array.from(samples)});
            }
            if (data.is === "block") blocks.push(data);
            if (data.is === "end") {
              worker.terminate();
              const all = (name) => blocks.flatMap((block) => [...(block[name] ?? [])]);
              const said = {dropped: blocks.at(-1).dropped};
              for (const name of ["probabilities", "columns", "weights"]) said[name] = all(name);
              resolve(said);
            }
          };
          worker.postMessage({do: "open"});
        })""",
        samples.astype(float).tolist(),
    )
    return {name: np.array(values) for name, values in said.items()}


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
        page.wait_for_function("document.querySelector('#live-heard').textContent < '1'")
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


class TestNumbers:
    def test_probabilities_are_those_of_onnxruntime(self, page):
        samples = crow(16_000, 5.0)[: 62 * 1280].astype(np.float32)
        found = blocks_in_browser(page, samples)
        expected = in_python(samples)
        for name in ("probabilities", "columns", "weights"):
            assert found[name].shape == expected[name].shape
        np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=0.02)
        spread = expected["columns"].std()
        np.testing.assert_allclose(found["columns"], expected["columns"], atol=0.01 * spread)
        assert found["dropped"] == 0

    def test_resampled_tones_are_tones(self, page):
        errors = page.evaluate(
            """async () => { const { Resampler } = await import("./resampler.js");
            const errors = [];
            for (const [from, to] of [[48000, 16000], [44100, 16000], [8000, 16000], [22050, 44100]]) {
              const resampler = new Resampler(from, to), out = [];
              const tone = (n, rate) => Math.sin(2 * Math.PI * 1000.3 * n / rate);
              const x = Float32Array.from({length: from}, (_, n) => tone(n, from));
              for (let at = 0, n = 1; at < from; at += n, n = 1 + (7 * n) % 997) {
                out.push(...resampler.push(x.slice(at, at + n)));
              }
              const apart = out.map((value, n) => Math.abs(value - tone(n, to)));
              errors.push([to - out.length, Math.max(...apart.slice(500, -500))]);
            }
            return errors; }"""
        )
        for missing, error in errors:
            assert 0 <= missing < 60  # what has not come yet
            assert error < 2e-3

    def test_a_tone_that_would_fold_back_is_left_out(self, page):
        level = page.evaluate(
            """async () => { const { Resampler } = await import("./resampler.js");
            const x = Float32Array.from({length: 48000}, (_, n) => Math.sin(2 * Math.PI * 9500 * n / 48000));
            return Math.max(...new Resampler(48000, 16000).push(x).slice(200).map(Math.abs)); }"""
        )
        assert level < 0.01

    def test_a_full_ring_drops_its_oldest_blocks_and_counts_them(self, page):
        dropped, values = page.evaluate(
            """async () => { const { Ring } = await import("./ring.js");
            const ring = new Ring(40, 10), out = [];
            for (let at = 0, n = 1; at < 95; at += n, n = Math.min(1 + (5 * n) % 17, 95 - at)) {
              ring.push(Float32Array.from({length: n}, (_, i) => at + i));
            }
            for (let block; (block = ring.pull(true)); ) out.push(...block.samples.slice(0, block.count));
            return [ring.dropped, out]; }"""
        )
        assert values == list(range(10 * dropped, 95))
        assert 95 - 40 <= 10 * dropped < 95 - 20


def in_python(samples: np.ndarray) -> dict[str, np.ndarray]:
    """The same file run by onnxruntime in Python."""
    onnxruntime = pytest.importorskip("onnxruntime")
    about = json.loads((live.MODELS / "audio.json").read_text(encoding="utf-8"))
    session = onnxruntime.InferenceSession(live.MODELS / "audio.onnx", providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    state = {part["name"]: first(part) for part in about["state"]}
    found: dict[str, list] = {"probabilities": [], "log_mel": [], "attention": []}
    for block in samples.reshape(-1, 1, about["block"], 1):
        feeds = {"x": block} | state
        if any(value.name == "mask" for value in session.get_inputs()):
            feeds["mask"] = np.ones(block.shape[:2], bool)
        said = dict(zip(names, session.run(None, feeds), strict=True))
        state = {name: said[f"next_{name}"] for name in state}
        for name in found:
            found[name].append(said[name].ravel())
    joined = {name: np.concatenate(values) for name, values in found.items()}
    return {"probabilities": joined["probabilities"], "columns": joined["log_mel"], "weights": joined["attention"]}


def first(part: dict) -> np.ndarray:
    """What a stream begins with, as audio.json has it: in base64, or zeros."""
    if "values" not in part:
        return np.zeros(part["shape"], part["type"])
    return np.frombuffer(base64.b64decode(part["values"]), part["type"]).reshape(part["shape"])


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
