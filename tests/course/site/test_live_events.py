"""The second tab of the page that hears you: its generator and its detector are the library's, its counts are right."""

import base64

import numpy as np
import pytest

from course_lib.course.site import live
from course_lib.data import event_templates
from course_lib.data.synthetic_events import SAMPLE_RATE, coloured_noise
from course_lib.events import Detections, LiveDetector, match_events
from tests.course.site.chromium import DESK, MARKS, watched

pytestmark = MARKS
SEEDED = """const seeded = (seed) => () => {  // mulberry32: the same numbers at each call
  seed = (seed + 0x6D2B79F5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};
const text = (values) => {
  const bytes = new Uint8Array(values.buffer);
  let letters = "";
  for (let at = 0; at < bytes.length; at += 32768) letters += String.fromCharCode(...bytes.slice(at, at + 32768));
  return btoa(letters);
};
"""


@pytest.fixture
def page(browser, live_address):
    page = watched(browser.new_page(viewport=DESK), live_address)
    page.goto(live_address)
    yield page
    assert page.wrong == []
    page.close()


def numbers(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.float32)


def made(page, seconds: int, level: float) -> tuple[np.ndarray, list[tuple[int, float]]]:
    """A stream of the page's generator: (T, 6), and its events (type, onset)."""
    samples, events = page.evaluate(
        f"""async ([seconds, level]) => {{ {SEEDED}
        const {{ EventStream }} = await import("./generator.js");
        const templates = await (await fetch("models/events.json")).json();
        const stream = new EventStream(templates, seeded(1)), all = new Float32Array(seconds * 2000 * 6), events = [];
        for (let at = 0; at < seconds * 2000; at += 200) {{
          const piece = stream.take(200, level);
          all.set(piece.samples, at * 6);
          events.push(...piece.events.map(({{type, onset}}) => [type, onset]));
        }}
        return [text(all), events]; }}""",
        [seconds, level],
    )
    return numbers(samples).reshape(-1, 6), [(kind, onset) for kind, onset in events]


class TestGenerator:
    def test_bursts_are_the_librarys(self, page):
        times = np.arange(-12, 110) - 0.3
        found = page.evaluate(
            """async (times) => { const { render } = await import("./generator.js");
            const templates = await (await fetch("models/events.json")).json();
            return templates.skews.map((_, type) => {
              const one = (part) => templates[part][type];
              const shape = { frequencies: one("frequencies"), decay: one("decays"), gains: one("gains"),
                phases: one("phases"), skews: one("skews") };
              return times.map((t) => render(shape, t, 1.07, templates));
            }); }""",
            times.tolist(),
        )
        templates = event_templates()
        expected = templates.render(np.arange(16), np.tile(times, (16, 1)), 1.07)  # (E, C, L)
        np.testing.assert_allclose(np.array(found).transpose(0, 2, 1), expected, atol=1e-4)

    def test_events_come_as_often_and_as_far_apart(self, page):
        _, events = made(page, 200, 0.1)
        assert len(events) == pytest.approx(3 * 200, rel=0.15)
        for kind in range(16):
            onsets = np.array([onset for other, onset in events if other == kind])
            assert np.diff(onsets).min() >= 4000
        onsets = np.array([onset for _, onset in events])
        assert (np.diff(onsets) >= 0).all()

    def test_without_noise_the_stream_is_its_events(self, page):
        samples, events = made(page, 60, 0.0)
        quiet = np.ones(len(samples), bool)
        for _, onset in events:
            quiet[int(onset) - 11 : int(onset) + 101] = False
        loud = (samples[~quiet] ** 2).mean()
        assert (samples[quiet] ** 2).mean() < 0.3 * loud  # bursts of no type are left: one where events are three
        kind, onset = events[len(events) // 2]
        assert np.abs(samples[int(onset) : int(onset) + 40]).max() > 1

    def test_noise_has_the_librarys_level_and_colour(self, page):
        found = numbers(
            page.evaluate(
                f"""async () => {{ {SEEDED}
                const {{ ColouredNoise }} = await import("./generator.js");
                const noise = new ColouredNoise(6, 2000, seeded(2)), all = new Float32Array(131072 * 6);
                for (let at = 0; at < 131072; at += 512) all.set(noise.take(512), at * 6);
                return text(all); }}"""
            )
        ).reshape(-1, 6)
        expected = coloured_noise((1, len(found), 6), np.random.default_rng(0))[0]
        assert found.std(axis=0) == pytest.approx(1, abs=0.05)
        assert abs(np.corrcoef(found.T)[np.triu_indices(6, 1)]).max() < 0.05
        bands = [(0, 3), (7, 12), (20, 40), (60, 120), (200, 400), (600, 1000)]  # Hz
        np.testing.assert_allclose(levels(found, bands), levels(expected, bands), rtol=0.15)


def levels(noise: np.ndarray, bands: list[tuple[int, int]]) -> list[float]:
    """Power of each band, of pieces of one second."""
    pieces = noise[: len(noise) // SAMPLE_RATE * SAMPLE_RATE].reshape(-1, SAMPLE_RATE, noise.shape[1])
    power = (np.abs(np.fft.rfft(pieces * np.hanning(SAMPLE_RATE)[:, None], axis=1)) ** 2).mean(axis=(0, 2))
    return [power[low:high].mean() for low, high in bands]


def in_javascript(page, samples: np.ndarray, threshold: float) -> list[list[float]]:
    """What the page's detector finds in samples (T, 6), fed by pieces of many sizes: [type, time, score]."""
    return page.evaluate(
        """async ([text, threshold]) => {
        const { LiveDetector } = await import("./detector.js"), { open, run } = await import("./stream.js");
        const samples = new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
        const model = await open("detector"), about = { ...model.about, threshold }, found = [];
        const live = new LiveDetector(async (x, steps) => {
          const { scores, onsets } = await run(model.session, x, [1, steps, 6]);
          return { scores: scores.data, onsets: onsets.data };
        }, about);
        for (let at = 0, n = 1; at < samples.length / 6; at += n, n = 1 + (61 * n) % 1999) {
          found.push(...await live.push(samples.slice(6 * at, 6 * (at + n))));
        }
        return found.map(({ type, time, score }) => [type, time, score]); }""",
        [base64.b64encode(np.ascontiguousarray(samples, np.float32).tobytes()).decode(), threshold],
    )


def test_the_detector_finds_what_the_librarys_finds(page):
    export = pytest.importorskip("course_lib.export.runtime")
    pytest.importorskip("onnxruntime")
    model = export.Model(live.MODELS / "detector.onnx")
    samples, _ = made(page, 30, 0.5)
    threshold = float(np.quantile(model.frame_scores(samples[None, :4000])[0], 0.99))  # where it finds many
    expected = LiveDetector(model, threshold).push(samples)
    found = in_javascript(page, samples, threshold)
    assert len(found) == len(expected) > 5
    np.testing.assert_array_equal([kind for kind, *_ in found], expected.types)
    np.testing.assert_allclose([time for _, time, _ in found], expected.times, atol=0.1)
    np.testing.assert_allclose([score for *_, score in found], expected.scores, atol=1e-3)


def test_the_librarys_detector_finds_the_pages_events(page):
    """A generator that differed from the library's would have events that the detector does not know."""
    export = pytest.importorskip("course_lib.export.runtime")
    pytest.importorskip("onnxruntime")
    model = export.Model(live.MODELS / "detector.onnx")
    f1 = {}
    for level in (1.0, 4.0):
        samples, events = made(page, 60, level)
        detector = LiveDetector(model, model.metadata.threshold)
        found = Detections.concatenate([detector.push(samples), detector.flush()])
        f1[level] = 2 * len(match_events(events, found, 10)) / (len(events) + len(found))
    assert f1[1.0] > 0.9
    assert f1[4.0] < 0.5  # 12 dB louder


def test_an_event_is_found_once_and_judged_once_it_is_settled(page):
    fates = page.evaluate(
        """async () => { const { judge } = await import("./detector.js");
        const truth = [[1, 100], [1, 300], [2, 500], [3, 900]].map(([type, onset]) => ({ type, onset }));
        const found = [[1, 112], [1, 95], [2, 560], [2, 510], [3, 300]].map(([type, time]) => ({ type, time }));
        judge(truth, found, 800, 20);
        return [truth, found].map((events) => events.map(({ fate }) => fate ?? "open")); }"""
    )
    assert fates == [["hit", "miss", "hit", "open"], ["hit", "alarm", "alarm", "hit", "alarm"]]


def test_the_stream_runs_counts_and_pauses(page):
    page.click("#live-tab-events")
    page.wait_for_selector("#live-run:enabled", timeout=20_000)
    page.click("#live-run")
    page.wait_for_function("Number(document.querySelector('#live-true').textContent) > 3", timeout=20_000)
    counted = {name: int(page.inner_text(f"#live-{name}").split()[0]) for name in ("true", "hits", "misses")}
    assert counted["true"] == counted["hits"] + counted["misses"]
    assert counted["hits"] >= counted["true"] / 2  # at 0 dB it finds nearly all: some hundred are needed to count that
    assert float(page.inner_text("#live-window-time").split()[0]) < 850  # half of the 1.7 s from window to window
    page.click("#live-run")
    assert page.inner_text("#live-events-status").startswith("Paused. ")
    page.focus("#live-noise")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#live-noise-says") == "1 dB: 1.1 times as loud as the events"
    assert page.inner_text("#live-true") == "0"
    assert page.get_attribute("#live-traces", "aria-label").startswith("Six traces of the last 8 seconds")


def test_a_detector_that_does_not_come_is_said(browser, live_address):
    page = browser.new_page()
    page.route("**/detector.onnx", lambda route: route.fulfill(status=404))
    page.goto(live_address)
    page.click("#live-tab-events")
    page.wait_for_selector("#live-events-problem", state="visible", timeout=10_000)
    assert page.inner_text("#live-events-problem").startswith("The detector could not be run here: ")
    page.close()
