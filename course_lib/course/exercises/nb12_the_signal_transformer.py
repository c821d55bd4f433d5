"""Checks of notebook 12."""

import torch

from course_lib.course.exercises import Hint, exercise, expect
from course_lib.layers import EncoderBlock


@exercise(notebook="12", title="Count an encoder block", minutes=8)
def encoder_block_parameters(fn):
    """encoder_block_parameters(d, h): parameters of a pre-norm block with RMSNorm, biases and SwiGLU of width h."""
    d, h = 12, 20
    block = EncoderBlock(d, 3, norm_kind="rms", feed_forward="swiglu", hidden_size=h)
    right = sum(p.numel() for p in block.parameters())
    expect(
        fn(d, h),
        right,
        mistakes=[
            (right - 4 * d, "The four projections of the attention have biases, d numbers each."),
            (right - d * d - d, "Three projections are counted; the heads are joined by a fourth, of d × d."),
            (right - d * h - h, "The first map of SwiGLU leads to 2 h channels: one half gates the other."),
            (right + 2 * d, "An RMSNorm has a weight for each channel and no bias: d numbers, not 2 d."),
            (right - 2 * d, "The two norms are missing, d numbers each."),
            (right - d, "One norm is missing, or the bias of the last linear map: d numbers."),
            (right - 2 * h - d, "The linear maps of SwiGLU have biases: 2 h numbers and d numbers."),
            (right - 6 * d - 2 * h - d, "The matrices are right. Now add the biases and the norms' weights."),
        ],
        what=f"the count for d = {d}, h = {h}",
    )
    expect(fn(144, 384), _block(144, 384), what="the count for d = 144, h = 384")


def _block(d: int, h: int) -> int:
    return sum(
        p.numel() for p in EncoderBlock(d, 4, norm_kind="rms", feed_forward="swiglu", hidden_size=h).parameters()
    )


@exercise(notebook="12", title="Lay a token's weight over its samples", minutes=8)
def weights_to_samples(fn):
    """weights_to_samples(weights, stride, length): weights (B, N), rows of sum 1 -> (B, length), rows of sum 1."""
    weights = torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.8, 0.1]])  # (B, N) = (2, 3)
    stride, length = 4, 10  # the last token has two samples only
    token = torch.arange(length) // stride
    right = (weights / torch.bincount(token))[:, token]
    repeated = weights[:, token]
    expect(
        fn(weights, stride, length),
        right,
        mistakes=[
            (repeated, "Each sample has its token's whole weight: share it, so that rows still sum to 1."),
            (
                repeated / stride,
                "The last token has 2 samples here, not 4: divide its weight by the number of samples it has.",
            ),
            (repeated / repeated.sum(1, keepdim=True), "Rows sum to 1, but by rescaling: the tokens' shares changed."),
            (
                weights.repeat(1, stride)[:, :length] / stride,
                "The row is repeated as a whole; each weight must be repeated in its place (repeat_interleave).",
            ),
            (
                weights.repeat_interleave(stride, 1) / stride,
                "12 samples come out for a signal of 10: the last token reaches beyond the end.",
            ),
        ],
        what="the weights of the samples",
    )


@exercise(notebook="12", title="Letters as channels", minutes=5)
def one_hot_dna(fn):
    """one_hot_dna(sequence): letters A, C, G, T, N -> (L, 4) float32, columns A, C, G, T; N is a row of 0."""
    sequence = "GATTNACA"

    def of(letters: str) -> torch.Tensor:
        return torch.tensor([[float(letter == base) for base in letters] for letter in sequence])

    right = of("ACGT")
    unknown = (right.sum(1, keepdim=True) == 0).float()
    answer = fn(sequence)
    expect(
        answer,
        right,
        mistakes=[
            (right.T, "Letters go down and channels across: (L, 4), time first."),
            (of("ATGC"), "The columns are A, C, G, T in this order; yours are A, T, G, C."),
            (of("ATCG"), "The columns are A, C, G, T in this order; yours are A, T, C, G."),
            (
                right + unknown * torch.tensor([1.0, 0.0, 0.0, 0.0]),
                "N became an A: an unknown letter is a row of zeros.",
            ),
            (
                right + unknown * torch.tensor([0.0, 0.0, 0.0, 1.0]),
                "N became a T: an unknown letter is a row of zeros.",
            ),
            (
                right + unknown / 4,
                "N became a quarter of each letter. That is a choice, too; here it is a row of zeros.",
            ),
        ],
        what="the channels of 'GATTNACA'",
    )
    if answer.dtype != torch.float32:
        raise Hint(f"The numbers are right, but of type {answer.dtype}: the model wants float32.")
