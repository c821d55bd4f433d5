"""Which of the learner's functions can take the place of a piece of the library, and how they are called there.

A stand-in gets the learner's function and what the library's piece is called with. It returns `NotImplemented` for
calls that the exercise does not cover; then the library's own runs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from course_lib.events.detections import closer
from course_lib.events.refractory import REFRACTORY_PERIOD
from course_lib.sequence import Sequence

StandIn = Callable[..., Any]
COUNTERPARTS: dict[str, list[tuple[str, StandIn]]] = {}  # exercise → [(module:name or module:Class.method, stand-in)]


def stands_in(exercise: str, *targets: str) -> Callable[[StandIn], StandIn]:
    """Register a stand-in for pieces of the library, named as "layers.rotary:rotate_pairs" below `course_lib`."""

    def register(function: StandIn) -> StandIn:
        COUNTERPARTS.setdefault(exercise, []).extend((target, function) for target in targets)
        return function

    return register


@stands_in("scaled_attention", "layers.attention_functions:dot_product_attention")
def _attention(mine, queries, keys, values, visible=None, **options):
    other = any(isinstance(value, Tensor) or value not in (None, False, 0.0, "sdpa") for value in options.values())
    if visible is not None or other or keys.shape[1] != queries.shape[1] or not queries.shape[2]:
        return NotImplemented
    return _for_each(mine, 2, queries, keys, values)


@stands_in("sinusoidal_table", "layers.positional:PositionalEncoding._signal")
def _positions(mine, layer, at, channels, dtype):
    return mine(at.flatten(), channels, layer.base).to(dtype).reshape(*at.shape, channels)


@stands_in("turn_pairs", "layers.rotary:rotate_pairs")
def _rotary(mine, x, angles):
    first, second = x.chunk(2, dim=-1)
    pairs = torch.stack([first, second], dim=-1)  # (..., D / 2, 2)
    turned = mine(pairs.reshape(-1, 2), angles.to(x.dtype).expand(first.shape).reshape(-1)).reshape(pairs.shape)
    return torch.cat([turned[..., 0], turned[..., 1]], dim=-1)


@stands_in("rms_norm", "layers.normalization:RMSNorm._normalised")
def _rms_norm(mine, layer, values):
    if layer.weight is None or layer.weight.dim() != 1 or values.dim() != 3:
        return NotImplemented
    return mine(values, layer.weight, layer.eps)


@stands_in("prepend_cls", "layers.encoder:CLSToken._layer")
def _cls(mine, layer, x, training, constants):
    values, mask = mine(x.values, x.mask, layer.weight.to(x.values.dtype))
    return Sequence(values, mask, x.all_valid)


@stands_in("squeeze_and_excite", "layers.residual_cnn:SqueezeExcitation._layer")
def _squeeze(mine, layer, x, training, constants):
    if not x.all_valid:
        return NotImplemented
    weights = (layer.squeeze.weight, layer.squeeze.bias, layer.excite.weight, layer.excite.bias)
    return x.with_values(mine(x.values, *weights))


@stands_in("masked_mean_and_max", "layers.global_pooling:MeanPooling.forward")
def _mean(mine, layer, x):
    return _pooled(mine, x, 0)


@stands_in("masked_mean_and_max", "layers.global_pooling:MaxPooling.forward")
def _max(mine, layer, x):
    return _pooled(mine, x, 1)


def _pooled(mine, x, which):
    x = x if isinstance(x, Sequence) else Sequence.of(x)
    if x.values.dim() != 3 or not x.mask.any(dim=1).all():
        return NotImplemented
    return mine(x.masked().values, x.mask)[which]


@stands_in("attention_pool", "layers.global_pooling:AttentionPooling.forward")
def _attention_pool(mine, layer, x, return_weights=False):
    x = x if isinstance(x, Sequence) else Sequence.of(x)
    if layer.num_heads != 1 or layer.statistics or x.values.dim() != 3 or not x.mask.any(dim=1).all():
        return NotImplemented
    x = x.masked()
    pooled, weights = mine(x.values, layer.score(x.values)[..., 0], x.mask)
    return (pooled, weights[:, None]) if return_weights else pooled


@stands_in("focal_loss", "losses.focal:focal_loss")
def _focal_loss(mine, logits, targets, gamma=2.0, weight=None, label_smoothing=0.0, reduction="mean"):
    plain = weight is None and label_smoothing == 0 and reduction == "mean"
    if not plain or logits.dim() != 2 or targets.dim() != 1 or targets.is_floating_point():
        return NotImplemented
    return mine(logits, targets, gamma)


@stands_in("warmup_cosine", "training.optimization:cosine_with_warmup")
def _schedule(mine, optimizer, total_steps, *, warmup=0.1, final=0.0):
    rising = round(warmup * total_steps)
    if not (0 <= warmup < 1 and 0 <= final <= 1 and total_steps - 1 - rising >= 1):
        return NotImplemented
    factors = [float(factor) for factor in mine(total_steps, rising, final)]
    return LambdaLR(optimizer, lambda step: factors[min(step, total_steps - 1)])


@stands_in("stream_loop", "sequence.streaming:stream")
def _stream(mine, layer, x, block_size=None, training=False, constants=None):
    size = block_size or layer.block_size
    if training is not False or constants or not isinstance(size, int) or size % layer.block_size or not x.shape[1]:
        return NotImplemented
    modes = [(module, module.training) for module in layer.modules()]
    layer.eval()
    try:
        return mine(layer, x, size)
    finally:
        for module, mode in modes:
            module.training = mode


@stands_in("keep_strongest", "events.refractory:refractory_filter")
def _refractory(mine, found, period=REFRACTORY_PERIOD, separation=0.0):
    if separation or np.ndim(period):
        return NotImplemented
    keep = np.ones(len(found), bool)
    for kind in np.unique(found.types):
        members = np.flatnonzero(found.types == kind)
        if len(members) > 300:  # an answer may look at all pairs
            return NotImplemented
        times = found.times[members]
        here, there = times[:, None], times[None]
        if ((np.abs(here - there) < period) != closer(here, there, period)).any():  # one period apart, up to rounding
            return NotImplemented
        keep[members] = mine(times, found.scores[members], period)
    return found[keep]


def _for_each(function: Callable[..., Tensor], axes: int, *tensors: Tensor) -> Tensor:
    """`function` for each item of the first `axes` axes: all at once where torch can, else one after the other."""
    rows = [tensor.flatten(0, axes - 1) for tensor in tensors]
    try:
        found = torch.vmap(function)(*rows)
    except RuntimeError:  # a choice that depends on the numbers, or the function's own mistake, which comes again
        found = torch.stack([function(*row) for row in zip(*rows, strict=True)])
    return found.unflatten(0, tensors[0].shape[:axes])
