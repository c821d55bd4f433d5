"""The accumulator and the RG-LRU: scans against the step loop, closed forms and equations, far and near 1."""

import time

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

import course_lib.layers as sl
from course_lib.layers.accumulator import CHUNK, half_life


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def rand(*shape, seed=0, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("steps", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, CHUNK**2, CHUNK**2 + 1, 4096, 5001])
@pytest.mark.parametrize("by_step", [False, True])
def test_scan_equals_loop(steps, by_step):
    x, initial = randn(2, steps, 3), randn(2, 3, seed=1)
    decay = rand(*((2, steps, 3) if by_step else (3,)), seed=2)
    expected = sl.accumulate_loop(x, decay, initial)
    torch.testing.assert_close(sl.accumulate(x, decay, initial), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["fixed", "learned", "input-dependent"])
def test_whole_sequence_equals_steps_one_at_a_time(kind):
    layer = sl.Accumulator(3, 0.9999, kind).double()
    x = sl.Sequence.of(randn(2, 4096, 3))
    with torch.no_grad():
        whole, streamed = layer.layer(x), sl.stream(layer, x)
    torch.testing.assert_close(whole.values, streamed.values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99, 0.9999, 1.0])
def test_long_sequences_stay_exact(decay):
    x = randn(1, 100_000, 1)
    expected = torch.from_numpy(lfilter([1.0], [1.0, -decay], x.numpy(), axis=1))
    torch.testing.assert_close(
        sl.accumulate(x, torch.tensor([decay], dtype=torch.float64)), expected, rtol=1e-9, atol=1e-9
    )
    single = sl.Accumulator(1, decay)(x.float()).double()
    assert (single - expected).abs().max() <= 1e-4 * expected.abs().max().clamp(min=1.0)


@pytest.mark.parametrize("decay", [0.9, 0.9999])
def test_constant_input_ends_at_its_limit(decay):
    y = sl.Accumulator(1, decay).double()(torch.ones(1, 100_000, 1, dtype=torch.float64))[0, :, 0]
    t = np.array([1, 17, 4096, 100_000])
    expected = (1 - decay**t) / (1 - decay)  # the geometric sum
    torch.testing.assert_close(y[t - 1], torch.from_numpy(expected), rtol=1e-9, atol=0.0)


def test_no_decay_makes_it_overflow():
    """A scan that divides by products of decays fails here: these products are 0 after a few chunks."""
    x = randn(1, 4096, 2).requires_grad_()
    decay = torch.full((1, 4096, 2), 1e-30, dtype=torch.float64).requires_grad_()
    y = sl.accumulate(x, decay)
    torch.testing.assert_close(y, x)
    assert all(g.isfinite().all() for g in torch.autograd.grad(y.sum(), [x, decay]))


@pytest.mark.parametrize("by_step", [False, True])
def test_gradients(by_step):
    steps = 2 * CHUNK + 3
    x, initial = randn(2, steps, 2).requires_grad_(), randn(2, 2, seed=1).requires_grad_()
    decay = rand(*((2, steps, 2) if by_step else (2,)), seed=2).requires_grad_()
    assert torch.autograd.gradcheck(sl.accumulate, (x, decay, initial))
    weights = randn(2, steps, 2, seed=3)
    for wanted in ([x, decay, initial], [x], [decay], [initial]):
        got = torch.autograd.grad((sl.accumulate(x, decay, initial) * weights).sum(), wanted)
        expected = torch.autograd.grad((sl.accumulate_loop(x, decay, initial) * weights).sum(), wanted)
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(("steps", "by_step"), [(CHUNK + 2, False), (2 * CHUNK + 1, True)])
def test_gradients_of_gradients(steps, by_step):
    x, initial = randn(1, steps, 1).requires_grad_(), randn(1, 1, seed=1).requires_grad_()
    decay = rand(*((1, steps, 1) if by_step else (1,))).requires_grad_()
    assert torch.autograd.gradgradcheck(sl.accumulate, (x, decay, initial))


def test_a_dead_item_does_not_touch_its_neighbours():
    x = randn(3, 100, 2)
    spoiled = x.clone()
    spoiled[1, 50] = float("nan")
    y, expected = sl.accumulate(spoiled, rand(2)), sl.accumulate(x, rand(2))
    torch.testing.assert_close(y[[0, 2]], expected[[0, 2]])
    torch.testing.assert_close(y[1, :50], expected[1, :50])


def test_learned_decays_begin_where_they_are_told():
    decays = [0.1, 0.9, 0.9999]
    for kind in ("fixed", "learned"):
        layer = sl.Accumulator(3, decays, kind)
        np.testing.assert_allclose(layer.decays(torch.zeros(1, 1, 3)).tolist(), decays, atol=1e-6)
    layer = sl.Accumulator(3, decays, "input-dependent")
    np.testing.assert_allclose(layer.decays(torch.zeros(1, 1, 3))[0, 0].tolist(), decays, atol=1e-6)


def test_a_fixed_decay_is_exact_in_double_precision_and_no_parameter():
    layer = sl.Accumulator(2, 0.9).double()
    assert layer.decays(torch.zeros(1, 1, 2, dtype=torch.float64)).tolist() == [0.9, 0.9]
    assert not list(layer.parameters()) and not layer.state_dict()


def test_sums_are_kept_in_full_precision_under_autocast():
    """In bfloat16 a sum stops growing at 256: 256 + 1 rounds back to 256."""
    layer = sl.Accumulator(1, 1.0)
    with torch.autocast("cpu", torch.bfloat16):
        _, (total,) = layer.step(sl.Sequence.of(torch.ones(1, 1000, 1).bfloat16()), layer.initial_state(1))
    assert total.dtype == torch.float32 and total.item() == 1000


def test_an_exported_step_equals_the_layer():
    class Step(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = sl.Accumulator(3, 0.9, "input-dependent")

        def forward(self, values, mask, a):
            y, (a,) = self.layer.step(sl.Sequence(values, mask), (a,), training=False)
            return y.values, a

    step, x = Step(), randn(2, 8, 3, dtype=torch.float32)
    mask = torch.ones(2, 4, dtype=torch.bool)
    program = torch.export.export(step, (x[:, :4], mask, torch.zeros(2, 3))).module()
    first, a = program(x[:, :4], mask, torch.zeros(2, 3))
    second, _ = program(x[:, 4:], mask, a)
    torch.testing.assert_close(torch.cat([first, second], dim=1), step.layer(x))


def test_half_life():
    assert half_life(0.5) == pytest.approx(1.0)
    assert 0.99 ** half_life(0.99) == pytest.approx(0.5)
    assert half_life(0.0) == 0 and half_life(1.0) == float("inf")
    with pytest.raises(ValueError, match="decay: .*1.5"):
        half_life(1.5)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((0,), "channels: .*0"),
        ((3, 1.1), "decay: .*1.1"),
        ((3, -0.1), "decay: .*-0.1"),
        ((3, float("nan")), "decay: .*nan"),
        ((3, [0.5, 0.5]), r"decay: .*3.*\(2,\)"),
        ((3, 1.0, "learned"), "decay: .*learned"),
        ((3, 0.0, "input-dependent"), "decay: .*input-dependent"),
        ((3, 0.5, "random"), "kind: .*'random'"),
    ],
)
def test_what_cannot_be_is_refused(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        sl.Accumulator(*arguments)


def test_shapes_that_do_not_fit_are_refused():
    x = randn(2, 5, 3)
    with pytest.raises(ValueError, match=r"decay: .*\(3,\).*\(2, 5, 3\).*\(5,\)"):
        sl.accumulate(x, rand(5))
    with pytest.raises(ValueError, match=r"initial: .*\(2, 3\)"):
        sl.accumulate(x, rand(3), randn(3))
    with pytest.raises(ValueError, match="x: expected"):
        sl.accumulate(x[0], rand(3))
    with pytest.raises(ValueError, match=r"\(B, T, 3\)"):
        sl.Accumulator(3)(randn(2, 3, 5, dtype=torch.float32))


def test_ten_times_faster_than_the_loop():
    """At T = 4096; measured are about 30 times, against steps of the layer itself above 200."""
    x, decay = randn(1, 4096, 16, dtype=torch.float32), rand(16, dtype=torch.float32)

    def best(run, rounds):
        times = []
        for _ in range(rounds):
            started = time.process_time()
            run(x, decay)
            times.append(time.process_time() - started)
        return min(times)

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        scan, loop = best(sl.accumulate, 10), best(sl.accumulate_loop, 3)
    finally:
        torch.set_num_threads(before)
    assert loop > 10 * scan, f"loop {1e3 * loop:.2f} ms, scan {1e3 * scan:.2f} ms"


def by_the_equations(layer, x):
    """(T, C) -> (T, C), step by step, with full matrices in place of blocks."""
    w = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    size = layer.channels // layer.num_blocks
    full = {}
    for gate in ("recurrence", "input"):
        full[gate] = np.zeros((layer.channels, layer.channels))
        for n, block in enumerate(w[f"{gate}_weight"]):
            full[gate][n * size : (n + 1) * size, n * size : (n + 1) * size] = block
    h, states = np.zeros(layer.channels), []
    for x_t in x:
        r = sigmoid(full["recurrence"] @ x_t + w["recurrence_bias"])
        i = sigmoid(full["input"] @ x_t + w["input_bias"])
        a = sigmoid(w["decay_logit"]) ** (8 * r)
        h = a * h + np.sqrt(1 - a**2) * i * x_t
        states.append(h)
    return np.array(states)


@pytest.mark.parametrize("num_blocks", [1, 3])
@pytest.mark.parametrize("steps", [1, 16, 17, 300])
def test_equals_its_equations(num_blocks, steps):
    torch.manual_seed(0)
    layer = sl.RGLRU(6, num_blocks).double()
    torch.nn.init.normal_(layer.recurrence_bias)
    x = torch.randn(1, steps, 6, dtype=torch.float64)
    torch.testing.assert_close(layer(x)[0].detach(), torch.from_numpy(by_the_equations(layer, x[0].numpy())))


def test_begins_with_long_memories_and_a_state_as_large_as_its_input():
    torch.manual_seed(0)
    layer = sl.RGLRU(512)
    eighth = torch.sigmoid(layer.decay_logit) ** 8
    assert 0.9 <= eighth.min() < 0.91 and 0.99 < eighth.max() <= 0.999
    with torch.no_grad():
        for weight in (layer.recurrence_weight, layer.input_weight):
            weight.zero_()
        layer.input_bias.fill_(50.0)  # the input gate is open
        spread = layer(torch.randn(4, 4000, 512))[:, 2000:].std()
    assert abs(spread - 1) < 0.03


@pytest.mark.parametrize("logit", [-40.0, 0.0, 12.0, 200.0])
def test_values_and_gradients_stay_finite_for_every_leak(logit):
    layer = sl.RGLRU(3)
    torch.nn.init.constant_(layer.decay_logit, logit)
    x = torch.randn(2, 1000, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    y = layer(x)
    gradients = torch.autograd.grad(y.square().mean(), [x, *layer.parameters()])
    assert y.isfinite().all() and all(g.isfinite().all() for g in gradients)


def test_a_long_stream_in_float32_stays_with_float64():
    torch.manual_seed(0)
    layer = sl.RGLRU(4)
    x = sl.random_sequence(1, 5000, 4)
    with torch.no_grad():
        streamed = sl.stream(layer, x, 250).values
        exact = layer.double()(x.values.double())
    torch.testing.assert_close(streamed.double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((6, 4), "num_blocks: expected a divisor of channels=6, got 4"),
        ((0,), "channels, num_blocks: expected at least 1"),
    ],
)
def test_sizes_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        sl.RGLRU(*arguments)
