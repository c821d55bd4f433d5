"""The transformer's parts: multi-head attention, positions, the encoder block, the CLS token, the residual CNN."""

import course_lib.layers as sl
from course_lib.sequence import Case, ragged


def case(make, *channels):
    return lambda: Case(make, ragged(*channels))


CASES = {
    "multi-head attention": case(lambda: sl.MultiHeadSelfAttention(6, 2), 6),
    "multi-head attention, past 3, future 2, rotary": case(
        lambda: sl.MultiHeadSelfAttention(8, 2, 3, 2, rotary=100.0), 8
    ),
    "multi-head attention, causal, no bias": case(
        lambda: sl.MultiHeadSelfAttention(6, 3, max_future_horizon=0, bias=False, capacity=13), 6
    ),
    "multi-head attention, grouped heads": case(lambda: sl.MultiHeadSelfAttention(8, 4, 3, 0, num_kv_heads=2), 8),
    "PositionalEncoding": case(lambda: sl.PositionalEncoding(6), 6),
    "LearnedPositions": case(lambda: sl.LearnedPositions(40, 5), 5),
    "FeedForward": case(lambda: sl.FeedForward(4), 4),
    "FeedForward, swiglu": case(lambda: sl.FeedForward(4, 6, "swiglu", dropout=0.5), 4),
    "EncoderBlock": case(lambda: sl.EncoderBlock(4, 2), 4),
    "EncoderBlock, post, past 3, future 2": case(
        lambda: sl.EncoderBlock(4, 2, norm="post", hidden_size=5, max_past_horizon=3, max_future_horizon=2), 4
    ),
    "EncoderBlock, rms, swiglu, rotary, past 4": case(
        lambda: sl.EncoderBlock(
            4, 1, norm_kind="rms", feed_forward="swiglu", rotary=100.0, max_past_horizon=4, max_future_horizon=0
        ),
        4,
    ),
    "two EncoderBlocks, future 1": case(
        lambda: sl.Repeat(lambda: sl.EncoderBlock(4, 2, max_past_horizon=2, max_future_horizon=1), 2), 4
    ),
    "CLSToken": case(lambda: sl.CLSToken(4), 4),
    "SqueezeExcitation": case(lambda: sl.SqueezeExcitation(5, reduction=2), 5),
    "ResidualBlock": case(lambda: sl.ResidualBlock(3, 4), 3),
    "ResidualBlock without squeeze, equal channels": case(
        lambda: sl.ResidualBlock(3, 3, dilations=(1, 2), norm_kind="rms", squeeze=False), 3
    ),
    "ResidualBlock without squeeze, stride 2, separable": case(
        lambda: sl.ResidualBlock(3, 4, dilations=(1, 3), stride=2, norm_kind="layer", squeeze=False, separable=True), 3
    ),
    "ResidualBlock without shortcut": case(
        lambda: sl.ResidualBlock(3, 4, dilations=(1,), squeeze=False, residual=False), 3
    ),
    "MultiScaleCNN": case(lambda: sl.MultiScaleCNN(2, (3, 4), (2, 2), stem_kernel=3, norm_kind="group"), 2),
    "MultiScaleCNN without squeeze": case(
        lambda: sl.MultiScaleCNN(2, (3, 4), (2, 1), stem_kernel=3, dilations=(1, 2), squeeze=False), 2
    ),
}
