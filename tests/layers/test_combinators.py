"""Delays, `Sequential`, `Parallel`, `Residual`, `Repeat`, `Bidirectional`, resampling: arithmetic by hand, errors."""

from fractions import Fraction

import pytest
import torch
from torch import nn

import course_lib.layers as sl
from course_lib.sequence import PROPERTIES, check_contract, ragged, stream
from tests.layers.cases.combinators import GRUThatWaits

X = sl.random_sequence(2, 9, 4, seed=0, lengths=[9, 6])


def test_delay_and_lookahead_shift():
    y = sl.Delay(2).layer(X)
    assert y.shape == (2, 11, 4) and y.lengths.tolist() == [9, 6] and not y.mask[:, :2].any()
    torch.testing.assert_close(y.values[0, 2:], X.values[0])
    y = sl.Lookahead(2).layer(X)
    assert y.shape == (2, 7, 4) and y.lengths.tolist() == [7, 4]
    torch.testing.assert_close(y.values, X.values[:, 2:])
    assert sl.Lookahead(20).layer(X).shape == (2, 0, 4)
    for layer in (sl.Delay, sl.Lookahead, sl.StepDelay):
        with pytest.raises(ValueError, match="length: expected at least 0"):
            layer(-1)


def test_lookahead_counts_from_the_first_valid_step():
    late = sl.Sequence(X.values, torch.arange(9).expand(2, 9) >= 3)
    for y in (sl.Lookahead(2).layer(late), sl.stream(sl.Lookahead(2), late)):
        assert y.mask[0].tolist() == [False] * 3 + [True] * 4  # inputs 5, 6, 7, 8


def test_resampling_repeats_and_drops():
    up, down = sl.Upsample1D(3), sl.Downsample1D(3)
    assert up.layer(X).lengths.tolist() == [27, 18] and down.layer(X).lengths.tolist() == [3, 2]
    torch.testing.assert_close(down.layer(up.layer(X)).values, X.values)
    with pytest.raises(ValueError, match="rate: expected at least 1"):
        sl.Upsample1D(0)


def test_sequential_is_a_container():
    layers = [sl.Dense(3, 4), sl.ReLU(), sl.Dense(2, 3)]
    model = sl.Sequential(layers)
    assert len(model) == 3 and list(model) == layers and model[1] is layers[1] and model[-1] is layers[2]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    torch.testing.assert_close(model[:2](X.values), layers[1](layers[0](X.values)))
    assert sl.Sequential([])(X.values) is X.values
    with pytest.raises(ValueError, match=r"layers\[1\]: expected a SequenceLayer, got ReLU"):
        sl.Sequential([sl.Dense(3), nn.ReLU()])


def test_sequential_adds_up_latencies_in_whole_blocks():
    # Lookahead 2, then 1 step of delay to fill up the block of 3: (2 + 1) / 3 = 1 output late. Lookahead 1 more: 2,
    # which fills a block of 2: 1 output late. The 2 · 3 inputs of a block make one output.
    model = sl.Sequential([sl.Lookahead(2), sl.Downsample1D(3), sl.Lookahead(1), sl.Downsample1D(2)])
    assert (model.block_size, model.output_ratio) == (6, Fraction(1, 6))
    assert (model.output_latency, model.input_latency) == (1, 1)
    assert model.receptive_field == (5, 5)
    assert model.output_length(9) == 1
    model = sl.Sequential([sl.Upsample1D(3), sl.StepDelay(4), sl.Downsample1D(2)])
    assert (model.block_size, model.output_ratio, model.output_latency) == (2, Fraction(3, 2), 2)


def test_receptive_fields_of_resampled_layers_compose_phase_by_phase():
    assert sl.Sequential([sl.Downsample1D(2), sl.Upsample1D(2)]).receptive_field == (-1, 0)
    assert sl.Sequential([sl.Upsample1D(2), sl.Downsample1D(2)]).receptive_field == (0, 0)
    assert sl.Sequential([sl.Delay(2), sl.Upsample1D(4), sl.Lookahead(3)]).receptive_field == (-2, -1)


def test_parallel_combines():
    a, b = sl.Dense(4, 4), sl.Tanh()
    left, right = a(X.values), b(X.values)
    expected = {
        "stack": torch.stack([left, right], dim=2),
        "concatenate": torch.cat([left, right], dim=-1),
        "add": left + right,
        "mean": (left + right) / 2,
        "product": left * right,
    }
    for combine, values in expected.items():
        torch.testing.assert_close(sl.Parallel([a, b], combine)(X.values), values)


def test_parallel_is_valid_where_every_branch_is():
    y = sl.Parallel([sl.Delay(2), sl.Identity()]).layer(X)
    assert y.shape[1] == 9 and y.lengths.tolist() == [7, 4] and not y.mask[:, :2].any()


def test_branches_wait_for_the_slowest():
    model = sl.Residual(sl.Sequential([sl.StepDelay(3), sl.Dense(4)]))
    assert (model.output_latency, model.input_latency) == (3, 3)
    torch.testing.assert_close(sl.stream(model, X, 2).masked().values, model.layer(X).masked().values)
    assert list(model.state_dict()) == ["body.1.weight", "body.1.bias"]
    given = sl.Residual(sl.StepDelay(3), shortcut=sl.StepDelay(3))
    assert given.output_latency == 3 and len(given.initial_state(2, X.spec)) == 2  # nothing to wait for


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sl.Parallel([]), "branches: expected at least one"),
        (lambda: sl.Parallel([nn.ReLU()]), "branches: expected SequenceLayers, got ReLU"),
        (lambda: sl.Parallel([sl.ReLU()], "sum"), "combine: expected one of stack"),
        (lambda: sl.Parallel([sl.ReLU(), sl.Upsample1D(2)]), "branches: expected one output ratio, got 1, 2"),
        (lambda: sl.Residual(sl.Dense(3))(X.values), "outputs to add do not fit together in Residual"),
        (lambda: sl.Parallel([sl.Flatten(), sl.Lambda(torch.abs)], "stack")(torch.ones(1, 2, 3, 4)), "to stack do not"),
        (lambda: sl.Bidirectional(sl.Delay(1), sl.Identity()), "forward: expected a layer that keeps every"),
        (lambda: sl.Bidirectional(sl.Identity(), sl.Downsample1D(2)), "backward: expected a layer that keeps"),
        (lambda: sl.Bidirectional(sl.Identity(), nn.ReLU()), "backward: expected a SequenceLayer"),
        (lambda: sl.Repeat(sl.ReLU, -1), "count: expected at least 0"),
    ],
)
def test_combinators_refuse(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_repeat_makes_or_copies():
    made = sl.Repeat(lambda: sl.Dense(4, 4), 3)
    assert not torch.equal(made[0].weight, made[1].weight)
    copied = sl.Repeat(sl.Dense(4, 4), 3)
    assert torch.equal(copied[0].weight, copied[1].weight) and copied[0].weight is not copied[1].weight
    torch.testing.assert_close(made(X.values), made[2](made[1](made[0](X.values))))


def test_bidirectional_reads_each_item_from_both_ends():
    layer = sl.Bidirectional(sl.MaskedDense(3, 9), sl.MaskedDense(2, 9))
    y = layer.layer(X)
    assert y.shape == (2, 9, 5) and layer.receptive_field == (-8, 8)
    item = X.values[1:, :6]  # the valid steps of the second item alone
    torch.testing.assert_close(y.values[1:, :6, 3:], layer.backwards(item.flip(1)).flip(1))
    assert not layer.supports_step
    with pytest.raises(NotImplementedError, match="Bidirectional cannot step: its backward half begins at the end"):
        layer.initial_state(2, X.spec)
    with pytest.raises(NotImplementedError, match="Sequential cannot step: Bidirectional cannot"):
        sl.Sequential([sl.ReLU(), layer]).initial_state(2, X.spec)


def test_channel_groups_are_a_grouped_convolution():
    x = torch.randn(2, 9, 6)
    grouped = sl.Conv1D(6, 4, 3, groups=2)
    halves = sl.ChannelGroups([sl.Conv1D(3, 2, 3), sl.Conv1D(3, 2, 3)])
    with torch.no_grad():
        for i, half in enumerate(halves):
            half.weight.copy_(grouped.weight[2 * i : 2 * i + 2])
            half.bias.copy_(grouped.bias[2 * i : 2 * i + 2])
    torch.testing.assert_close(halves(x), grouped(x))
    assert halves.input_spec.shape == (6,)
    with pytest.raises(ValueError, match="x: expected a multiple of 2 channels .* got .5,. in ChannelGroups"):
        halves(torch.randn(2, 9, 5))


def test_a_checkpoint_keeps_its_input_alone_until_the_gradient_is_the_same():
    def kept(layer):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            y = layer(x)
        return y, sum(sizes)

    torch.manual_seed(0)
    block = sl.Sequential([sl.Dense(32, 4), sl.Tanh(), sl.Dropout(0.5), sl.Dense(4, 32)])
    x = torch.randn(2, 50, 4, requires_grad=True)
    gradients, memory = [], []
    for layer in (block, sl.Checkpoint(block)):
        torch.manual_seed(1)  # the same dropout, forwards and in what is computed again
        y, size = kept(layer)
        gradients.append(torch.autograd.grad(y.square().sum(), [x, *block.parameters()]))
        memory.append(size)
    for once, twice in zip(*gradients, strict=True):
        torch.testing.assert_close(once, twice)
    assert memory[1] < memory[0] / 10


def test_blockwise_holds_one_block_at_a_time():
    lengths = []
    look = sl.Lambda(lambda v: lengths.append(v.shape[1]) or v)
    x = torch.randn(1, 10, 3)
    torch.testing.assert_close(sl.Blockwise(look, 4)(x), x)
    assert max(lengths) == 4
    with pytest.raises(ValueError, match="block_size: expected a multiple of 3, got 4"):
        sl.Blockwise(sl.Downsample1D(3), 4)
    with pytest.raises(ValueError, match="inner: Bidirectional cannot step"):
        sl.Blockwise(sl.Bidirectional(sl.Dense(3), sl.Dense(3)), 4)


class PlainGRU(GRUThatWaits):
    """As anybody would write it."""

    def whole(self, inner, x):
        return inner(x.values)[0]

    def block(self, inner, x, state):
        y, (state,) = inner(x.values, state[None])
        return y, state


def test_an_adapted_gru_is_the_gru_and_keeps_all_promises_but_at_invalid_steps():
    layer = sl.Adapted(PlainGRU()).eval()
    x = torch.randn(2, 7, 4)
    torch.testing.assert_close(layer(x), layer.inner(x)[0])
    torch.testing.assert_close(stream(layer, sl.Sequence.of(x), 3).values, layer(x))
    others = tuple(promise for promise in PROPERTIES if promise != "latency")
    check_contract(lambda: sl.Adapted(PlainGRU()), ragged(4), properties=others)
    with pytest.raises(AssertionError, match="leading blocks of invalid steps"):
        check_contract(lambda: sl.Adapted(PlainGRU()), ragged(4), properties=("latency",))


def test_the_mode_that_is_asked_for_reaches_an_adapted_layer_and_is_put_back():
    class Seen(PlainGRU):
        modes = []

        def whole(self, inner, x):
            self.modes.append(inner.training)
            return super().whole(inner, x)

    layer, x = sl.Adapted(Seen()), sl.Sequence.of(torch.randn(2, 7, 4))
    for own, asked in ((True, None), (True, False), (False, True)):
        layer.train(own).layer(x, training=asked)
        assert layer.inner.training == own
    assert Seen.modes == [True, False, True]


def test_an_adaptor_that_is_none_is_named():
    with pytest.raises(ValueError, match="adaptor: expected an Adaptor, got GRU"):
        sl.Adapted(torch.nn.GRU(4, 3))
    with pytest.raises(ValueError, match=r"adaptor: expected `make` to make an nn.Module, got builtin_function"):
        sl.Adapted(type("Maker", (sl.Adaptor,), {"make": lambda self: torch.tanh})())
    with pytest.raises(ValueError, match=r"x: expected \(B, T, 4\), got \(B, T, 5\)"):
        sl.Adapted(PlainGRU())(torch.zeros(2, 7, 5))


def test_what_is_emitted_inside_is_the_same_for_a_sequence_and_a_stream():
    torch.manual_seed(0)
    attention = sl.DotProductSelfAttention(4, 2, 3, 2, 1)
    model = sl.Sequential([sl.Dense(4, 4), sl.Emit("inputs"), attention]).eval()
    x = torch.randn(2, 6, 4)
    with sl.emitted(model) as whole:
        y = model(x)
    weights = whole["2.weights"][0]  # (B, H, T, T)
    torch.testing.assert_close(whole["1.inputs"][0], model[0](x))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 6))
    assert not torch.ones(6, 6).tril(1).triu(-2).eq(0).logical_and(weights[0, 0] > 0).any()
    with sl.emitted(model) as streamed:
        sl.stream(model, sl.Sequence.of(x))
    for t, step in enumerate(streamed["2.weights"][1:7]):  # one step late; its keys are at t - 2 to t + 1
        seen = weights[:, :, t, max(t - 2, 0) : t + 2]
        torch.testing.assert_close(step[:, :, 0][..., max(2 - t, 0) :][..., : seen.shape[-1]], seen)
    assert len(whole["2.weights"]) == 1 and attention._emitted is None, "nobody listens any more"
    torch.testing.assert_close(model(x), y)
