"""Random compositions of three to five layers keep the contract: latencies add up, blocks and masks fit together."""

from fractions import Fraction
from math import lcm

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import course_lib.layers as sl
from course_lib.layers.windows import PADDING_MODES
from course_lib.sequence import check_contract, ragged

CHANNELS = 2
LARGEST_BLOCK = 6
X = ragged(CHANNELS, lengths=(11, 7, 0))

small = st.integers(1, 3)
windows = st.fixed_dictionaries(
    {"kernel_size": st.integers(1, 4), "stride": small, "padding": st.sampled_from(PADDING_MODES)}
)


@st.composite
def convolutions(draw):
    arguments = draw(windows)
    return sl.Conv1D(CHANNELS, CHANNELS, **arguments, dilation=draw(st.integers(1, 2)))


@st.composite
def poolings(draw):
    kind = draw(st.sampled_from([sl.MaxPooling1D, sl.MinPooling1D, sl.AveragePooling1D]))
    return kind(draw(small), stride=draw(small), padding=draw(st.sampled_from(PADDING_MODES)))


@st.composite
def transposed(draw):
    stride = draw(st.integers(1, 2))
    mode = draw(st.sampled_from(["causal", "same", "full", "semicausal_full"]))
    return sl.Conv1DTranspose(CHANNELS, CHANNELS, draw(st.integers(stride, 4)), stride, padding=mode)


@st.composite
def attentions(draw):
    past, future = draw(st.integers(0, 3)), draw(st.integers(0, 2))
    return sl.DotProductSelfAttention(CHANNELS, 1, CHANNELS, past, future, rotary=draw(st.sampled_from([None, 100.0])))


simple = st.sampled_from(
    [
        lambda: sl.Dense(CHANNELS),
        sl.Tanh,
        lambda: sl.LSTM(CHANNELS, CHANNELS),
        lambda: sl.GRU(CHANNELS, CHANNELS),
        lambda: sl.RMSNorm(CHANNELS),
        lambda: sl.GroupNorm(1, CHANNELS, cumulative=True),
    ]
).map(lambda make: make())
delays = st.builds(
    lambda kind, length: kind(length), st.sampled_from([sl.Delay, sl.Lookahead, sl.StepDelay]), st.integers(1, 3)
)
resamplings = st.builds(
    lambda kind, rate: kind(rate), st.sampled_from([sl.Downsample1D, sl.Upsample1D]), st.integers(2, 3)
)
leaves = st.one_of(simple, delays, attentions(), convolutions(), poolings(), transposed(), attentions(), resamplings)
branches = st.lists(
    st.one_of(simple, delays, attentions(), convolutions().filter(lambda layer: layer.output_ratio == 1)),
    min_size=1,
    max_size=2,
).map(sl.Sequential)
residuals = st.builds(sl.Residual, branches)
parallels = st.builds(
    sl.Parallel, st.lists(branches, min_size=2, max_size=2), st.sampled_from(["add", "mean", "product"])
)


@st.composite
def compositions(draw):
    layers, block, ratio = [], 1, Fraction(1)
    for _ in range(draw(st.integers(3, 5))):
        layer = draw(st.one_of(leaves, leaves, residuals, parallels))
        wider = int(lcm(int(block * ratio), layer.block_size) / ratio)
        if wider > LARGEST_BLOCK or ratio * layer.output_ratio > 4:
            layer, wider = draw(st.one_of(simple, delays)), block
        layers.append(layer)
        block, ratio = wider, ratio * layer.output_ratio
    return sl.Sequential(layers)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(compositions(), st.integers(0, 3))
def test_compositions_keep_the_contract(layer, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        layer.double().layer(X)  # shapes of lazy weights
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 2)
    check_contract(lambda: layer, X, tolerance=1e-8)
