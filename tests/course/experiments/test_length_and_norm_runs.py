"""The recorded runs of notebooks 05 and 06, a few steps each: what their models are, and what is written."""

import argparse

import pytest
import torch

from course_lib.course.experiments import longer_than_trained, norms_and_gates, results
from course_lib.models import StepLabeller


def test_longer_than_trained_writes_three_lengths_of_each_variant(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    arguments = argparse.Namespace(seeds=[0, 1], tasks=["echo"], encodings=["rotary", "learned"], steps=2, command="")
    longer_than_trained.run(arguments)
    table = results.read("longer_than_trained").set_index("measure")
    names = ["rotary", "rotary, horizon L − 1 in the test", "learned", "learned, stretched in the test"]
    assert list(table.index) == [
        f"echo: {n}: {times} L" for pair in (names[:2], names[2:]) for times in (1, 2, 4) for n in pair
    ]
    models = [longer_than_trained.train("echo", "rotary", seed, 2) for seed in (0, 1)]
    scores = [longer_than_trained.right_steps(model, "echo", 4).nanmean().item() for model in models]
    row = table.loc["echo: rotary: 4 L"]
    assert row.value == pytest.approx(sum(scores) / 2, abs=1e-3)
    assert row["std"] == pytest.approx(abs(scores[1] - scores[0]) / 2**0.5, abs=1e-3)


def test_a_horizon_put_on_afterwards_hides_what_is_further_away():
    torch.manual_seed(0)
    model = StepLabeller("rotary", 3, 4, train_length=8, num_layers=1).eval()
    narrow = longer_than_trained.with_horizon(model, 2)
    x = torch.randn(1, 12, 3, requires_grad=True)
    seen = torch.autograd.grad(narrow(x)[0, 6].sum(), x)[0][0].abs().sum(1) > 0
    assert seen.tolist() == [4 <= step <= 8 for step in range(12)]
    assert (torch.autograd.grad(model(x)[0, 6].sum(), x)[0][0].abs().sum(1) > 0).all()


def test_a_stretched_table_keeps_its_ends_and_draws_the_rest_between():
    model = StepLabeller("learned", 3, 4, train_length=5)
    drawn = longer_than_trained.stretched(model, 5, 9).positions.weight
    rows = model.positions.weight[:5]
    torch.testing.assert_close(drawn[::2], rows)
    torch.testing.assert_close(drawn[1::2], (rows[1:] + rows[:-1]) / 2)


def test_unknown_encoding_is_named():
    with pytest.raises(ValueError, match="encoding: expected one of .*, got 'fourier'"):
        StepLabeller("fourier", 3, 4, 8)


def test_norms_and_gates_writes_depths_and_paired_gates(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    real = norms_and_gates.train
    monkeypatch.setattr(norms_and_gates, "train", lambda model, seed, steps, *rest, **options: real(model, seed, 2))
    norms_and_gates.run(argparse.Namespace(parts=["depth", "gate"], seeds=[0, 1], depths=[2], command=""))
    table = results.read("norms_and_gates").set_index("measure")
    assert len(table) == len(norms_and_gates.WAYS) + 3 * len(norms_and_gates.RATES)
    for rate in ("0.001", "0.004"):
        gain = table.loc[f"swiglu: rate {rate}", "value"] - table.loc[f"gelu: rate {rate}", "value"]
        assert table.loc[f"swiglu − gelu: rate {rate}", "value"] == pytest.approx(gain, abs=2e-4)


def test_gates_of_equal_weight_and_a_gradient_for_every_block():
    sizes = {
        kind: sum(
            p.numel()
            for name, p in norms_and_gates.stack(2, "pre", 0, feed_forward=kind, hidden_size=width).named_parameters()
            if p.dim() == 2
        )
        for kind, width in norms_and_gates.HIDDEN_SIZES.items()
    }
    assert sizes["gelu"] == sizes["swiglu"]
    norms = norms_and_gates.gradient_by_block(norms_and_gates.stack(3, "post", 0))
    assert len(norms) == 3 and min(norms) > 0
