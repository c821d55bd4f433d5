"""A stream without end: constant memory, and outputs that do not wear out with the number of steps."""

import psutil
import pytest
import torch

import course_lib.layers as sl

LAYERS, PAST, CHANNELS = 6, 128, 16
REACH = LAYERS * PAST  # steps before it that an output depends on
TAIL = 256  # outputs to compare


def transformer():
    def block():
        attention = sl.DotProductSelfAttention(CHANNELS, 2, CHANNELS // 2, max_past_horizon=PAST, rotary=10_000.0)
        feed_forward = [sl.LayerNorm(CHANNELS), sl.Dense(32, CHANNELS), sl.GELU(), sl.Dense(CHANNELS, 32)]
        return [
            sl.Residual(sl.Sequential([sl.LayerNorm(CHANNELS), attention, sl.Dense(CHANNELS, CHANNELS)])),
            sl.Residual(sl.Sequential(feed_forward)),
        ]

    generator = torch.Generator().manual_seed(0)
    model = sl.Sequential([layer for _ in range(LAYERS) for layer in block()]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:  # attention that is sharp enough for an angle to matter
                parameter.normal_(0, 1.5 * parameter.shape[1] ** -0.5, generator=generator)
    return model


def run(model, steps, block):
    """Feed random blocks; return the last inputs and outputs, and the growth of memory and state over the stream."""
    generator = torch.Generator().manual_seed(1)
    process = psutil.Process()
    state, kept, memory = model.initial_state(1), [], []
    with torch.inference_mode():
        for _ in range(steps // block):
            x = sl.Sequence.of(torch.randn(1, block, CHANNELS, generator=generator))
            y, state = model.step(x, state)
            kept = [*kept, (x, y)][-2:]
            memory.append(process.memory_info().rss)
    inputs, outputs = (sl.Sequence.concatenate(list(part)) for part in zip(*kept, strict=True))
    quarter = len(memory) // 4
    growth = max(memory[-quarter:]) - max(memory[quarter : 2 * quarter])
    return inputs, outputs, growth, state


@pytest.mark.slow
def test_a_million_steps_in_constant_memory():
    """The window needs no absolute positions: rotary scores depend on distance, so it is run from position 0, where
    angles are exact in any precision. That the stream agrees at position 10⁶ says that its angles are."""
    model = transformer()
    block = 4096
    steps = -(-1_000_000 // block) * block
    inputs, outputs, growth, state = run(model, steps, block)
    assert growth < 16 * 2**20
    counters = [leaf for leaf in torch.utils._pytree.tree_leaves(state) if leaf.dtype == torch.int64]
    assert [counter.item() for counter in counters] == [steps] * LAYERS

    with torch.inference_mode():
        window = model.layer(inputs[:, -(REACH + TAIL) :])
    torch.testing.assert_close(outputs.values[:, -TAIL:], window.values[:, -TAIL:], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_with_angles_in_float32_the_outputs_would_be_off(monkeypatch):
    """The same comparison, started at a million steps, with the angles multiplied out in float32."""

    def single_precision(positions, dim, base, dtype):
        rates = base ** -(torch.arange(0, dim, 2, dtype=torch.float32) / dim)
        return positions.to(torch.float32).unsqueeze(-1) * rates

    model = transformer()
    x = sl.random_sequence(1, 2 * PAST, CHANNELS, seed=2)
    later = torch.utils._pytree.tree_map(
        lambda leaf: leaf + 1_000_000 if leaf.dtype == torch.int64 else leaf, model.initial_state(1)
    )
    with torch.inference_mode():
        expected = model.layer(x).values
        exact = model.step(x, later)[0].values
        monkeypatch.setattr("course_lib.layers.attention.rotary_angles", single_precision)
        single = model.step(x, later)[0].values
    torch.testing.assert_close(exact, expected, rtol=1e-4, atol=1e-4)
    assert (single - expected).abs().max() > 0.05
