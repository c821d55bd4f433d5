"""How fast the sequence layers are: CPU time, one thread, rivals measured in turns in the same run.

Run by `make bench`; the name keeps it out of `make test`. Times are process CPU time, the best of several rounds, since
other programs on the machine only ever add to one. A stream's state is passed on from call to call, as in use.
"""

import time
from functools import partial

import pytest
import torch
from torch import nn

import course_lib.layers as sl
from course_lib.layers.accumulator import accumulate, accumulate_loop

pytestmark = pytest.mark.slow

CHANNELS, HEADS, HIDDEN, LAYERS, PAST = 256, 8, 1024, 6, 128


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def transformer(bias=False):
    """Six pre-norm blocks of causal attention and feed-forward. bias: of the attention's projections."""

    def block():
        attention = sl.DotProductSelfAttention(CHANNELS, HEADS, CHANNELS // HEADS, max_past_horizon=PAST, bias=bias)
        feed_forward = [sl.LayerNorm(CHANNELS), sl.Dense(HIDDEN, CHANNELS), sl.ReLU(), sl.Dense(CHANNELS, HIDDEN)]
        return [
            sl.Residual(sl.Sequential([sl.LayerNorm(CHANNELS), attention, sl.Dense(CHANNELS, CHANNELS)])),
            sl.Residual(sl.Sequential(feed_forward)),
        ]

    return sl.Sequential([layer for _ in range(LAYERS) for layer in block()])


def best_of(rounds, calls, *runs):
    """Least CPU seconds a call for each of `runs`, which take turns for `rounds` rounds of `calls` calls each."""
    times = [[] for _ in runs]
    for _ in range(rounds):
        for run, row in zip(runs, times, strict=True):
            start = time.process_time()
            for _ in range(calls):
                run()
            row.append((time.process_time() - start) / calls)
    return [min(row) for row in times]


def training_step(model, x):
    model.zero_grad()
    y = model(x)
    (y[0] if isinstance(y, tuple) else y).square().mean().backward()


@pytest.mark.parametrize("steps", [1, 16])
def test_step_of_a_causal_transformer(steps, benchmark):
    """At most 2.5 times the products with the weight matrices alone: 19 MB to read, from which nothing can be saved."""
    model = transformer().eval()
    matrices = [p for p in model.parameters() if p.dim() == 2]
    inputs = {size: torch.randn(1, steps, size) for size in (CHANNELS, HIDDEN)}
    x = sl.random_sequence(1, steps, CHANNELS, seed=0)
    x = sl.Sequence(x.values, x.mask)  # a stream's blocks do not promise that every step is valid
    state = None

    def step():
        nonlocal state
        _, state = model.step(x, state, training=False)

    def products():
        for matrix in matrices:
            nn.functional.linear(inputs[matrix.shape[1]], matrix)

    with torch.inference_mode():
        state = model.initial_state(1)
        seconds, floor = best_of(40, 10, step, products)
        benchmark.pedantic(step, rounds=20, warmup_rounds=2)
    benchmark.extra_info.update(cpu_ms=1e3 * seconds, products_ms=1e3 * floor)
    print(
        f"\nblock of {steps}: {1e3 * seconds:.2f} ms CPU, {seconds / floor:.2f} times the products' {1e3 * floor:.2f}"
    )
    assert seconds <= 2.5 * floor


@pytest.mark.parametrize("kind", ["forward", "training step"])
def test_whole_sequences_against_transformer_encoder(kind, benchmark):
    """T = 1024, batch 8, the same (T, T) mask: key k visible to query q iff q - 128 <= k <= q."""
    ours = transformer(bias=True)
    layer = nn.TransformerEncoderLayer(CHANNELS, HEADS, HIDDEN, dropout=0.0, batch_first=True, norm_first=True)
    theirs = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
    hidden = ~torch.ones(1024, 1024, dtype=torch.bool).tril().triu(-PAST)
    x = torch.randn(8, 1024, CHANNELS)
    with_mask = partial(theirs.forward, mask=hidden)

    if kind == "forward":
        ours.eval(), theirs.eval()
        with torch.no_grad():
            mine, torchs = best_of(3, 1, partial(ours, x), partial(with_mask, x))
            benchmark.pedantic(ours, (x,), rounds=1)
    else:
        theirs.forward = with_mask
        mine, torchs = best_of(3, 1, partial(training_step, ours, x), partial(training_step, theirs, x))
        benchmark.pedantic(training_step, (ours, x), rounds=1)
    benchmark.extra_info["speed_ratio"] = torchs / mine
    print(f"\n{kind}: {mine:.2f} s, nn.TransformerEncoder {torchs:.2f} s, {torchs / mine:.2f} times its speed")
    assert torchs / mine >= 1.0


@pytest.mark.parametrize("lengths", ["full", "ragged"])
@pytest.mark.parametrize("kind", ["forward", "training step"])
@pytest.mark.parametrize("name", ["VanillaRNN", "GRU", "LSTM"])
def test_recurrent_layers_against_pytorch(name, kind, lengths, benchmark):
    """Batch 16, T = 300, 64 inputs, 128 units; a ragged batch is allowed half as much again, for moving steps about."""
    theirs = {"VanillaRNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}[name](64, 128, batch_first=True)
    ours = getattr(sl, name)(64, 128)
    ours.load_state_dict(theirs.state_dict())
    x = sl.random_sequence(16, 300, 64, seed=0, lengths=None if lengths == "full" else list(range(300, 140, -10)))

    def run(model, x):
        return model.layer(x).values if isinstance(x, sl.Sequence) else model(x)

    def train(model, x):
        model.zero_grad()
        y = run(model, x)
        (y[0] if isinstance(y, tuple) else y).square().mean().backward()

    call = run if kind == "forward" else train
    with torch.set_grad_enabled(kind != "forward"):
        mine, torchs = best_of(15, 2, partial(call, ours, x), partial(call, theirs, x.values))
        benchmark.pedantic(call, (ours, x), rounds=3)
    benchmark.extra_info["speed_ratio"] = torchs / mine
    print(f"\n{name}, {kind}, {lengths}: {torchs / mine:.2f} times nn.{type(theirs).__name__}'s speed")
    assert torchs / mine >= (0.9 if lengths == "full" else 0.66)


@pytest.mark.parametrize(("batch", "channels", "limit"), [(1, 16, 10), (16, 16, 10), (32, 64, 1.3)])
def test_scan_against_the_loop(batch, channels, limit, benchmark):
    """Sums over T = 1,024 and their gradients, a decay for each step. Wide steps are as fast as memory, not faster.

    The time of three products, forwards and for two gradients, is printed beside: at 32 x 64 they alone take a tenth of
    the loop's time or more. Tried there: segments that fit the cache, groups of signals that do, chunks of 8 to 64
    steps, sums carried step by step, a loop into one tensor; none was three times as fast as the loop.
    """
    x, decay = torch.randn(batch, 1024, channels), 0.8 + 0.2 * torch.rand(batch, 1024, channels)
    leaves, gradient = (x.requires_grad_(), decay.requires_grad_()), torch.randn(batch, 1024, channels)

    def train(scan):
        torch.autograd.grad(scan(*leaves), leaves, gradient)

    scan, loop, products = best_of(
        10, 1, partial(train, accumulate), partial(train, accumulate_loop), partial(train, torch.mul)
    )
    benchmark.pedantic(train, (accumulate,), rounds=3)
    benchmark.extra_info["speed_ratio"] = loop / scan
    print(f"\n{batch} x {channels}: {1e3 * scan:.1f} ms, {loop / scan:.1f} times the loop's speed", end=", ")
    print(f"products {loop / products:.1f} times")
    assert loop / scan >= limit
