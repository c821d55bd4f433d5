"""What models, templates and what learns them are given by mistake: an answer that is right, or an error by name."""

import numpy as np
import pytest
import torch

from course_lib import models
from course_lib.data import channel_statistics, make_events
from course_lib.sequence import Sequence

NAN = np.nan
DATA, LABELS, TIMINGS = make_events(8, 400, 3, 2, seed=0)
LOST = np.where(LABELS > 0, NAN, TIMINGS)
BEYOND = TIMINGS + 400
EVENTS = {"input_size": 2, "num_events": 3}
MODELS = {
    "AudioCNN": (lambda: models.AudioCNN(4, 800), (2, 1, 800)),
    "LogMelCNN": (lambda: models.LogMelCNN(4), (2, 64, 40)),
    "LearnedFilterbank": (lambda: models.LearnedFilterbank(8000, 16, 128, 64), (2, 1, 2000)),
    "EventDetector": (lambda: models.EventDetector(**EVENTS, width=16), (2, 40, 2)),
    "LSTMAutoencoder": (lambda: models.LSTMAutoencoder(2, hidden_size=8, num_layers=1), (2, 40, 2)),
    "StreamingAudioCNN": (lambda: models.StreamingAudioCNN(3, 8000, 64, 32, 16, (4, 4), 8), (2, 256, 1)),
}


def bank(length=40):
    torch.manual_seed(0)
    return models.EventTemplateBank(3, 2, length)


def explained():
    return models.make_pursuit(bank(), None)(DATA[:1], 1.0)[0]


CASES = {
    "snippets, time nan": (lambda: models.fill_from_snippets(bank(), DATA, LABELS, LOST), "timings: .* got nan"),
    "snippets, beyond": (lambda: models.fill_from_snippets(bank(), DATA, LABELS, BEYOND), "timings: expected samples"),
    "snippets, data nan": (lambda: models.fill_from_snippets(bank(), DATA * NAN, LABELS, TIMINGS), "data: expected"),
    "snippets, one channel": (
        lambda: models.fill_from_snippets(bank(), DATA[..., :1], LABELS, TIMINGS),
        r"data: expected \(N, T, 2\)",
    ),
    "snippets, fewer labels": (
        lambda: models.fill_from_snippets(bank(), DATA, LABELS[:3], TIMINGS[:3]),
        r"labels, timings: expected \(8, E\) each",
    ),
    "ranges, time nan": (lambda: models.augmentation_ranges(DATA, LABELS, LOST, 40), "timings: .* got nan"),
    "ranges of zeros": (lambda: models.augmentation_ranges(DATA * 0, LABELS, TIMINGS, 40), "data: .* got zeros"),
    "candidates, truth nan": (lambda: models.candidate_targets(explained(), [(0, NAN)]), "events: expected finite"),
    "filter nan": (lambda: models.TemplateDetector(bank(), np.array([NAN])), "taps: expected finite"),
    "statistics of nothing": (lambda: channel_statistics([]), "windows: expected at least one"),
    "statistics of 1e39": (lambda: channel_statistics(np.full((2, 9, 2), 1e39)), "windows: .* beyond float32"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_named(name):
    call, message = CASES[name]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", MODELS)
def test_a_number_beyond_the_weights_type_is_an_error_and_not_infinite(name):
    make, shape = MODELS[name]
    x = torch.ones(shape, dtype=torch.float64)
    x[-1, -1, -1] = 1e39
    with pytest.raises(ValueError, match=r"x: expected numbers within torch.float32, .* got 1e\+39"):
        make().eval()(x)
    with pytest.raises(ValueError, match="x: expected a tensor, got ndarray|x: expected .*ndarray"):
        make().eval()(x.numpy())


@pytest.mark.parametrize("name", ["EventDetector", "LSTMAutoencoder"])
def test_lengths_may_be_a_list_and_not_a_mask(name):
    make, shape = MODELS[name]
    model, x = make().eval(), torch.randn(shape)
    listed, tensor = model(x, [7, 40]), model(x, torch.tensor([7, 40]))
    for a, b in zip(*(y if isinstance(y, tuple) else (y,) for y in (listed, tensor)), strict=True):
        torch.testing.assert_close(a, b)
    with pytest.raises(ValueError, match="lengths: expected 2 integers"):
        model(x, torch.tensor([True, True]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int16])
def test_the_listening_classifier_takes_samples_of_any_real_type(dtype):
    torch.manual_seed(0)
    model = MODELS["StreamingAudioCNN"][0]().eval()
    x = torch.randn(2, 256, 1).to(dtype)
    torch.testing.assert_close(model(x), model(x.float()))
    torch.testing.assert_close(model.pictures(x), model.pictures(x.float()))
    with pytest.raises(ValueError, match="x: expected torch.float32, got .* in StreamingAudioCNN"):
        model.layer(Sequence.of(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_running_attention_in_half_precision_is_near_to_float32(dtype):
    torch.manual_seed(0)
    layer, x = models.RunningAttention(4), (300 * torch.randn(2, 50, 4)).to(dtype)
    expected = layer(x.float())
    layer = layer.to(dtype)
    y, (state,) = layer.step(Sequence.of(x), layer.initial_state(2))
    assert y.values.dtype == dtype and state.dtype == torch.float32
    assert (y.values.float() - expected).abs().max() < 0.02 * expected.abs().max()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_templates_of_any_precision(dtype):
    wide, x = bank(400), torch.tensor(DATA)
    expected = wide.kernels(1.04).double()
    got = bank(400).to(dtype).kernels(1.04).double()
    assert (got - expected).abs().max() < 0.02 * expected.abs().max()
    templates = bank().to(dtype)
    models.fill_from_snippets(templates, DATA, LABELS, TIMINGS)
    detector = models.TemplateDetector(templates, np.array([1.0])).to(dtype).eval()
    detector.prepare()
    assert detector.frame_scores(x)[0].isfinite().all()


def test_templates_learn_under_autocast_what_they_learn_without():
    plain, cast = bank(), bank()
    models.fill_from_snippets(plain, DATA, LABELS, TIMINGS)
    with torch.autocast("cpu", torch.bfloat16):
        models.fill_from_snippets(cast, DATA, LABELS, TIMINGS)
        models.expectation_maximisation(cast, DATA, rounds=1, anchors=(DATA, LABELS, TIMINGS))
    models.expectation_maximisation(plain, DATA, rounds=1, anchors=(DATA, LABELS, TIMINGS))
    torch.testing.assert_close(cast.templates, plain.templates, rtol=0.02, atol=0.02)


def test_templates_of_zeros_find_nothing_and_stay():
    empty = bank()
    torch.nn.init.zeros_(empty.templates)
    assert models.expectation_maximisation(empty, DATA, rounds=1) == [{"events": 0, "change": 0.0}]
    assert not empty(torch.tensor(DATA).float()).any()


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1.0, 1e12, 1e30])
def test_channels_of_any_unit_are_normalised(scale):
    drawn = np.random.default_rng(0).standard_normal((4, 500, 2)) * scale
    mean, std = channel_statistics(drawn.astype(np.float32))
    np.testing.assert_allclose(std, drawn.std(axis=(0, 1)), rtol=1e-5)
    constant = np.full((4, 500, 1), scale, np.float32)
    assert channel_statistics(constant)[1].tolist() == [1.0]
