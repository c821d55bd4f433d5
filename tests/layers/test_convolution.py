"""Convolutions against PyTorch's modules, whose state dicts they load, and transposed ones against their adjoints."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import course_lib.layers as sl
from course_lib.sequence import Sequence, ragged

PADDED_MODES = ("causal", "reverse_causal", "same", "semicausal", "causal_valid", "reverse_causal_valid")


@pytest.mark.parametrize("steps", [9, 200])  # below and above the length at which the kernel changes
@pytest.mark.parametrize("stride, dilation, groups", [(1, 1, 1), (2, 1, 2), (3, 2, 1)])
@pytest.mark.parametrize("mode", [*PADDED_MODES, "valid"])
def test_conv1d_equals_pytorch_on_padded_input(mode, stride, dilation, groups, steps):
    theirs = nn.Conv1d(4, 6, 3, stride, dilation=dilation, groups=groups).double()
    ours = sl.Conv1D(4, 6, 3, stride, mode, dilation, groups).double()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, steps, 4, dtype=torch.float64)
    left, right = ours.windows.pads(steps)
    expected = theirs(F.pad(x.transpose(1, 2), (left, right))).transpose(1, 2)
    torch.testing.assert_close(ours(x), expected, rtol=1e-12, atol=1e-12)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    ours(inputs[0]).square().sum().backward()
    theirs(F.pad(inputs[1].transpose(1, 2), (left, right))).square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)


@pytest.mark.parametrize("ours, theirs", [(sl.Conv2D, nn.Conv2d), (sl.Conv3D, nn.Conv3d)])
def test_spatial_convolutions_equal_pytorch(ours, theirs):
    dimensions = ours.dimensions
    ours = ours(2, 6, 3, time_padding="same", groups=2)
    theirs = theirs(2, 6, 3, padding=1, groups=2)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 7, *(5, 4)[: dimensions - 1], 2)
    torch.testing.assert_close(ours(x), theirs(x.movedim(-1, 1)).movedim(1, -1), rtol=1e-4, atol=1e-5)


def test_depthwise_keeps_the_outputs_of_a_channel_together():
    layer = sl.DepthwiseConv1D(3, 1, depth_multiplier=2, bias=False)
    x = torch.randn(1, 5, 3)
    expected = x.repeat_interleave(2, dim=2) * layer.weight.flatten()
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("kernel_size, stride", [(3, 1), (4, 2), (5, 3), (2, 3), (1, 2)])
def test_transposed_equals_pytorch_in_full(kernel_size, stride):
    theirs = nn.ConvTranspose1d(4, 6, kernel_size, stride, output_padding=max(stride - kernel_size, 0), groups=2)
    x = torch.randn(2, 7, 4)
    complete = theirs(x.transpose(1, 2)).transpose(1, 2)
    overlap = max(kernel_size - stride, 0)
    starts = {"full": 0, "valid": 0, "causal": 0, "same": overlap // 2, "semicausal_full": overlap}
    for mode, start in starts.items():
        ours = sl.Conv1DTranspose(4, 6, kernel_size, stride, mode, groups=2)
        ours.load_state_dict(theirs.state_dict())
        length = 7 * stride + (overlap if start == 0 and mode in ("full", "valid") else 0)
        torch.testing.assert_close(ours(x), complete[:, start : start + length], rtol=1e-4, atol=1e-5)


def test_full_transposed_convolution_is_the_adjoint_of_the_valid_one():
    down = sl.Conv1D(3, 5, 4, stride=2, padding="valid", bias=False).double()
    up = sl.Conv1DTranspose(5, 3, 4, stride=2, padding="full", bias=False).double()
    up.weight.data = down.weight.data
    x, y = torch.randn(1, 14, 3, dtype=torch.float64), torch.randn(1, 6, 5, dtype=torch.float64)
    torch.testing.assert_close((down(x) * y).sum(), (x * up(y)).sum())


def test_conv2d_transpose_equals_pytorch():
    theirs = nn.ConvTranspose2d(2, 3, (4, 3), (2, 2))
    ours = sl.Conv2DTranspose(2, 3, (4, 3), (2, 2), "full", spatial_padding="full")
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 5, 6, 2)
    torch.testing.assert_close(ours(x), theirs(x.movedim(-1, 1)).movedim(1, -1), rtol=1e-4, atol=1e-5)


def test_a_full_transposed_convolution_marks_the_tail_of_each_item():
    x = Sequence(torch.randn(2, 4, 1), torch.tensor([[True] * 4, [True, True, False, False]]))
    layer = sl.Conv1DTranspose(1, 1, 5, stride=2, padding="full")
    assert layer.layer(x).lengths.tolist() == [11, 7]
    assert sl.stream(layer, x).lengths.tolist() == [11, 7]


def test_gradients_of_a_stream_reach_back_through_the_state():
    layer = sl.Conv1D(2, 3, 4, padding="causal")
    x = torch.randn(1, 8, 2, requires_grad=True)
    sl.stream(layer, Sequence.of(x), block_size=2)[:, 7:].values.sum().backward()
    assert (x.grad.abs().sum(dim=(0, 2)) > 0).tolist() == [False] * 4 + [True] * 4


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (lambda: sl.Conv1D(4, 6, 3, groups=2), lambda: nn.Conv1d(4, 6, 3, groups=2)),
        (lambda: sl.Conv2D(4, 6, (3, 2)), lambda: nn.Conv2d(4, 6, (3, 2))),
        (lambda: sl.Conv1DTranspose(4, 6, 3), lambda: nn.ConvTranspose1d(4, 6, 3)),
    ],
)
def test_the_initial_weights_are_drawn_as_pytorchs(ours, theirs):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours = ours().state_dict()
        torch.manual_seed(0)
        theirs = theirs().state_dict()
    for name, expected in theirs.items():
        torch.testing.assert_close(ours[name], expected)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: sl.Conv1D(4, 6, 3, groups=4), "out_channels: .* groups=4, got 6"),
        (lambda: sl.Conv1D(4, 6, 3, groups=0), "groups=0"),
        (lambda: sl.Conv1D(4, 6, 3, padding="left"), "padding: .* got 'left'"),
        (lambda: sl.Conv2D(4, 6, (3, 3, 3)), "kernel_size: expected one value or 2"),
        (lambda: sl.Conv1DTranspose(4, 6, 3, padding="reverse_causal"), "padding: .* 'reverse_causal'"),
    ],
)
def test_refuses_arguments_that_do_not_fit(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("layer", [sl.Conv1D(4, 6, 3), sl.Conv1DTranspose(4, 6, 3), sl.Conv2D(4, 6, 3)])
def test_refuses_inputs_that_do_not_fit(layer):
    for x in (ragged(5), ragged(3, 5), ragged(), ragged(4)):  # the last: float64 into float32
        with pytest.raises(ValueError, match="x: expected"):
            layer.layer(x)


def test_steps_export():
    model = sl.Sequential([sl.Conv1D(4, 5, 3, padding="same"), sl.MaxPooling1D(2), sl.Conv1DTranspose(5, 2, 4, 2)])
    x = torch.randn(1, 2 * model.block_size, 4)
    state = model.initial_state(1, Sequence.of(x).spec)

    class Step(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, values, mask, state):
            y, state = self.model.step(Sequence(values, mask), state, training=False)
            return y.values, y.mask, state

    arguments = (x, torch.ones(x.shape[:2], dtype=torch.bool), state)
    program = torch.export.export(Step(), arguments)
    torch.testing.assert_close(program.module()(*arguments), Step()(*arguments))


@pytest.mark.parametrize("length", [1, 2, 5, 64, 131])
@pytest.mark.parametrize("kernel, stride, dilation", [(3, 1, 1), (3, 2, 1), (5, 3, 2), (4, 2, 1), (7, 1, 4)])
def test_convolution_that_pads_by_itself_is_the_padded_one(length, kernel, stride, dilation):
    layer = sl.Conv1D(2, 3, kernel, stride, "same", dilation).double()
    values = torch.randn(2, length, 2, dtype=torch.float64)
    known = layer(sl.Sequence.of(values))
    unknown = layer(sl.Sequence(values, torch.ones(2, length, dtype=torch.bool)))
    torch.testing.assert_close(known.values, unknown.values, rtol=1e-12, atol=1e-12)
    assert torch.equal(known.mask, unknown.mask)
