"""Pooling against PyTorch and plain loops, with infinities, extreme integers and windows that hold nothing valid."""

import pytest
import torch
import torch.nn.functional as F

import course_lib.layers as sl
from course_lib.sequence import Sequence, ragged

LAYERS = (sl.MaxPooling1D, sl.MinPooling1D, sl.AveragePooling1D)


@pytest.mark.parametrize("stride, dilation", [(1, 1), (2, 1), (3, 2)])
def test_equals_pytorch(stride, dilation):
    x = torch.randn(2, 20, 3)
    padded = F.pad(x.transpose(1, 2), (2 * dilation, 0), value=-torch.inf)
    expected = F.max_pool1d(padded, 3, stride, dilation=dilation).transpose(1, 2)
    torch.testing.assert_close(sl.MaxPooling1D(3, stride, "causal", dilation)(x), expected)
    torch.testing.assert_close(sl.MinPooling1D(3, stride, "causal", dilation)(-x), -expected)
    if dilation == 1:
        expected = F.avg_pool1d(F.pad(x.transpose(1, 2), (2, 0)), 3, stride).transpose(1, 2)
        torch.testing.assert_close(sl.AveragePooling1D(3, stride, "causal")(x), expected)


def test_two_dimensions_equal_pytorch():
    x = torch.randn(2, 9, 6, 3)
    image = x.permute(0, 3, 1, 2)
    expected = F.max_pool2d(image, (3, 2), (1, 2), padding=(1, 0)).permute(0, 2, 3, 1)
    torch.testing.assert_close(sl.MaxPooling2D((3, 2), (1, 2), "same", "valid")(x), expected)
    expected = F.avg_pool2d(image, (3, 2), (1, 2), padding=(1, 0)).permute(0, 2, 3, 1)
    torch.testing.assert_close(sl.AveragePooling2D((3, 2), (1, 2), "same", "valid")(x), expected)


def test_three_dimensions_equal_pytorch():
    x = torch.randn(2, 9, 6, 5, 3)
    volume = x.permute(0, 4, 1, 2, 3)
    kernel, stride, padding = (3, 2, 3), (1, 2, 1), (1, 0, 0)
    expected = F.max_pool3d(volume, kernel, stride, padding=padding).permute(0, 2, 3, 4, 1)
    torch.testing.assert_close(sl.MaxPooling3D(kernel, stride, "same", "valid")(x), expected)
    torch.testing.assert_close(sl.MinPooling3D(kernel, stride, "same", "valid")(-x), -expected)
    expected = F.avg_pool3d(volume, kernel, stride, padding=padding).permute(0, 2, 3, 4, 1)
    torch.testing.assert_close(sl.AveragePooling3D(kernel, stride, "same", "valid")(x), expected)


@pytest.mark.parametrize("layer", LAYERS)
def test_stride_is_the_pool_size_where_none_is_given(layer):
    assert layer(3).block_size == 3


def test_infinite_values_are_kept_and_padding_never_wins():
    values = torch.tensor([[-torch.inf, -torch.inf, 5.0, 99.0]])
    x = Sequence(values, torch.tensor([[True, True, True, False]]))
    assert sl.MaxPooling1D(2, 1).layer(x).values[0, :3].tolist() == [-torch.inf, -torch.inf, 5.0]
    assert sl.MinPooling1D(2, 1, "reverse_causal").layer(x).values[0, :3].tolist() == [-torch.inf, -torch.inf, 5.0]


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int8, torch.uint8])
def test_extreme_integers(dtype):
    low, high = torch.iinfo(dtype).min, torch.iinfo(dtype).max
    x = torch.tensor([[low, low, high, high]], dtype=dtype)
    assert sl.MaxPooling1D(2, 1, "same")(x).tolist() == [[low, high, high, high]]
    assert sl.MinPooling1D(2, 1, "same")(x).tolist() == [[low, low, high, high]]
    assert sl.MinPooling1D(2, 1, "causal")(x).tolist() == [[low, low, low, high]]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_window_without_valid_steps_gives_a_finite_number(layer):
    x = Sequence(torch.full((2, 6, 1), torch.nan), torch.zeros(2, 6, dtype=torch.bool))
    for y in (layer(3, 1, "same").layer(x), sl.stream(layer(3, 1, "same"), x)):
        assert y.values.isfinite().all() and not y.mask.any()


def test_a_valid_output_can_have_no_valid_tap():
    # Taps one step before and one after the anchor, which alone is valid.
    x = Sequence.of(torch.tensor([[4.0]]))
    assert sl.MaxPooling1D(2, 1, "same", dilation=2)(x.values).tolist() == [[0.0]]


def test_masked_average_counts_valid_steps_only():
    x = ragged(2, lengths=(7, 4))
    holes = Sequence(x.values, x.mask & (torch.arange(7) != 2))
    y = sl.AveragePooling1D(3, 1, masked_average=True).layer(holes)
    for item in range(2):
        for t in range(7):
            window = [s for s in range(max(t - 2, 0), t + 1) if holes.mask[item, s]]
            if y.mask[item, t]:
                torch.testing.assert_close(y.values[item, t], x.values[item, window].mean(dim=0))


def test_refuses_what_it_cannot_order():
    for layer, x in (
        (sl.MaxPooling1D(2), torch.zeros(1, 4, dtype=torch.complex64)),
        (sl.MinPooling1D(2), torch.ones(1, 4) > 0),
    ):
        with pytest.raises(ValueError, match="expected real numbers"):
            layer(x)
    with pytest.raises(ValueError, match="expected real floating-point"):
        sl.AveragePooling1D(2)(torch.ones(1, 4, dtype=torch.long))
    with pytest.raises(ValueError, match=r"\(B, T, H, C\)"):
        sl.MaxPooling2D(2)(torch.ones(1, 4, 3))
