"""Dot-product attention over tensors: the plain mathematics, PyTorch's fused kernels, and the banded form.

Time goes second to last here, as attention has it: queries (B, H, Q, D), keys and values (B, KV, K, D). `KV` divides
`H`: with fewer key/value heads than query heads, H/KV query heads in a row share one of them (Ainslie et al. 2023).
"""

from __future__ import annotations

from math import ceil, log

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.layers.elementwise import dropout as drop
from course_lib.sequence import at_least_float32


def attention_weights(
    queries: Tensor,
    keys: Tensor,
    visible: Tensor | None = None,
    *,
    bias: Tensor | None = None,
    scale: float | None = None,
    soft_cap: float | None = None,
) -> Tensor:
    """Softmax over the keys of scaled dot products: (B, H, Q, K), in at least float32.

    queries: (B, H, Q, D).  keys: (B, KV, K, D).
    visible: boolean, broadcastable to (B, H, Q, K); weights are 0 where it is False, and a row that sees nothing is 0.
    bias: added to the scaled dot products, broadcastable likewise.
    scale: 1/√D by default.  soft_cap: logits go through soft_cap · tanh(logits / soft_cap).
    Source: Vaswani et al. 2017, eq. 1.
    """
    scale = queries.shape[-1] ** -0.5 if scale is None else scale
    logits = (queries * scale) @ _repeat_heads(keys, queries.shape[1]).transpose(-1, -2)  # (B, H, Q, K)
    logits = logits.to(at_least_float32(logits.dtype))
    if bias is not None:
        logits = logits + bias
    if soft_cap is not None:
        logits = soft_cap * torch.tanh(logits / soft_cap)
    if visible is None:
        return torch.softmax(logits, dim=-1)
    hidden = ~visible
    logits = logits.masked_fill(hidden, torch.finfo(logits.dtype).min)
    return torch.softmax(logits, dim=-1).masked_fill(hidden, 0.0)


def dot_product_attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    visible: Tensor | None = None,
    *,
    is_causal: bool = False,
    bias: Tensor | None = None,
    scale: float | None = None,
    soft_cap: float | None = None,
    dropout: float = 0.0,
    implementation: str = "sdpa",
) -> Tensor:
    """Attention's output (B, H, Q, D): each query's weighted mean of the values.

    Arguments as in `attention_weights`, and `is_causal`: query i sees keys 0 to i; it excludes `visible` and needs as
    many keys as queries.  dropout: probability with which a weight is dropped.  implementation: "sdpa", PyTorch's
    scaled_dot_product_attention, or "math", the formula as written; a soft cap always takes the formula, and so does
    dropout on a CPU, where PyTorch's function is the slower one.
    """
    slow = dropout > 0 and queries.device.type == "cpu"
    if is_causal and bias is not None:  # PyTorch's function takes a mask or is_causal, and the bias is a mask to it
        is_causal = False
        visible = torch.ones(queries.shape[2], keys.shape[2], dtype=torch.bool, device=queries.device).tril()
    if implementation == "sdpa" and soft_cap is None and not slow:
        mask = visible
        if bias is not None:
            mask = bias.to(queries.dtype)
            mask = mask if visible is None else mask.masked_fill(~visible, float("-inf"))
        grouped = keys.shape[1] != queries.shape[1]
        return F.scaled_dot_product_attention(
            queries, keys, values, mask, dropout, is_causal and mask is None, scale=scale, enable_gqa=grouped
        )
    if is_causal:
        visible = torch.ones(queries.shape[2], keys.shape[2], dtype=torch.bool, device=queries.device).tril()
    weights = attention_weights(queries, keys, visible, bias=bias, scale=scale, soft_cap=soft_cap)
    weights = weights.to(values.dtype)
    weights = drop(weights, dropout) if dropout else weights
    return weights @ _repeat_heads(values, queries.shape[1])


def learned_scale(parameter: Tensor) -> Tensor:
    """Positive factors log(1 + e^parameter) / log 2, 1 where the parameter is 0, as SequenceLayers scales queries."""
    return F.softplus(parameter) / log(2)


def band(
    queries: int, keys: int, offset: int, past: int | None, future: int | None, device: torch.device | None = None
) -> Tensor | None:
    """Boolean (Q, K): which keys lie within the horizons of each query. None where all of them do.

    Key j is at time j - offset, query i at time i; visible iff -past <= key time - query time <= future.
    past, future: None is unlimited.
    """
    past = None if past is None or offset - past <= 1 - queries else past  # a limit that excludes no key is none
    future = None if future is None or keys - 1 <= offset + future else future
    if past is None and future is None:
        return None
    visible = torch.ones(queries, keys, dtype=torch.bool, device=device)
    if future is not None:
        visible = visible.tril(offset + future)
    return visible if past is None else visible.triu(offset - past)


def windows(x: Tensor, count: int, block: int, span: int) -> Tensor:
    """Overlapping windows over time: (B, T, ...) -> (B * count, block + span, ...).

    Window i starts at time i * block; zeros (False) stand where `x` has ended.
    """
    following = ceil(span / block)  # each window is its own block and parts of this many blocks after it
    missing = (count + following) * block - x.shape[1]
    x = F.pad(x, (0, 0) * (x.dim() - 2) + (0, missing))  # a negative number of missing steps cuts what no window needs
    blocks = x.unflatten(1, (count + following, block))
    parts = [blocks[:, i : i + count, : block + span - i * block] for i in range(following + 1)]
    return torch.cat(parts, dim=2).flatten(0, 1)


def _repeat_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, KV, T, D) -> (B, H, T, D): each key/value head beside all query heads that share it."""
    return x if x.shape[1] == num_heads else x.repeat_interleave(num_heads // x.shape[1], dim=1)
