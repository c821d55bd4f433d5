"""Training on windows of streams: the memory goes on, the gradient does not."""

import pytest
import torch
from torch import nn

from course_lib.training import fit, truncated_step


class Leaky(nn.Module):
    """A model after the step's convention: it keeps its state from call to call, cut from the graph."""

    def __init__(self):
        super().__init__()
        self.decay, self.readout, self.state = nn.Parameter(torch.tensor(0.5)), nn.Linear(2, 3), None

    def forward(self, inputs, first):
        state = torch.zeros(len(inputs), 2) if self.state is None else self.state
        state, states = torch.where(first[:, None], 0.0, state), []
        for x in inputs.unbind(1):
            state = self.decay * state + x
            states.append(state)
        self.state = state.detach()
        return self.readout(torch.stack(states, dim=1))


def batch(steps=4, first=True):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, steps, 2, generator=generator)
    return x, torch.randint(3, (2, steps), generator=generator), torch.full((2,), first)


def test_loss_and_accuracy_are_means_over_the_steps_that_count():
    model, (x, y, first) = Leaky(), batch()
    y[1, 2:] = -100
    values = truncated_step()(model, (x, y, first))
    logits = model(x, first)
    counted = torch.cat([logits[0], logits[1, :2]]), torch.cat([y[0], y[1, :2]])
    torch.testing.assert_close(values["loss"], nn.functional.cross_entropy(*counted))
    torch.testing.assert_close(values["accuracy"], (counted[0].argmax(1) == counted[1]).float().mean())


def test_another_loss():
    model, given = Leaky(), batch()
    values = truncated_step(lambda outputs, targets: (outputs.sum(1) - targets).square().mean())(model, given)
    expected = (model(given[0], given[2]).sum(-1) - given[1]).square().mean()
    torch.testing.assert_close(values["loss"], expected)


def test_it_trains_through_fit_window_after_window():
    x, y, _ = batch(steps=12)
    windows = [(x[:, t : t + 4], y[:, t : t + 4], torch.full((2,), t == 0)) for t in (0, 4, 8)]
    model = Leaky()
    table = fit(model, windows, epochs=30, training_step=truncated_step(), device="cpu", progress=False).table
    assert table.train_loss.iloc[-1] < table.train_loss.iloc[0] and model.decay != 0.5


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (batch()[:2], "inputs, targets, first.*tuple of 2"),
        ((batch()[0], batch()[1][:, :2], batch()[2]), r"\(2, 2\).*\(2, 4, 3\)"),
        ((batch()[0], torch.full((2, 4), -100), batch()[2]), "only -100"),
    ],
)
def test_batches_that_do_not_fit_are_refused(given, complaint):
    with pytest.raises(ValueError, match=complaint):
        truncated_step()(Leaky(), given)
