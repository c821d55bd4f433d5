"""Self-attention, cross-attention, rotary, sinusoidal and relative positions."""

import course_lib.layers as sl
from course_lib.sequence import PROPERTIES, Case, ragged

# A count of all steps moves on with leading invalid ones.
ALL_BUT_LATENCY = tuple(name for name in PROPERTIES if name != "latency")


def attention(past, future=0, *, heads=2, t5=None, relative=None, **options):
    """A case of self-attention; t5: arguments of a relative position bias, made anew with every layer.

    relative: what makes another kind of relative position.
    """

    def make():
        bias = {} if t5 is None else {"relative_position": sl.T5RelativePositionBias(heads, **t5)}
        bias |= {} if relative is None else {"relative_position": relative()}
        return sl.DotProductSelfAttention(5, heads, 4, past, future, **options, **bias)

    return lambda: Case(make, ragged(5))


def shaw(heads=2):
    return lambda: sl.ShawRelativePosition(heads, 4, 3, 2)


def transformer_xl(heads=2):
    return lambda: sl.TransformerXLRelativePosition(heads, 4, 6)


def beside(past, future=0, **options):
    """Cross-attention to a source that streams too, longer here and shorter there than x."""
    source = ragged(3, lengths=(16, 4, 5))
    make = lambda: sl.StreamingDotProductAttention(5, 3, 2, 4, past, future, **options)  # noqa: E731
    return lambda: Case(make, ragged(5), {"source": source})


def cross_attention(**options):
    source = ragged(3, lengths=(7, 4, 5))
    return lambda: Case(lambda: sl.DotProductAttention(5, 3, 2, 4, **options), ragged(5), {"source": source})


CASES = {
    "past 3": attention(3),
    "past 0": attention(0),
    "past 3, the formula": attention(3, implementation="math"),
    "past 20, longer than the sequence": attention(20),
    "past 3, bias": attention(3, bias=True),
    "past 2, future 3": attention(2, 3),
    "past 2, future 3, bias": attention(2, 3, bias=True),
    "past 0, future 2": attention(0, 2),
    "past 20, future 20": attention(20, 20),
    "grouped heads": attention(3, 1, heads=4, num_kv_heads=2),
    "one key/value head, the formula": attention(3, 1, heads=4, num_kv_heads=1, implementation="math"),
    "rotary": attention(3, rotary=10_000.0),
    "rotary, future 2, grouped heads, bias": attention(4, 2, heads=4, num_kv_heads=2, rotary=100.0, bias=True),
    "T5 bias": attention(6, t5={"num_buckets": 6, "max_distance": 5, "bidirectional": False}),
    "T5 bias both ways, future 2": attention(4, 2, t5={"num_buckets": 8, "max_distance": 6}),
    "soft cap": attention(5, logits_soft_cap=2.0),
    "soft cap, T5 bias, future 1": attention(5, 1, logits_soft_cap=2.0, t5={"num_buckets": 8, "max_distance": 6}),
    "a learned scale per head dimension, rotary, grouped heads": attention(
        3, 1, heads=4, num_kv_heads=2, rotary=100.0, per_dim_scale=True
    ),
    "own scale, dropout": attention(3, scale=0.7, dropout=0.5),
    "blocks of 4 queries": attention(4, 2, query_block=4),
    "blocks of 2 queries, shorter than the horizons": attention(4, 3, query_block=2, rotary=50.0),
    "blocks of 3 queries, T5 bias, grouped": attention(
        3, 1, heads=4, num_kv_heads=2, query_block=3, t5={"num_buckets": 8, "max_distance": 6}
    ),
    "blocks of 5 queries, the formula": attention(2, 0, query_block=5, implementation="math"),
    "unlimited past": attention(-1),
    "unlimited past, capacity": attention(-1, capacity=13),
    "unlimited past, capacity, future 2, rotary, bias": attention(-1, 2, capacity=13, rotary=100.0, bias=True),
    "unlimited past and future": attention(-1, -1),
    "unlimited past and future, rotary, T5 bias": attention(
        -1, -1, rotary=100.0, t5={"num_buckets": 8, "max_distance": 6}
    ),
    "past 2, unlimited future": attention(2, -1, bias=True),
    "Shaw, clipped on both sides": attention(5, 4, relative=shaw()),
    "Shaw, blocks of 3 queries, grouped heads": attention(
        4, 2, heads=4, num_kv_heads=2, relative=shaw(4), query_block=3
    ),
    "Shaw, unlimited past and future, own scale": attention(-1, -1, relative=shaw(), scale=0.7),
    "Transformer-XL": attention(4, relative=transformer_xl()),
    "Transformer-XL, future 2, soft cap, blocks of 3 queries": attention(
        4, 2, relative=transformer_xl(), logits_soft_cap=2.0, query_block=3
    ),
    "Transformer-XL, the formula, capacity": attention(
        -1, 1, relative=transformer_xl(), implementation="math", capacity=13
    ),
    "normalised queries and keys, rotary, grouped heads": attention(
        3, 1, heads=4, num_kv_heads=2, rotary=100.0, qk_norm=True, bias=True
    ),
    "beside": beside(3),
    "beside, ahead, bias, the formula": beside(0, 2, bias=True, implementation="math"),
    "beside, behind a latency": lambda: Case(
        lambda: sl.Sequential([sl.Lookahead(2), sl.StreamingDotProductAttention(5, 3, 4, 2, 2, 1, num_kv_heads=2)]),
        ragged(5),
        {"source": ragged(3, lengths=(16, 4, 5))},
    ),
    "cross": cross_attention(),
    "cross, a learned scale per head dimension": cross_attention(per_dim_scale=True),
    "cross, bias, the formula": cross_attention(bias=True, implementation="math"),
    "cross, grouped heads, soft cap": lambda: Case(
        lambda: sl.DotProductAttention(5, 3, 4, 2, num_kv_heads=2, logits_soft_cap=2.0, source_name="text"),
        ragged(5),
        {"text": ragged(3, lengths=(7, 0, 5))},
    ),
    "RotaryEmbedding": lambda: Case(lambda: sl.RotaryEmbedding(), ragged(6)),
    "RotaryEmbedding of heads": lambda: Case(lambda: sl.RotaryEmbedding(100.0), ragged(3, 4)),
    "RotaryEmbedding, all steps count": lambda: Case(
        lambda: sl.RotaryEmbedding(counts_invalid=True), ragged(6), properties=ALL_BUT_LATENCY
    ),
    "AddTimingSignal, all steps count": lambda: Case(
        lambda: sl.AddTimingSignal(counts_invalid=True), ragged(6), properties=ALL_BUT_LATENCY
    ),
    "AddTimingSignal": lambda: Case(lambda: sl.AddTimingSignal(), ragged(6)),
    "AddTimingSignal, odd, two axes, scale": lambda: Case(
        lambda: sl.AddTimingSignal(0.5, 50.0, trainable_scale=True), ragged(3, 3)
    ),
    "attention block in a residual": lambda: Case(
        lambda: sl.Residual(
            sl.Sequential([sl.LayerNorm(4), sl.DotProductSelfAttention(4, 2, 2, 3, 2, rotary=100.0), sl.Dense(4)])
        ),
        ragged(4),
    ),
}
