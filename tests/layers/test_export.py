"""A step function as a graph: exported, saved, and run by a process that has never seen the library."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree

import course_lib.layers as sl


class Step(nn.Module):
    """`layer.step` between plain tensors: (values, mask, state) -> (values, mask, state)."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, values, mask, state):
        y, state = self.layer.step(sl.Sequence(values, mask), state, training=False)
        return y.values, y.mask, state


def transformer(layers, channels, past, future=0, **options):
    blocks = []
    for _ in range(layers):
        attention = sl.DotProductSelfAttention(channels, 4, channels // 4, past, future, **options)
        feed_forward = [sl.LayerNorm(channels), sl.Dense(2 * channels, channels), sl.ReLU(), sl.Dense(channels)]
        blocks += [
            sl.Residual(sl.Sequential([sl.LayerNorm(channels), attention, sl.Dense(channels, channels)])),
            sl.Residual(sl.Sequential(feed_forward)),
        ]
    return sl.Sequential(blocks)


def export(layer, x, steps):
    layer.layer(x)  # lazy parameters take their shapes
    state = layer.initial_state(x.shape[0], x.spec)
    program = torch.export.export(Step(layer.eval()), (x.values[:, :steps], x.mask[:, :steps], state))
    return program, state


def loop(step, x, steps, state, latency):
    values, masks = [], []
    blank = sl.Sequence.invalid(x.shape[0], latency + -(x.shape[1] + latency) % steps, x.spec)
    padded = sl.Sequence.concatenate([x, blank])
    for start in range(0, padded.shape[1], steps):
        block = padded[:, start : start + steps]
        y, mask, state = step(block.values, block.mask, state)
        values.append(y)
        masks.append(mask)
    y = sl.Sequence(torch.cat(values, dim=1), torch.cat(masks, dim=1))
    return y[:, latency : latency + x.shape[1]]


LAYERS = {
    "causal": lambda: transformer(2, 16, past=5),
    "rotary, grouped heads, bias": lambda: transformer(1, 16, past=5, rotary=100.0, num_kv_heads=2, bias=True),
    "look-ahead": lambda: transformer(2, 16, past=5, future=2),
    "capacity": lambda: transformer(1, 16, past=-1, capacity=20),
    "T5 bias": lambda: transformer(1, 16, past=5, relative_position=sl.T5RelativePositionBias(4, 8, 6)),
    "LSTM": lambda: sl.Sequential([sl.AddTimingSignal(), sl.LSTM(16, 12), sl.GRU(12, 8)]),
}


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("name", LAYERS)
def test_exported_step_equals_layer(name, steps):
    layer = LAYERS[name]()
    x = sl.random_sequence(2, 18, 16, seed=0, lengths=[18, 11])
    program, state = export(layer, x, steps)
    with torch.no_grad():
        got, expected = loop(program.module(), x, steps, state, layer.output_latency), layer.layer(x, training=False)
    assert torch.equal(got.mask, expected.mask)
    torch.testing.assert_close(got.masked().values, expected.masked().values, rtol=1e-4, atol=1e-5)


RUN = """
import sys
sys.modules["course_lib"] = None  # an import of it would fail
import torch
folder = sys.argv[1]
step = torch.export.load(folder + "/step.pt2").module()
values, mask, state = torch.load(folder + "/inputs.pt")
outputs = []
for t in range(values.shape[1]):
    y, _, state = step(values[:, t : t + 1], mask[:, t : t + 1], state)
    outputs.append(y)
torch.save(torch.cat(outputs, dim=1), folder + "/outputs.pt")
"""


@pytest.mark.slow
def test_six_layers_saved_and_run_without_the_library(tmp_path):
    model = transformer(6, 32, past=8, rotary=10_000.0)
    x = sl.random_sequence(2, 40, 32, seed=0)
    program, state = export(model, x, 1)
    assert all(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves(state))
    torch.export.save(program, tmp_path / "step.pt2")
    torch.save((x.values, x.mask, state), tmp_path / "inputs.pt")
    subprocess.run([sys.executable, "-c", RUN, str(tmp_path)], check=True)
    with torch.no_grad():
        expected = model.layer(x, training=False).values
    torch.testing.assert_close(torch.load(tmp_path / "outputs.pt"), expected, rtol=1e-4, atol=1e-5)


WITH_STEPS_LEFT_OPEN = {
    "dense": lambda: sl.Dense(4, 4),
    "convolution": lambda: sl.Conv1D(4, 4, 3, padding="same"),
    "strided convolution": lambda: sl.Conv1D(4, 4, 3, stride=2, padding="same"),
    "whole windows": lambda: sl.Conv1D(4, 4, 3, stride=2, padding="valid"),
    "transposed convolution": lambda: sl.Conv1DTranspose(4, 4, 4, 2),
    "pooling": lambda: sl.MaxPooling1D(3, 2),
    "spectra": lambda: sl.STFT(8, 2, padding="semicausal_full"),
    "group norm": lambda: sl.GroupNorm(2, 4),
    "positions": lambda: sl.PositionalEncoding(4),
    "encoder block, limited past": lambda: sl.EncoderBlock(4, 2, rotary=100.0, max_past_horizon=3),
    "encoder block, causal": lambda: sl.EncoderBlock(4, 2, max_future_horizon=0),
    "residual block": lambda: sl.ResidualBlock(4, 6),
}


@pytest.mark.parametrize("name", WITH_STEPS_LEFT_OPEN)
def test_a_whole_sequence_exports_with_its_number_of_steps_left_open(name):
    """Recurrent layers and accumulators are no such, whose kernels and chunks are laid out for one length; of several
    strides in a row PyTorch cannot prove that two ways to round up agree."""
    layer = WITH_STEPS_LEFT_OPEN[name]().eval()
    steps = torch.export.Dim("steps", min=16, max=4096)
    exported = torch.export.export(layer, (torch.randn(2, 64, 4),), dynamic_shapes=({1: steps},), strict=False)
    for length in (16, 37, 101):
        x = torch.randn(2, length, 4)
        torch.testing.assert_close(exported.module()(x), layer(x), rtol=1e-4, atol=1e-5)
