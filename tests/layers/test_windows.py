"""Window arithmetic against numbers counted by hand, and the mask rules on masks with holes."""

import pytest
import torch

from course_lib.layers.windows import PADDING_MODES, WindowedLayer, Windows, pad_axis
from course_lib.sequence import Sequence

# mode, kernel, stride, dilation -> before, ahead, output latency, input latency, buffer, outputs for 13 steps
COUNTED = {
    ("causal", 3, 1, 2): (4, 0, 0, 0, 4, 13),
    ("causal", 3, 2, 1): (2, 0, 0, 0, 2, 7),
    ("reverse_causal", 4, 2, 1): (0, 3, 1, 2, 2, 7),
    ("reverse_causal", 3, 1, 1): (0, 2, 2, 2, 2, 13),
    ("same", 4, 1, 1): (1, 2, 2, 2, 3, 13),
    ("same", 5, 3, 1): (2, 2, 0, 0, 2, 5),
    ("semicausal", 4, 2, 1): (2, 1, 0, 0, 2, 7),
    ("semicausal", 2, 3, 1): (0, 1, 0, 0, 0, 5),
    ("valid", 3, 1, 1): (0, 2, 2, 2, 2, 11),
    ("valid", 20, 1, 1): (0, 19, 19, 19, 19, 0),
    ("causal_valid", 3, 1, 1): (2, 0, 0, 0, 2, 13),
    ("reverse_causal_valid", 5, 3, 1): (0, 4, 1, 3, 3, 5),
    ("semicausal_full", 4, 2, 1): (2, 1, 0, 2, 2, 8),
    ("semicausal_full", 5, 3, 1): (2, 2, 0, 2, 2, 5),
}


@pytest.mark.parametrize("case", COUNTED)
def test_arithmetic_counted_by_hand(case):
    mode, kernel_size, stride, dilation = case
    w = Windows(kernel_size, stride, dilation, mode)
    found = (w.before, w.ahead, w.output_latency, w.input_latency, w.buffer, w.output_length(13))
    assert found == COUNTED[case]


@pytest.mark.parametrize("mode", PADDING_MODES)
def test_padding_makes_exactly_the_stated_number_of_windows(mode):
    for kernel_size in range(1, 6):
        for stride in range(1, 5):
            for dilation in (1, 2, 3):
                w = Windows(kernel_size, stride, dilation, mode)
                for length in range(1, 15):
                    padded = length + sum(w.pads(length))
                    assert max((padded - w.extent) // stride + 1, 0) == w.output_length(length)


class Count(WindowedLayer):
    """The sum of each window: enough to look at masks."""

    def _windowed(self, values, mask):
        return self.windows.of(values).sum(dim=-1)


def mask_of(mode, bits, kernel_size=3, stride=1):
    mask = torch.tensor([[bit == "1" for bit in bits]])
    y = Count(Windows(kernel_size, stride, 1, mode)).layer(Sequence(torch.ones(mask.shape), mask))
    return "".join(str(int(bit)) for bit in y.mask[0])


def test_masks_follow_the_rule_of_the_mode():
    bits = "0011101100"
    for mode in ("causal", "reverse_causal", "same", "semicausal"):
        assert mask_of(mode, bits) == bits
    # The window must be valid, from the item's first valid step on: 3, 4 and 5 see the invalid steps 0 and 1 only.
    assert mask_of("causal_valid", bits) == "0011100000"
    assert mask_of("causal_valid", "1110111000") == "1110001000"
    assert mask_of("reverse_causal_valid", "1110111000") == "1000100000"
    assert mask_of("valid", "1110111000") == "10001000"
    assert mask_of("semicausal_full", "0010000000") == "001110000000"


def test_strided_masks_take_the_anchor():
    assert mask_of("causal", "1101101", stride=3) == "111"
    assert mask_of("causal", "0110110", stride=3) == "000"


def test_all_valid_is_kept_only_where_it_is_certain():
    x = Sequence.of(torch.ones(1, 6))
    for mode, certain in {"causal": True, "same": True, "valid": True, "reverse_causal_valid": False}.items():
        assert Count(Windows(3, 1, 1, mode)).layer(x).all_valid is certain
    late = Count(Windows(3, 1, 1, "reverse_causal"))
    assert not late.step(x, late.initial_state(1, x.spec))[0].all_valid


def test_padding_with_the_largest_integer_is_exact():
    largest = torch.iinfo(torch.int64).max
    assert pad_axis(torch.zeros(1, 1, dtype=torch.int64), 1, (1, 2), largest).tolist() == [
        [largest, 0, largest, largest]
    ]


@pytest.mark.parametrize(
    "arguments", [{"kernel_size": 0}, {"stride": 0}, {"dilation": -1}, {"kernel_size": 2.0}, {"padding": "full"}]
)
def test_refuses_what_is_no_window(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Windows(**{"kernel_size": 3} | arguments)
