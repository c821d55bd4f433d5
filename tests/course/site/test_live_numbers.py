"""What the page that hears you computes: probabilities as in Python, tones at other rates, losses counted."""

import base64
import json

import numpy as np
import pytest
import torch

from course_lib.course.experiments import streaming_audio
from course_lib.course.site import live
from course_lib.sequence import Sequence, stream
from tests.course.site.chromium import MARKS
from tests.course.site.live_page import crow

pytestmark = MARKS


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

    def test_probabilities_are_those_of_pytorchs_stream(self, page):
        model, classes, _ = streaming_audio.kept(live.MODELS / "audio.safetensors")
        samples = crow(16_000, 5.0)[: 62 * model.block_size].astype(np.float32)
        found = blocks_in_browser(page, samples)["probabilities"].reshape(-1, len(classes))
        with torch.no_grad():
            streamed = stream(model, Sequence.of(torch.from_numpy(samples)[None, :, None])).values[0]
        np.testing.assert_allclose(found, streamed[:, : len(classes)].numpy(), atol=0.02)

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
