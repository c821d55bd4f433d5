"""Checks of notebook 11."""

import math

import torch
from torch import Tensor

from course_lib.course.exercises import Hint, exercise, expect


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@exercise(notebook="11", title="The whole schedule at once", minutes=10)
def warmup_cosine(fn):
    """warmup_cosine(total_steps, rising, final): -> (total_steps,), each step's rate as a share of the highest."""
    n, rising, final = 14, 4, 0.2
    step = torch.arange(n)
    up = (step + 1) / rising

    def joined(progress: Tensor, low: float = final, half: float = 0.5, turns: float = 1.0, before: Tensor = up):
        """`before` while the rate rises, then a cosine over `progress`."""
        down = low + (1 - low) * half * (1 + torch.cos(turns * math.pi * progress))
        return torch.where(step < rising, before, down)

    progress = (step - rising) / (n - 1 - rising)
    down = 0.5 * (1 + torch.cos(math.pi * progress))
    expect(
        fn(n, rising, final),
        joined(progress),
        mistakes=[
            (
                joined(progress, before=step / rising),
                "The first step has rate 0 and moves nothing: the line is (step + 1) / rising.",
            ),
            (joined(step / (n - 1)), "The cosine begins at step 0; it begins where the rise ends, with progress 0."),
            (
                joined((step - rising) / (n - rising)),
                "The last step misses `final`: its number is total_steps - 1, and progress is 1 there.",
            ),
            (joined(progress, low=0.0), "It falls to 0 and not to `final`."),
            (
                torch.where(step < rising, up, final + down),
                "`final` is added to the whole cosine, so it begins above 1: the cosine's height is 1 - final.",
            ),
            (torch.where(step < rising, up, down.clamp(min=final)), "Cut off at `final`: the cosine should end there."),
            (joined(progress, turns=2.0), "The rate comes back up: half a cosine, from 0 to π, not a whole one."),
            (joined(progress, half=1.0), "The cosine begins at 2: 1 + cos lies between 0 and 2, so take half."),
            (torch.where(step < rising, up, 1 - (1 - final) * progress), "It falls along a straight line: no cosine."),
        ],
        what="the schedule",
    )
    zero = fn(9, 0, 0.0)
    if not torch.as_tensor(zero).isfinite().all():
        raise Hint("With rising = 0 there are values that are not finite: nothing rises, and nothing may divide by it.")
    expect(
        zero,
        0.5 * (1 + torch.cos(math.pi * torch.arange(9) / 8)),
        what="the schedule without a rise (rising = 0)",
    )


@exercise(notebook="11", title="Clip all gradients together", minutes=8)
def clip_together(fn):
    """clip_together(gradients, max_norm): a list of tensors -> the list of clipped tensors, each of its shape."""
    gradients = [_random(3, 2, seed=0), 5 * _random(4, seed=1), 0.2 * _random(2, 1, 3, seed=2)]
    flat = torch.cat([g.flatten() for g in gradients])
    norms, limit = torch.stack([g.norm() for g in gradients]), 1.5

    def scaled(factors) -> list[Tensor]:
        return [factor * g for factor, g in zip(factors, gradients, strict=True)]

    def every(factor) -> list[Tensor]:
        return scaled([factor] * len(gradients))

    given = [g.clone() for g in gradients]
    answer = fn(given, limit)
    if answer is None:
        raise Hint("It returned None: return a list, one tensor for each gradient.")
    if len(answer) != len(gradients):
        raise Hint(f"{len(answer)} tensors came back for {len(gradients)} gradients: return one for each.")
    mistakes = [
        (scaled((limit / norms).clamp(max=1)), "Each tensor is clipped by its own norm, which turns the direction."),
        ([g.clamp(-limit, limit) for g in gradients], "Values are cut one by one: scale all by one factor instead."),
        (every(limit / norms.sum()), "The norms are summed: it is their squares that add up, then one root."),
        (every(limit / flat.square().sum()), "The root is missing: this divides by the squared norm."),
        (
            every(limit / flat.abs().sum()),
            "The norm is the root of the sum of squares, not the sum of absolute values.",
        ),
        (every(limit / norms.max()), "Only the largest tensor's norm was used: all tensors make one long vector."),
        (every(1 / flat.norm()), "The norm came out as 1: multiply by max_norm."),
        (gradients, "Nothing was clipped, though the norm is larger than max_norm."),
    ]
    right = every(limit / flat.norm())
    together, kept = (torch.cat([torch.as_tensor(g).flatten() for g in many]) for many in (answer, right))
    wrong = [(torch.cat([g.flatten() for g in tensors]), hint) for tensors, hint in mistakes]
    expect(together, kept, mistakes=wrong, what="all clipped gradients in a row")
    for got, wanted in zip(answer, right, strict=True):
        expect(got, wanted, what="one of the clipped gradients")
    small = [0.01 * g for g in gradients]
    expect(
        torch.cat([torch.as_tensor(g).flatten() for g in fn([g.clone() for g in small], limit)]),
        0.01 * flat,
        mistakes=[
            (right_flat := limit * flat / flat.norm(), "Small gradients were scaled up: clip, do not normalise.")
        ],
        what="gradients that are smaller than max_norm",
        atol=1e-6 * float(right_flat.norm()),
    )


@exercise(notebook="11", title="One update of the average", minutes=8)
def average_update(fn):
    """average_update(average, weights, decay): dicts of tensors -> the new average, a dict with the same names."""

    def state(seed: int, count: int) -> dict[str, Tensor]:
        return {"weight": _random(2, 3, seed=seed), "bias": _random(2, seed=seed + 1), "counter": torch.tensor(count)}

    average, weights, decay = state(0, 40), state(5, 67), 0.9
    given = {name: value.clone() for name, value in average.items()}
    answer = fn(given, {name: value.clone() for name, value in weights.items()}, decay)
    if answer is None:
        raise Hint("It returned None: return the new average, a dict.")
    if set(answer) != set(average):
        raise Hint(f"The dict has the names {sorted(answer)}, expected {sorted(average)}.")
    for name in ("weight", "bias"):
        old, new = average[name], weights[name]
        expect(
            answer[name],
            decay * old + (1 - decay) * new,
            mistakes=[
                ((1 - decay) * old + decay * new, "decay and 1 - decay are swapped: the average should move slowly."),
                (decay * old + new, "The new weights lack their factor 1 - decay, so the average grows without end."),
                ((old + new) / 2, "This is the plain mean of two: decay is not used."),
                (new, "This is a copy of the weights: nothing is averaged."),
                (old, "The average did not move."),
                (old - (1 - decay) * (new - old), "It moves away from the weights: a sign is flipped."),
            ],
            what=name,
        )
    if torch.as_tensor(answer["counter"]).is_floating_point():
        raise Hint("The counter became a floating-point number: integers are copied from the weights, not averaged.")
    expect(
        answer["counter"],
        weights["counter"],
        mistakes=[
            (average["counter"], "The counter kept its old value: copy it from the weights."),
            (torch.tensor(int(decay * 40 + (1 - decay) * 67)), "The counter was averaged and rounded: copy it."),
        ],
        what="the counter",
    )
    if any(not torch.equal(given[name], value) for name, value in average.items()):
        raise Hint("The old average was changed on the way: make new tensors.")


@exercise(notebook="11", title="A paired difference and its error", minutes=10)
def paired_difference(fn):
    """paired_difference(a, b): scores (N,) on the same N seeds -> the mean of b - a, its standard error."""
    a = 0.8 + 0.05 * _random(7, seed=0)
    b = a + 0.02 + 0.03 * _random(7, seed=1)
    d, n = b - a, len(a)
    mean, error = d.mean(), d.std() / n**0.5
    apart = (a.var() / n + b.var() / n).sqrt()
    answer = fn(a, b)
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Hint("Return two values: the mean of the differences, and its standard error.")
    expect(
        answer[0],
        mean,
        mistakes=[
            (-mean, "The sign is flipped: the difference is b - a, positive where b is better."),
            (d.abs().mean(), "The signs are lost: average b - a itself, not its absolute value."),
            (d.sum(), "This is the sum of the differences: divide by their number."),
            (b.mean(), "This is b's mean: subtract a."),
        ],
        what="the mean difference",
    )
    expect(
        answer[1],
        error,
        mistakes=[
            (apart, "This is the error for two unrelated groups. Here they are pairs: take the spread of b - a."),
            (d.std(), "This is the spread of one difference: the mean of N has 1/√N of it."),
            (d.std() / n, "Divide by the root of N, not by N."),
            (d.std(correction=0) / n**0.5, "The variance was divided by N: with the mean taken from the data, N - 1."),
            (d.var() / n, "This is the squared error: take the root."),
            (d.var() / n**0.5, "The variance was used where the standard deviation belongs."),
        ],
        what="the standard error",
        atol=1e-6,
    )
