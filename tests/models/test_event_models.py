"""The classifier as published, the detector, and several opinions: shapes, padding, failures, and that they learn."""

import pytest
import torch

from course_lib.data import FreshEvents, event_templates, make_events
from course_lib.events import LiveDetector, decode_peaks, event_scores, violations, window_events
from course_lib.losses import EventTimingLoss, HeatmapLoss
from course_lib.models import EventDetector, EventEnsemble, LSTMEventClassifier, MonteCarloDropout
from course_lib.training import CheckpointError, fit, load_weights
from course_lib.training.checkpoint import save, weights_of

SMALL = {
    "as published": lambda: LSTMEventClassifier(hidden_size=8, num_layers=1, dropout=0.0),
    "both repairs": lambda: LSTMEventClassifier(hidden_size=8, residual=True, presence="logsumexp"),
    "no attention behind the LSTM": lambda: LSTMEventClassifier(hidden_size=8, attention=False, presence="logsumexp"),
    "on the grid": lambda: LSTMEventClassifier(hidden_size=8, front_end=True, bidirectional=False),
    "detector": lambda: EventDetector(width=16, dilations=(1, 2)),
    "no attention": lambda: EventDetector(width=16, dilations=(1,), attention_heads=0),
}


@pytest.fixture(params=SMALL)
def model(request):
    torch.manual_seed(0)
    return SMALL[request.param]().eval()


def signal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("length", "frames"), [(1, 1), (9, 1), (10, 1), (11, 2), (400, 40), (405, 41)])
def test_one_answer_a_frame_of_ten_samples(model, length, frames):
    scores, offsets = model.frame_scores(signal(2, length, 6))
    assert scores.shape == offsets.shape == (2, frames, 16)
    assert scores.isfinite().all() and offsets.isfinite().all()
    assert ((scores >= 0) & (scores <= 1)).all()


def test_shapes_of_the_published_answers():
    event_logits, timing_logits = LSTMEventClassifier(hidden_size=8)(signal(2, 400, 6), torch.tensor([400, 400]))
    assert event_logits.shape == (2, 16) and timing_logits.shape == (2, 40, 16)


OTHER = {"input_size": 3, "num_events": 5, "timing_resolution_samples": 7, "refractory_period_samples": 21}


@pytest.mark.parametrize(
    ("make", "loss"),
    [
        (lambda: EventDetector(**OTHER, width=8), HeatmapLoss(timing_resolution_samples=7)),
        (lambda: LSTMEventClassifier(**OTHER, hidden_size=4), EventTimingLoss(1, 1, 0.1, 7, 21)),
        (lambda: LSTMEventClassifier(**OTHER, hidden_size=4, front_end=True), EventTimingLoss(1, 1, 0.1, 7, 21)),
    ],
)
def test_channels_types_frames_and_periods_are_arguments_from_the_loss_to_the_stream(make, loss):
    torch.manual_seed(0)
    model, x = make(), signal(2, 140, 3)
    labels = torch.tensor([[1.0, 0, 0, 0, 1], [0, 0, 1, 0, 0]])
    timings = torch.where(labels == 1, 139.0, torch.nan)  # in the last of 20 frames
    outputs = model(x)
    loss(*((outputs,) if isinstance(model, EventDetector) else outputs), labels, timings)["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    live = LiveDetector(model.eval(), 0.0, window=70, margin=14)
    found = [*live.push(x[0].numpy()), *live.flush()]
    assert {kind for kind, *_ in found} <= set(range(5)) and violations(found, 21) == 0 < violations(found, 1000)
    assert live.latency_samples == 42 + 14 + 4 * 7 + 21


def test_no_item_depends_on_padding_or_its_batch_mates(model):
    """Lengths that are no multiple of the frame included, and NaN in the padding."""
    x = signal(3, 437, 6)
    lengths = torch.tensor([437, 203, 51])
    x[1, 203:], x[2, 51:] = torch.nan, torch.inf
    together = model(x, lengths)
    for i, length in enumerate(lengths.tolist()):
        alone = model(x[i : i + 1, :length])
        frames = -(-length // 10)
        for batched, single in zip(together, alone, strict=True):
            if batched.dim() == 3:
                batched = batched[:, :frames]
            torch.testing.assert_close(batched[i], single[0], rtol=1e-4, atol=1e-5)


def test_padding_frames_score_nothing(model):
    scores, _ = model.frame_scores(signal(2, 400, 6), torch.tensor([400, 55]))
    assert (scores[1, 6:] == 0).all() and (scores[1, :6] > 0).any()


def test_gradients_are_finite_with_padding_absent_types_and_no_events(model):
    model.train()
    loss = HeatmapLoss() if isinstance(model, EventDetector) else EventTimingLoss()
    x, lengths = signal(3, 400, 6), torch.tensor([400, 131, 400])
    labels, timings = torch.zeros(3, 16), torch.full((3, 16), torch.nan)
    labels[0, [2, 5]], timings[0, 2], timings[0, 5] = 1.0, 130.0, 130.0  # two types at one sample
    labels[1, 3], timings[1, 3] = 1.0, 130.9  # the last sample of a padded window; window 2 has no events
    outputs = model(x, lengths)
    arguments = (outputs,) if isinstance(model, EventDetector) else outputs
    losses = loss(*arguments, labels, timings, lengths)
    losses["loss"].backward()
    assert all(value.isfinite() for value in losses.values())
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, 400, 5), r"expected \(B, T, 6\), got \(2, 400, 5\)"),
        (torch.zeros(2, 400, 7), r"expected \(B, T, 6\), got \(2, 400, 7\)"),
        (torch.zeros(2, 6, 400), "is the time axis last"),
        (torch.zeros(400, 6), "got"),
        (torch.zeros(2, 0, 6), "at least one item and one sample"),
        (torch.zeros(0, 400, 6), "at least one item"),
        (torch.zeros(2, 400, 6, dtype=torch.int64), "floating point"),
    ],
)
def test_other_inputs_are_refused(model, x, message):
    with pytest.raises(ValueError, match=message):
        model(x)


@pytest.mark.parametrize("lengths", [[400], [400, 0], [400, 401], [4.0, 4.0]])
def test_bad_lengths_are_refused(model, lengths):
    with pytest.raises(ValueError, match="lengths"):
        model(signal(2, 400, 6), torch.tensor(lengths))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden_size": 0}, "hidden_size"),
        ({"presence": "max"}, "presence"),
        ({"hidden_size": 7, "bidirectional": False}, "num_heads"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        LSTMEventClassifier(**arguments)


def test_heads_of_the_detector_divide_its_width():
    with pytest.raises(ValueError, match="attention_heads: expected a divisor of 16, the width, got 3"):
        EventDetector(width=16, attention_heads=3)


def test_without_attention_the_answers_are_read_off_the_lstm():
    options = {"timing_resolution_samples": 1, "presence": "logsumexp"}
    model, x = LSTMEventClassifier(hidden_size=8, attention=False, **options).eval(), signal(2, 30, 6)
    event_logits, timing_logits = model(x)
    torch.testing.assert_close(timing_logits, model.timing_head(model.lstm(x)[0]))
    torch.testing.assert_close(event_logits, timing_logits.exp().mean(1).log())
    torch.manual_seed(0)
    whole = LSTMEventClassifier(hidden_size=8, **options)
    torch.manual_seed(0)
    model = LSTMEventClassifier(hidden_size=8, attention=False, **options)
    assert torch.equal(model.timing_head.weight, whole.timing_head.weight)
    names = {name.partition(".")[0] for name in model.state_dict()}
    assert names == {"lstm", "timing_head", "event_bias"}


def test_attention_without_residual_forgets_which_frame_it_was():
    """The first flaw: with attention that spreads evenly, all frames become alike, unless the input is added."""
    torch.manual_seed(0)
    for residual in (False, True):
        model = LSTMEventClassifier(hidden_size=8, residual=residual, dropout=0.0).eval()
        model.attention.in_proj_weight.data[:32] = 0  # queries and keys: even attention
        _, timing_logits = model(signal(1, 400, 6))
        assert (timing_logits.std(dim=1).max() > 1e-3) == residual


def test_mean_presence_fades_with_the_length_of_the_window():
    """The second flaw: what one frame says counts 1 / F in the mean, and in full in the logsumexp, less log F."""
    frames = torch.zeros(1, 200, 1)
    frames[0, 17] = 20.0
    assert frames.mean(dim=1).item() == pytest.approx(0.1)
    assert (torch.logsumexp(frames, dim=1) - torch.tensor(200.0).log()).item() > 14


@pytest.mark.parametrize("name", ["detector", "both repairs"])
def test_a_state_dict_of_another_size_is_refused(name, tmp_path):
    save(tmp_path / "best.safetensors", {"weights": weights_of(SMALL[name]())})
    load_weights(SMALL[name](), tmp_path / "best.safetensors")
    with pytest.raises(CheckpointError, match="does not fit"):
        load_weights(EventDetector(width=8), tmp_path / "best.safetensors")


@pytest.mark.parametrize("damage", ["cut short", "changed", "a pickle"])
def test_damaged_files_and_pickles_are_refused(damage, tmp_path):
    file = tmp_path / "best.safetensors"
    model = SMALL["detector"]()
    save(file, {"weights": weights_of(model)})
    content = bytearray(file.read_bytes())
    if damage == "cut short":
        file.write_bytes(content[:-100])
    elif damage == "changed":
        content[-7] ^= 1
        file.write_bytes(content)
    else:
        torch.save(model.state_dict(), file)
    with pytest.raises(CheckpointError):
        load_weights(model, file)


def test_the_detector_learns_two_types_in_a_few_seconds():
    torch.manual_seed(0)
    events = dict(seq_len=500, num_events=2, event_rate=3.0, snr_db=10.0, templates=event_templates(2, 6))
    loader = FreshEvents(10, 16, seed=0, **events)
    model, loss = EventDetector(num_events=2, width=32, dilations=(1, 2), attention_heads=0), HeatmapLoss()

    def step(network, batch):
        return loss(network(batch.x, batch.lengths), batch.labels, batch.timings, batch.lengths)

    fit(model, loader, epochs=12, training_step=step, optimizer=lambda p: torch.optim.AdamW(p, 4e-3), progress=False)
    data, labels, timings = make_events(40, seed=9, **events)
    mean, std = loader.statistics
    scores, offsets = model.eval().frame_scores(torch.from_numpy((data - mean) / std))
    found = [decode_peaks(s.numpy(), o.numpy(), threshold=0.5) for s, o in zip(scores, offsets, strict=True)]
    assert event_scores(window_events(labels, timings), found, 5, 2000).f1 > 0.9


def test_an_ensemble_is_the_mean_of_its_members():
    torch.manual_seed(0)
    members = [EventDetector(width=16, dilations=(1,)).eval() for _ in range(3)]
    ensemble = EventEnsemble(members)
    x = signal(2, 100, 6)
    scores, offsets = ensemble.frame_scores(x)
    torch.testing.assert_close(scores, torch.stack([m.frame_scores(x)[0] for m in members]).mean(0))
    assert offsets.shape == (2, 10, 16) and ensemble.opinions(x)[0].std(0).max() > 0
    with pytest.raises(ValueError, match="equal input_size"):
        EventEnsemble([members[0], EventDetector(input_size=5)])
    with pytest.raises(ValueError, match="at least one"):
        EventEnsemble([])


def test_dropout_gives_opinions_that_repeat():
    torch.manual_seed(0)
    model = EventDetector(width=16, dilations=(1,), dropout=0.3).eval()
    several, x = MonteCarloDropout(model, samples=4), signal(1, 100, 6)
    before = torch.random.get_rng_state()
    first, second = several.opinions(x)[0], several.opinions(x)[0]
    assert torch.equal(first, second) and first.std(0).max() > 0
    assert torch.equal(before, torch.random.get_rng_state())
    assert not any(module.training for module in model.modules())
    with pytest.raises(ValueError, match="dropout"):
        MonteCarloDropout(EventDetector(width=16))
