"""Exercises of notebook 12."""

import torch

from course_lib.course.exercises import Draw, exercise
from course_lib.layers import EncoderBlock


def _widths(draw: Draw):
    yield 2, 3
    yield 12, 20
    yield 144, 384
    for _ in range(3):
        yield tuple(draw.sizes(2, 2, 60))


def _sum(attention=lambda d: 4 * (d * d + d), network=lambda d, h: 3 * d * h + 2 * h + d, norms=lambda d: 2 * d):
    """The count with one of its parts replaced."""
    return lambda d, h: attention(d) + network(d, h) + norms(d)


@exercise(
    notebook="12",
    title="Count an encoder block",
    minutes=8,
    inputs=_widths,
    mistakes=[
        (_sum(lambda d: 4 * d * d), "The four projections of the attention have biases, d numbers each."),
        (_sum(lambda d: 3 * (d * d + d)), "Three projections are counted; the heads are joined by a fourth, of d × d."),
        (
            _sum(network=lambda d, h: 2 * d * h + h + d),
            "The first map of SwiGLU leads to 2 h channels: one half gates the other.",
        ),
        (_sum(norms=lambda d: 4 * d), "An RMSNorm has a weight for each channel and no bias: d numbers, not 2 d."),
        (_sum(norms=lambda d: 0), "The two norms are missing, d numbers each."),
        (_sum(norms=lambda d: d), "One norm is missing, or the bias of the last linear map: d numbers."),
        (_sum(network=lambda d, h: 3 * d * h), "The linear maps of SwiGLU have biases: 2 h numbers and d numbers."),
        (
            _sum(lambda d: 4 * d * d, lambda d, h: 3 * d * h, lambda d: 0),
            "The matrices are right. Now add the biases and the norms' weights.",
        ),
    ],
    example=(2, 3),
    hints=[
        "Three parts: attention, SwiGLU, norms. A linear map from a to b channels has a · b weights and b biases.",
        ("The attention alone has {}: four maps from d to d.", lambda d, h: 4 * (d * d + d)),
        (
            "SwiGLU alone has {}: its first map leads to 2 h channels, its last one back to d.",
            lambda d, h: 3 * d * h + 2 * h + d,
        ),
        "An RMSNorm has one weight a channel. Begin with `attention = 4 * (d * d + d)`.",
    ],
)
def encoder_block_parameters(d, h):
    """encoder_block_parameters(d, h): parameters of a pre-norm block with RMSNorm, biases and SwiGLU of width h."""
    with torch.device("meta"):  # no weights, hence no draw from the global generator
        block = EncoderBlock(d, 1, norm_kind="rms", feed_forward="swiglu", hidden_size=h)
    return sum(p.numel() for p in block.parameters())


def _tokens(draw: Draw):
    for B, stride, length in [(1, 2, 3), (2, 4, 10), (3, 2, 6), (1, 3, 3)]:
        yield torch.softmax(draw.tensor(B, -(-length // stride)), 1), stride, length
    for _ in range(3):
        B, stride = draw.sizes(2, 2, 6)
        length = stride * draw.integer(2, 5) + draw.integer(1, stride - 1)
        yield torch.softmax(draw.tensor(B, -(-length // stride)), 1), stride, length


def _laid(weights, stride, length):
    return weights.repeat_interleave(stride, 1)[:, :length]


@exercise(
    notebook="12",
    title="Lay a token's weight over its samples",
    minutes=8,
    inputs=_tokens,
    mistakes=[
        (_laid, "Each sample has its token's whole weight: share it, so that rows still sum to 1."),
        (
            lambda weights, stride, length: _laid(weights, stride, length) / stride,
            "The last token has 2 samples here, not 4: divide its weight by the number of samples it has.",
        ),
        (
            lambda *a: _laid(*a) / _laid(*a).sum(1, keepdim=True),
            "Rows sum to 1, but by rescaling: the tokens' shares changed.",
        ),
        (
            lambda weights, stride, length: weights.repeat(1, stride)[:, :length] / stride,
            "The row is repeated as a whole; each weight must be repeated in its place (repeat_interleave).",
        ),
        (
            lambda weights, stride, length: weights.repeat_interleave(stride, 1) / stride,
            "More samples come out than the signal has: the last token reaches beyond the end.",
        ),
    ],
    example=(torch.tensor([[0.5, 0.5]]), 2, 3),
    hints=[
        "Which token does each sample belong to, and how many samples does each token have?",
        ("The tokens of the samples are {}.", lambda weights, stride, length: torch.arange(length) // stride),
        (
            "The tokens have {} samples.",
            lambda weights, stride, length: torch.bincount(torch.arange(length) // stride),
        ),
        "Divide each weight by its token's number of samples, then look it up for each sample. Begin with "
        "`token = torch.arange(length) // stride`.",
    ],
)
def weights_to_samples(weights, stride, length):
    """weights_to_samples(weights, stride, length): weights (B, N), rows of sum 1 -> (B, length), rows of sum 1."""
    token = torch.arange(length) // stride
    return (weights / torch.bincount(token))[:, token]


def _attention(draw: Draw):
    for heads, tokens in [(1, 4), (3, 7), (2, 9)]:
        burst = [draw.integer(-1, 2) for _ in range(tokens - 3)] + [0, -1, 2]
        yield torch.softmax(draw.tensor(heads, tokens, tokens), 2), torch.tensor(burst)
    for _ in range(3):
        heads, tokens = draw.sizes(2, 2, 8)
        burst = [-1, 1] + [draw.integer(-1, 2) for _ in range(tokens)] + [2]
        yield torch.softmax(draw.tensor(heads, len(burst), len(burst)), 2), torch.tensor(burst)


def _given(attention, keys):
    """(H, N): the weight that each query gives to these keys (N, N)."""
    return (attention * keys).sum(2)


def _others(burst):
    return (burst[:, None] != burst) & (burst >= 0)


@exercise(
    notebook="12",
    title="Attention to the other bursts",
    minutes=8,
    inputs=_attention,
    mistakes=[
        (
            lambda a, b: _given(a, b >= 0)[:, b >= 0].mean(1),
            "A query's own burst counts as well: keep the keys of another burst only.",
        ),
        (
            lambda a, b: _given(a, b[:, None] != b)[:, b >= 0].mean(1),
            "Silence counts as another burst: keys of -1 are on none.",
        ),
        (lambda a, b: _given(a, _others(b)).mean(1), "The mean is over all queries: take those that stand on a burst."),
        (
            lambda a, b: _given(a, _others(b))[:, b >= 0].sum(1),
            "The queries are summed: take their mean.",
        ),
        (
            lambda a, b: (a * _others(b))[:, b >= 0].mean((1, 2)),
            "The keys are averaged: a query's share is the sum of its weights on them.",
        ),
        (
            lambda a, b: _given(a, _others(b))[:, b >= 0].mean(),
            "The heads are averaged too: one number for each head.",
        ),
    ],
    example=(
        torch.tensor([[[0.5, 0.25, 0.25], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]]),
        torch.tensor([0, -1, 1]),
    ),
    hints=[
        "A token of silence is neither a query nor a key here. Which pairs (query, key) stand on two different bursts?",
        ("These pairs, queries down and keys across: {}.", lambda a, b: _others(b) & (b >= 0)[:, None]),
        ("What the queries give to such keys: {}.", lambda a, b: _given(a, _others(b))),
        "Sum over keys, then the mean over the queries that stand on a burst. Begin with "
        "`other = (burst[:, None] != burst) & (burst >= 0)`.",
    ],
)
def attention_to_others(attention, burst):
    """attention_to_others(attention, burst): (H, N, N), (N,) -> (H,), the share that bursts give to other bursts."""
    other = (burst[:, None] != burst) & (burst >= 0)
    return (attention * other).sum(2)[:, burst >= 0].mean(1)


def _sequences(draw: Draw):
    yield from ("AC", "GATTNACA", "N", "TTTGNN")
    for _ in range(3):
        yield "".join(draw.choice("ACGTN") for _ in range(draw.integer(3, 12)))


def _one_hot(bases="ACGT", unknown=(0.0, 0.0, 0.0, 0.0)):
    """Another order of columns, or another row for N."""
    return lambda sequence: torch.tensor(
        [[float(letter == base) for base in bases] if letter in bases else list(unknown) for letter in sequence]
    )


def _with_type(fn, sequence):
    """The rows, and their type."""
    answer = fn(sequence)
    return answer, str(getattr(answer, "dtype", type(answer).__name__)).removeprefix("torch.")


@exercise(
    notebook="12",
    title="Letters as channels",
    minutes=5,
    inputs=_sequences,
    call=_with_type,
    parts=("the channels", "their type"),
    mistakes=[
        (lambda s: _one_hot()(s).T, "Letters go down and channels across: (L, 4), time first."),
        (_one_hot("ATGC"), "The columns are A, C, G, T in this order; yours are A, T, G, C."),
        (_one_hot("ATCG"), "The columns are A, C, G, T in this order; yours are A, T, C, G."),
        (_one_hot(unknown=(1.0, 0.0, 0.0, 0.0)), "N became an A: an unknown letter is a row of zeros."),
        (_one_hot(unknown=(0.0, 0.0, 0.0, 1.0)), "N became a T: an unknown letter is a row of zeros."),
        (
            _one_hot(unknown=(0.25,) * 4),
            "N became a quarter of each letter. That is a choice, too; here it is a row of zeros.",
        ),
        (lambda s: _one_hot()(s).long(), "The numbers are right, but of type int64: the model wants float32."),
        (lambda s: _one_hot()(s).double(), "The numbers are right, but of type float64: the model wants float32."),
    ],
    example=("T",),
    hints=[
        "One row a letter, one column a base. What is the row of N, which is none of the four?",
        ("Is it an A, a C, a G, a T? {}.", lambda sequence: [sequence[0] == base for base in "ACGT"]),
        "Compare each letter with each of the four bases; a comparison is 1.0 or 0.0 as a float. Begin with "
        '`rows = [[float(letter == base) for base in "ACGT"] for letter in sequence]`.',
    ],
)
def one_hot_dna(sequence):
    """one_hot_dna(sequence): letters A, C, G, T, N -> (L, 4) float32, columns A, C, G, T; N is a row of 0."""
    rows = [[float(letter == base) for base in "ACGT"] for letter in sequence]
    return torch.tensor(rows)
