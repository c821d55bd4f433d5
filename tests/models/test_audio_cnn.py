"""AudioCNN: its size, what it computes, and what it refuses."""

import pytest
import torch
import torch.nn.functional as F

from course_lib.models import AudioCNN, ChannelsLast


def test_size_of_every_layer():
    counts = [parameter.numel() for parameter in AudioCNN().parameters()]
    assert counts == [96, 32, 6144, 64, 24576, 128, 2_560_000, 10]
    assert sum(counts) == 2_591_050


@pytest.mark.parametrize("length", [8, 15, 1000])
def test_logits_for_any_length_it_was_built_for(length):
    model = AudioCNN(num_classes=3, input_length=length)
    assert model(torch.randn(2, 1, length)).shape == (2, 3)


def test_equals_the_functional_form():
    model = AudioCNN(num_classes=4, input_length=50).double()
    x = torch.randn(3, 1, 50, dtype=torch.float64)
    w = list(model.parameters())
    h = F.max_pool1d(F.relu(F.conv1d(x, w[0], w[1], padding=1)), 2)
    h = F.max_pool1d(F.relu(F.conv1d(h, w[2], w[3], padding=1)), 2)
    h = F.avg_pool1d(F.relu(F.conv1d(h, w[4], w[5], padding=1)), 2)
    torch.testing.assert_close(model(x), F.linear(h.flatten(1), w[6], w[7]))


def test_faster_layout_of_the_recorded_run_computes_the_same():
    model = AudioCNN(num_classes=4, input_length=50).double()
    x = torch.randn(3, 1, 50, dtype=torch.float64)
    model(x).square().sum().backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    outputs = ChannelsLast(model)(x)
    torch.testing.assert_close(outputs, model(x))
    outputs.square().sum().backward()
    torch.testing.assert_close([parameter.grad for parameter in model.parameters()], gradients)


def test_is_not_invariant_to_shifts():
    """The linear layer has a weight for every position, which notebook 02 names as a cause of the overfitting."""
    model = AudioCNN(num_classes=4, input_length=800)
    x = torch.randn(2, 1, 800)
    assert not torch.allclose(model(x), model(x.roll(8, dims=2)), atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 1, 90), r"expected 100 samples, got 90"),
        ((2, 100), r"expected \(B, 1, 100\), got \(2, 100\)"),
        ((2, 100, 1), r"got \(2, 100, 1\): one channel, time last"),
        ((100,), r"expected \(B, 1, 100\)"),
    ],
)
def test_wrong_shapes_are_named(shape, message):
    with pytest.raises(ValueError, match=message):
        AudioCNN(input_length=100)(torch.zeros(shape))


def test_arguments_out_of_range_are_named():
    with pytest.raises(ValueError, match="num_classes: expected at least 2, got 1"):
        AudioCNN(num_classes=1)
    with pytest.raises(ValueError, match="input_length: expected at least 8 samples"):
        AudioCNN(input_length=7)
