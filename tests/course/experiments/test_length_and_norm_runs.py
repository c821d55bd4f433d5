"""The recorded runs of notebooks 05 and 06: what their models are."""

import pytest
import torch

from course_lib.course.experiments import longer_than_trained, norms_and_gates
from course_lib.models import StepLabeller


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
