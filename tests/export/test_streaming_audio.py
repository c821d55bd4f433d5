"""The classifier that listens and the event detector as files: the answers and events of PyTorch, without PyTorch."""

import time

import numpy as np
import pytest
import torch

import course_lib.layers as sl
from course_lib.course.experiments import gait_events, live_detector, streaming_audio
from course_lib.course.experiments._event_runs import load_feet
from course_lib.course.site.live_models import MODELS
from course_lib.data import find_esc10, load_esc10, make_event_stream, synthetic_soundscape
from course_lib.data.real_events import find_gait
from course_lib.events import Detections, LiveDetector, event_scores
from course_lib.export import Model, Stream, export
from course_lib.models import StreamingAudioCNN


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """5 s at 16 kHz, (80000,): the rooster that was held out, where ESC-10 is here; else a generated one."""
    if find_esc10() is None:
        return np.array(synthetic_soundscape(clips_per_class=5, sample_rate=16_000, progress=False).signals[-1, 0])
    data = load_esc10(sample_rate=16_000, progress=False)
    return np.array(data.signals[streaming_audio.one_of_each(data)[8], 0])


def test_the_file_of_the_page_gives_what_the_layer_gives_on_a_stream(clip):
    model, classes, _ = streaming_audio.kept(MODELS / "audio.safetensors")
    stream = Stream(MODELS / "audio.onnx")
    assert stream.metadata.classes == classes and (MODELS / "audio.onnx").stat().st_size < 2e6
    blocks = [clip[None, start : start + 1000, None] for start in range(0, len(clip), 1000)]
    outputs = [part for part in (*map(stream.push, blocks), stream.flush()) if part is not None]
    said = stream.parts(np.concatenate(outputs, axis=1))
    with torch.no_grad():
        steps = sl.stream(model, sl.Sequence.of(torch.from_numpy(clip)[None, :, None]), block_size=1280)
    expected = stream.parts(steps.values.numpy())
    for name, part in said.items():
        np.testing.assert_allclose(part, expected[name], atol=1e-4)


def test_the_graph_has_each_part_as_an_output_besides(clip):
    stream = Stream(MODELS / "audio.onnx")
    inputs = [np.ascontiguousarray(clip[None, :1280, None]), np.ones((1, 1280), bool), *stream._first]
    session = stream._file.session
    outputs = dict(zip([o.name for o in session.get_outputs()], stream._file.run(*inputs), strict=True))
    shapes = {name: outputs[name].shape for name in stream.metadata.parts}
    assert shapes == {"probabilities": (1, 1, 10), "attention": (1, 4, 1), "log_mel": (1, 4, 64)}
    for name, part in stream.parts(outputs["y"]).items():
        np.testing.assert_array_equal(part, outputs[name])


def test_parts_that_do_not_make_up_an_answer_are_refused(tmp_path):
    layer = sl.Conv1D(2, 5, 3)
    with pytest.raises(ValueError, match=r"parts: expected \(5,\) numbers a step in all"):
        export(layer, tmp_path / "a.onnx", streaming=True, parts={"left": (1, 2)})


def test_a_block_takes_less_than_half_of_its_time(clip):
    stream = Stream(MODELS / "audio.onnx")
    block = clip[None, :1280, None]
    stream.push(block)
    begun = time.process_time()
    for _ in range(20):
        stream.push(block)
    assert (time.process_time() - begun) / 20 < 0.04  # of 0.08 s


def test_an_exported_classifier_with_8_bit_weights_is_near(tmp_path, clip):
    torch.manual_seed(0)
    model = StreamingAudioCNN(3, widths=(4, 6), features=8).eval()
    about = export(model, tmp_path / "small.onnx", streaming=True, int8=True, parts=model.parts)
    assert about.int8
    stream = Stream(tmp_path / "small.onnx")
    got = stream.parts(stream.push(clip[None, :12_800, None]))["probabilities"]
    with torch.no_grad():
        expected = model(torch.from_numpy(clip[None, :12_800, None]))[..., :3]
    np.testing.assert_allclose(got, expected.numpy(), atol=2e-2)


@pytest.mark.parametrize("snr_db", [6.0, -6.0])
def test_the_detector_of_the_page_finds_the_events_that_the_model_finds(snr_db):
    model, about = live_detector.kept(MODELS / "detector.safetensors")
    file = Model(MODELS / "detector.onnx")
    data, truth = make_event_stream(20, seed=5, snr_db=snr_db)
    statistics = np.array(about["mean"]), np.array(about["std"])
    found = []
    for live in (
        LiveDetector(model, about["threshold"], statistics=statistics),
        LiveDetector(file, file.metadata.threshold),
    ):
        parts = [live.push(data[start : start + 700]) for start in range(0, len(data), 700)]
        found.append(Detections.concatenate([*parts, live.flush()]))
    expected, got = found
    assert len(expected) > len(truth) / 2
    np.testing.assert_array_equal(got.types, expected.types)
    np.testing.assert_allclose(got.times, expected.times, atol=0.01)
    np.testing.assert_allclose(got.scores, expected.scores, atol=1e-4)


@pytest.mark.skipif(find_gait() is None, reason="the gait recording is not here")
def test_a_file_finds_in_a_recorded_walk_the_steps_that_the_model_finds(tmp_path):
    """Trained on the first half; the second half of either foot in chunks of a tenth of a second."""
    feet = list(load_feet().values())
    half = len(feet[0].data) // 2
    model, statistics = gait_events.train_detector([foot.part(0, half) for foot in feet], seed=0, steps=60)
    rate = feet[0].sample_rate
    export(model, tmp_path / "walk.onnx", statistics=statistics, threshold=0.3, sample_rate=rate)
    file, options = Model(tmp_path / "walk.onnx"), {"window": 1000, "margin": 100}
    assert file.refractory_period_samples == gait_events.REFRACTORY
    walks, found = [foot.part(half, 2 * half) for foot in feet], []
    for detector, threshold, known in ((model, 0.3, statistics), (file, file.metadata.threshold, None)):
        for walk in walks:
            live = LiveDetector(detector, threshold, statistics=known, **options)
            parts = [live.push(walk.data[start : start + 20]) for start in range(0, len(walk.data), 20)]
            found.append(Detections.concatenate([*parts, live.flush()]))
    for expected, got in zip(found[:2], found[2:], strict=True):
        assert len(expected) > 20
        np.testing.assert_array_equal(got.types, expected.types)
        np.testing.assert_allclose(got.times, expected.times, atol=0.01)
        np.testing.assert_allclose(got.scores, expected.scores, atol=1e-4)
    truths, inside = gait_events.labelled(walks, lambda walk: found[2 + [one is walk for one in walks].index(True)])
    assert event_scores(truths, inside, 20.0, rate).f1 > 0.9
