"""Wrong answers to the exercises of notebook 12, each with a piece of the hint that it must get."""

import torch


def count(attention=lambda d: 4 * d * d + 4 * d, network=lambda d, h: 3 * d * h + 2 * h + d, norms=lambda d: 2 * d):
    """A wrong `encoder_block_parameters`, from the parts of the right one."""
    return lambda d, h: attention(d) + network(d, h) + norms(d)


def spread(weights, stride, length):
    return weights.repeat_interleave(stride, 1)[:, :length]


def rescaled(weights, stride, length):
    samples = spread(weights, stride, length)
    return samples / samples.sum(1, keepdim=True)


def one_hot(bases="ACGT", unknown=(0.0, 0.0, 0.0, 0.0), finish=lambda rows: rows):
    """A wrong `one_hot_dna`: another order, another row for N, or something done to the rows at the end."""

    def answer(sequence):
        rows = [[float(x == base) for base in bases] if x in bases else list(unknown) for x in sequence]
        return finish(torch.tensor(rows))

    return answer


def other_keys(burst):
    return (burst[:, None] != burst) & (burst >= 0)[None]


def shares(attention, burst, keys):
    """(H, N): what each query gives to these keys."""
    return torch.einsum("hqk,qk->hq", attention, keys.to(attention.dtype))


WRONG = {
    "encoder_block_parameters": {
        "no biases in the attention": (
            count(attention=lambda d: 4 * d * d),
            "projections of the attention have biases",
        ),
        "three projections": (count(attention=lambda d: 3 * d * d + 3 * d), "joined by a fourth"),
        "no gate": (count(network=lambda d, h: 2 * d * h + h + d), "one half gates the other"),
        "norms with biases": (count(norms=lambda d: 4 * d), "no bias: d numbers, not 2 d"),
        "no norms": (count(norms=lambda d: 0), "two norms are missing"),
        "matrices only": (
            count(lambda d: 4 * d * d, lambda d, h: 3 * d * h, lambda d: 0),
            "add the biases and the norms' weights",
        ),
    },
    "weights_to_samples": {
        "the whole weight each": (spread, "whole weight"),
        "a stride's share": (lambda w, s, n: spread(w, s, n) / s, "2 samples here, not 4"),
        "rescaled": (rescaled, "the tokens' shares changed"),
        "tiled": (lambda w, s, n: w.repeat(1, s)[:, :n] / s, "repeated as a whole"),
        "too long": (lambda w, s, n: w.repeat_interleave(s, 1) / s, "beyond the end"),
    },
    "attention_to_others": {
        "own burst too": (
            lambda a, b: torch.stack(
                [shares(a, b, (b >= 0).expand(len(b), -1))[:, i] for i in (b >= 0).nonzero()[:, 0]]
            ).mean(0),
            "own burst counts",
        ),
        "silence too": (lambda a, b: shares(a, b, b[:, None] != b)[:, b >= 0].mean(1), "Silence counts as another"),
        "all queries": (lambda a, b: shares(a, b, other_keys(b)).mean(1), "those that stand on a burst"),
        "summed": (lambda a, b: shares(a, b, other_keys(b))[:, b >= 0].sum(1), "take their mean"),
        "heads averaged": (lambda a, b: shares(a, b, other_keys(b))[:, b >= 0].mean(), "one number for each head"),
    },
    "one_hot_dna": {
        "channels first": (one_hot(finish=lambda rows: rows.T), "time first"),
        "another order": (one_hot("ATGC"), "yours are A, T, G, C"),
        "unknown as A": (one_hot(unknown=(1.0, 0.0, 0.0, 0.0)), "N became an A"),
        "unknown as quarters": (one_hot(unknown=(0.25,) * 4), "a quarter of each letter"),
        "integers": (one_hot(finish=lambda rows: rows.long()), "float32"),
    },
}
