"""How fast an exported step is: CPU time, one thread, PyTorch's own step and both files in turns in the same run.

Run by `make bench`. Six encoder blocks, 256 channels, 128 past steps, one step at a time.
"""

import numpy as np
import pytest
import torch

import course_lib.layers as sl
from course_lib.export import Stream, export
from tests.benchmarks.bench_layers import CHANNELS, HEADS, LAYERS, PAST, best_of

pytestmark = pytest.mark.slow


def test_step_of_six_blocks(tmp_path):
    """The exported step takes at most .6 of eager PyTorch's time, with 8-bit weights at most .4; both files agree."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    options = {"max_past_horizon": PAST, "max_future_horizon": 0, "norm_kind": "rms", "feed_forward": "swiglu"}
    layer = sl.Repeat(lambda: sl.EncoderBlock(CHANNELS, HEADS, rotary=10_000.0, **options), LAYERS).eval()
    spec = sl.ChannelSpec((CHANNELS,))
    errors = {
        name: export(layer, tmp_path / name, spec=spec, streaming=True, int8=name == "int8").error
        for name in ("f32", "int8")
    }
    x = torch.randn(1, 1, CHANNELS)
    block, state, array = sl.Sequence(x, torch.ones(1, 1, dtype=torch.bool)), layer.initial_state(1), x.numpy()
    files = [Stream(tmp_path / name) for name in errors]

    def eager():
        nonlocal state
        _, state = layer.step(block, state, training=False)

    with torch.inference_mode():
        times = best_of(20, 10, eager, *[lambda file=file: file.push(array) for file in files])
    ratios = np.array(times[1:]) / times[0]
    print(
        f"\nstep: eager {1e3 * times[0]:.2f} ms; of it float32 {ratios[0]:.2f}, int8 {ratios[1]:.2f}; errors {errors}"
    )
    assert errors["f32"] < 1e-5 and errors["int8"] < 0.02
    assert ratios[0] <= 0.6 and ratios[1] <= 0.4
