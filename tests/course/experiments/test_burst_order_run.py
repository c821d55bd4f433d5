"""The recorded run of the finale: fields of its tasks, models that differ in one thing, the tables that it writes."""

import pandas as pd
import pytest
import torch

from course_lib.course.experiments import burst_distance, burst_field, burst_order, results
from course_lib.course.experiments.burst_order import BARE, FULL, LSTMS, MODELS, ROCKET, TASKS, WIDE


def field(model) -> int:
    """Samples that a token of the convolutions depends on, found by asking for gradients."""
    model.eval()
    x = torch.randn(1, model.config.max_signal_length, 1, requires_grad=True)
    tokens = model.features(x)  # (1, N, C)
    tokens[0, tokens.shape[1] // 2].sum().backward()
    touched = x.grad[0, :, 0].nonzero()[:, 0]
    return int(touched.max() - touched.min() + 1)


@pytest.mark.parametrize("task, expected", [("far", 39), ("1,536 samples", 375)])
def test_no_token_sees_two_bursts(task, expected):
    asked = TASKS[task]
    assert field(burst_order.make_model(asked, BARE, squeeze=False)) == expected <= asked.gap[0]
    assert asked.margin >= expected or task == "1,536 samples"


def test_a_token_of_the_dilated_network_sees_the_whole_signal():
    asked = TASKS["far"]
    assert field(burst_order.make_model(asked, WIDE, 2 * asked.length, squeeze=False)) == 2 * asked.length


def test_without_encoder_the_order_of_far_bursts_makes_no_difference():
    asked = TASKS["far"]
    torch.manual_seed(0)
    burst = torch.zeros(3, asked.length)
    for n, period in enumerate((24.0, 13.0, 7.0)):
        burst[n, :60] = torch.hann_window(60) * torch.sin(2 * torch.pi * torch.arange(60) / period)
    places = [48, 192, 336]  # multiples of the tokens' stride, farther apart than the field
    one, other = (sum(burst[n].roll(at) for n, at in zip(o, places, strict=True)) for o in ([0, 1, 2], [2, 0, 1]))
    answers = {}
    for model in (BARE, FULL):
        network = burst_order.make_model(asked, model).eval()
        with torch.no_grad():
            a, b = network(torch.stack([one, other]))
        answers[model] = (a - b).abs().max().item()
    assert answers[BARE] < 1e-5 < 1e-4 < answers[FULL]


@pytest.mark.parametrize("piece", burst_order.PIECES)
def test_every_piece_can_be_taken_out(piece):
    network = burst_order.make_model(TASKS["far"], FULL, **burst_order.PIECES[piece])
    assert network(torch.randn(2, 64)).shape == (2, 6)


def test_run_writes_its_tables(record, monkeypatch):
    monkeypatch.setattr(burst_order, "TESTED", 12)
    only = [f"far: {model}" for model in (LSTMS, BARE, ROCKET)]
    table = record(burst_order, "--signals", "40", "--seeds", "0", "1", "--only", *only)
    assert table.loc[f"far: {LSTMS}: twice the gaps", "seeds"] == 2 and len(MODELS) == 5
    mean = pd.read_csv(results.RESULTS / "detail" / "burst_order_seeds.csv").groupby("setting")["accuracy"].mean()
    for setting in only:
        assert table.loc[f"{setting}: accuracy", "value"] == pytest.approx(mean[setting], abs=1e-3)


def test_field_run_writes_what_it_measured(record, monkeypatch):
    monkeypatch.setattr(burst_field, "TESTED", 12)
    table = record(burst_field, "--signals", "40", "--seeds", "0", "1", "--only", "*375, silence 40*")
    kept = pd.read_csv(results.RESULTS / "detail" / "burst_field_seeds.csv")
    assert table["value"].item() == pytest.approx(kept["accuracy"].mean(), abs=1e-3) and len(kept) == 2


def test_accuracy_by_distance_is_kept_and_its_means_recorded(record, monkeypatch):
    monkeypatch.setattr(burst_distance, "TESTED", 12)
    table = record(burst_distance, "--signals", "40", "--seeds", "0", "1", "--only", BARE, ROCKET)
    kept = pd.read_csv(results.RESULTS / "detail" / "burst_distance_seeds.csv")
    assert sorted(set(kept["distance"])) == list(burst_distance.DISTANCES) and len(kept) == 2 * 2 * 13
    for model in (BARE, ROCKET):
        near = kept[(kept["setting"] == model) & (kept["distance"] <= 80)]["accuracy"].mean()
        far = kept[(kept["setting"] == model) & (kept["distance"] >= 160)]["accuracy"].mean()
        assert table.loc[f"{model}: at most 80 samples", "value"] == pytest.approx(near, abs=1e-3)
        assert table.loc[f"{model}: at least 160 samples", "value"] == pytest.approx(far, abs=1e-3)


def test_distances_lie_on_both_sides_of_the_field():
    task = burst_distance.TASK
    seen = field(burst_order.make_model(task, BARE, squeeze=False))
    assert seen == 207 < task.margin and min(burst_distance.DISTANCES) < seen < max(burst_distance.DISTANCES)
    data = burst_distance.training_signals(40, 0)
    gaps = data.starts[:, 1:] - data.ends[:, :2]
    assert gaps[:20].max() <= 40 < gaps[20:].max() and len(data.signals) == 40


@pytest.mark.parametrize("expected, dilations", burst_field.FIELDS.items())
def test_fields_are_what_their_names_say(expected, dilations):
    task = TASKS["far"]._replace(dilations=dilations)
    assert field(burst_order.make_model(task, BARE, squeeze=False)) == expected
