"""Exercises of notebook 11."""

import math

import torch

from course_lib.course.exercises import Draw, Edge, exercise


def _schedules(draw: Draw):
    yield 5, 1, 0.5
    yield 6, 2, 0.2
    yield 14, 4, 0.2
    for _ in range(4):
        rising = draw.integer(1, 6)
        yield rising + draw.integer(3, 12), rising, draw.number(0.05, 0.6)
    yield Edge(
        (9, 0, 0.0),
        "Without a rise (rising = 0) the schedule is wrong: the cosine begins at step 0 with rate 1.",
        nan="With rising = 0 there are values that are not finite: nothing rises, and nothing may divide by it.",
    )
    yield Edge(
        (7, 0, 0.3), "Without a rise (rising = 0) the schedule is wrong: the cosine begins at step 0 with rate 1."
    )


def _rate(
    down=lambda progress, low: low + (1 - low) * 0.5 * (1 + torch.cos(math.pi * progress)),
    progress=lambda step, total, rising: (step - rising) / (total - 1 - rising),
    first=1,
):
    """A schedule that falls in another way, over another progress, or rises from `first`."""

    def answer(total_steps, rising, final):
        step = torch.arange(total_steps)
        falling = down(progress(step, total_steps, rising), final)
        return torch.where(step < rising, (step + first) / max(rising, 1), falling)

    return answer


def _cosine(progress):
    return 0.5 * (1 + torch.cos(math.pi * progress))


@exercise(
    notebook="11",
    title="The whole schedule at once",
    minutes=10,
    inputs=_schedules,
    mistakes=[
        (_rate(first=0), "The first step has rate 0 and moves nothing: the line is (step + 1) / rising."),
        (
            _rate(progress=lambda step, total, rising: step / (total - 1)),
            "The cosine begins at step 0; it begins where the rise ends, with progress 0.",
        ),
        (
            _rate(progress=lambda step, total, rising: (step - rising) / (total - rising)),
            "The last step misses `final`: its number is total_steps - 1, and progress is 1 there.",
        ),
        (_rate(lambda progress, low: _cosine(progress)), "It falls to 0 and not to `final`."),
        (
            _rate(lambda progress, low: low + _cosine(progress)),
            "`final` is added to the whole cosine, so it begins above 1: the cosine's height is 1 - final.",
        ),
        (
            _rate(lambda progress, low: _cosine(progress).clamp(min=low)),
            "Cut off at `final`: the cosine should end there.",
        ),
        (
            _rate(lambda progress, low: low + (1 - low) * _cosine(2 * progress)),
            "The rate comes back up: half a cosine, from 0 to π, not a whole one.",
        ),
        (
            _rate(lambda progress, low: low + (1 - low) * 2 * _cosine(progress)),
            "The cosine begins at 2: 1 + cos lies between 0 and 2, so take half.",
        ),
        (_rate(lambda progress, low: 1 - (1 - low) * progress), "It falls along a straight line: no cosine."),
    ],
    example=(6, 2, 0.2),
    hints=[
        "Make two schedules for all steps, one that rises and one that falls, and choose between them at the end.",
        (
            "For the fall, count how far each step is on its way from the last that rises: {}.",
            lambda total, rising, _: (torch.arange(total) - rising) / (total - 1 - rising),
        ),
        "Half a cosine of that, 0.5 (1 + cos(π progress)), goes from 1 to 0. Squeeze it into 1 to `final`.",
        "The rise is (step + 1) / rising; `max(rising, 1)` keeps it from dividing by 0. "
        "Begin with `step = torch.arange(total_steps)`.",
    ],
)
def warmup_cosine(total_steps, rising, final):
    """warmup_cosine(total_steps, rising, final): -> (total_steps,), each step's rate as a share of the highest."""
    step = torch.arange(total_steps)
    progress = (step - rising) / (total_steps - 1 - rising)  # (total_steps,)
    down = final + (1 - final) * 0.5 * (1 + torch.cos(math.pi * progress))
    return torch.where(step < rising, (step + 1) / max(rising, 1), down)


def _gradients(draw: Draw):
    yield [torch.tensor([3.0, 4.0])], 1.5
    for limit in (1.5, draw.number(0.5, 3), draw.number(0.5, 3)):
        yield [draw.tensor(3, 2), 5 * draw.tensor(4), 0.2 * draw.tensor(2, 1, 3)], limit
    small = "Small gradients were scaled up: clip, do not normalise."
    yield Edge(([0.01 * draw.tensor(3, 2), 0.02 * draw.tensor(4)], 1.5), small)
    yield Edge(([0.3 * draw.tensor(2), 0.1 * draw.tensor(3)], 9.0), small)


def _by(factor):
    """All gradients times one factor, of their norms and the limit."""
    return lambda gradients, limit: [factor(torch.stack([g.norm() for g in gradients]), limit) * g for g in gradients]


@exercise(
    notebook="11",
    title="Clip all gradients together",
    minutes=8,
    inputs=_gradients,
    call=lambda fn, gradients, max_norm: list(a) if isinstance(a := fn(gradients, max_norm), tuple) else a,
    mistakes=[
        (
            lambda gradients, limit: [g * (limit / g.norm()).clamp(max=1) for g in gradients],
            "Each tensor is clipped by its own norm, which turns the direction.",
        ),
        (
            lambda gradients, limit: [g.clamp(-limit, limit) for g in gradients],
            "Values are cut one by one: scale all by one factor instead.",
        ),
        (
            _by(lambda norms, limit: (limit / norms.sum()).clamp(max=1)),
            _by(lambda norms, limit: limit / norms.sum()),
            "The norms are summed: it is their squares that add up, then one root.",
        ),
        (
            _by(lambda norms, limit: limit / norms.square().sum()),
            _by(lambda norms, limit: (limit / norms.square().sum()).clamp(max=1)),
            "The root is missing: this divides by the squared norm.",
        ),
        (
            lambda gradients, limit: [g * limit / sum(other.abs().sum() for other in gradients) for g in gradients],
            "The norm is the root of the sum of squares, not the sum of absolute values.",
        ),
        (
            _by(lambda norms, limit: limit / norms.max()),
            _by(lambda norms, limit: (limit / norms.max()).clamp(max=1)),
            "Only the largest tensor's norm was used: all tensors make one long vector.",
        ),
        (_by(lambda norms, limit: 1 / norms.norm()), "The norm came out as 1: multiply by max_norm."),
        (lambda gradients, limit: gradients, "Nothing was clipped, though the norm is larger than max_norm."),
    ],
    example=([torch.tensor([3.0, 4.0]), torch.tensor([12.0])], 1.0),
    hints=[
        "Think of all tensors laid in one row, and of one factor for the whole row.",
        ("Each tensor's sum of squares: {}.", lambda gradients, _: torch.stack([g.square().sum() for g in gradients])),
        ("The norm of all together: {}.", lambda gradients, _: torch.cat([g.flatten() for g in gradients]).norm()),
        "The factor is max_norm over the norm, but never above 1. "
        "Begin with `norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()`.",
    ],
)
def clip_together(gradients, max_norm):
    """clip_together(gradients, max_norm): a list of tensors -> the list of clipped tensors, each of its shape."""
    norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
    factor = (max_norm / norm).clamp(max=1.0)
    return [factor * gradient for gradient in gradients]


def _states(draw: Draw):
    yield {"w": torch.tensor([1.0])}, {"w": torch.tensor([3.0])}, 0.75
    yield (
        {"w": torch.tensor([2.0]), "counter": torch.tensor(3)},
        {"w": torch.tensor([-1.0]), "counter": torch.tensor(9)},
        0.5,
    )
    for _ in range(4):
        names = ("weight", "bias", "counter")
        values = [(draw.tensor(2, 3), draw.tensor(2), torch.tensor(draw.integer(1, 90))) for _ in range(2)]
        yield *(dict(zip(names, value, strict=True)) for value in values), draw.number(0.5, 0.95)


def _averaged(mix=lambda old, new, decay: decay * old + (1 - decay) * new, counter=lambda old, new, decay: new):
    """An update with another mixture of floating-point values, or of counters."""

    def answer(average, weights, decay):
        return {
            name: (mix if new.is_floating_point() else counter)(average[name], new, decay)
            for name, new in weights.items()
        }

    return answer


def _types(fn, average, weights, decay):
    """The new average, and which of its tensors hold whole numbers."""
    new = fn(average, weights, decay)
    if not isinstance(new, dict):
        return new
    floats = {name: torch.as_tensor(value).is_floating_point() for name, value in new.items()}
    return {**new, **{f"is {name} floating-point": floating for name, floating in floats.items()}}


def _everywhere(mix):
    return _averaged(mix, lambda old, new, decay: mix(old, new, decay))


@exercise(
    notebook="11",
    title="One update of the average",
    minutes=8,
    inputs=_states,
    call=_types,
    mistakes=[
        (
            _averaged(lambda old, new, decay: (1 - decay) * old + decay * new),
            "decay and 1 - decay are swapped: the average should move slowly.",
        ),
        (
            _averaged(lambda old, new, decay: decay * old + new),
            "The new weights lack their factor 1 - decay, so the average grows without end.",
        ),
        (_averaged(lambda old, new, decay: (old + new) / 2), "This is the plain mean of two: decay is not used."),
        (_averaged(lambda old, new, decay: new), "This is a copy of the weights: nothing is averaged."),
        (lambda average, weights, decay: average, _averaged(lambda old, new, decay: old), "The average did not move."),
        (
            _averaged(lambda old, new, decay: old - (1 - decay) * (new - old)),
            "It moves away from the weights: a sign is flipped.",
        ),
        (
            _everywhere(lambda old, new, decay: decay * old + (1 - decay) * new),
            _averaged(counter=lambda old, new, decay: 0.9 * old + 0.1 * new),
            _averaged(counter=lambda old, new, decay: new.float()),
            "The counter became a floating-point number: integers are copied from the weights, not averaged.",
        ),
        (_averaged(counter=lambda old, new, decay: old), "The counter kept its old value: copy it from the weights."),
        (
            _averaged(counter=lambda old, new, decay: (decay * old + (1 - decay) * new).long()),
            _averaged(counter=lambda old, new, decay: (0.9 * old + 0.1 * new).long()),
            "The counter was averaged and rounded: copy it.",
        ),
    ],
    example=(
        {"w": torch.tensor([3.0]), "counter": torch.tensor(4)},
        {"w": torch.tensor([1.0]), "counter": torch.tensor(5)},
        0.9,
    ),
    hints=[
        "Go through the names of the weights and make a new dict; `is_floating_point` tells the two kinds apart.",
        ("What the old average brings to w: {}.", lambda average, weights, decay: decay * average["w"]),
        ("What the new weight brings to w: {}.", lambda average, weights, decay: (1 - decay) * weights["w"]),
        "Add the two for floating-point tensors; copy integers from the weights. Begin with an empty dict, `new = {}`.",
    ],
)
def average_update(average, weights, decay):
    """average_update(average, weights, decay): dicts of tensors -> the new average, a dict with the same names."""
    return {
        name: decay * average[name] + (1 - decay) * weight if weight.is_floating_point() else weight.clone()
        for name, weight in weights.items()
    }


def _scores(draw: Draw):
    yield torch.tensor([1.0, 2.0, 4.0]), torch.tensor([2.0, 2.5, 3.0])
    for n in (2, 4, 7, draw.integer(8, 12)):
        a = 0.8 + 0.05 * draw.tensor(n)
        yield a, a + 0.02 + 0.03 * draw.tensor(n)


def _only_mean(mean):
    return lambda a, b: (mean(b - a), ...)


def _only_error(error):
    return lambda a, b: (..., error(b - a))


@exercise(
    notebook="11",
    title="A paired difference and its error",
    minutes=10,
    inputs=_scores,
    parts=("the mean of the differences", "its standard error"),
    mistakes=[
        (_only_mean(lambda d: -d.mean()), "The sign is flipped: the difference is b - a, positive where b is better."),
        (_only_mean(lambda d: d.abs().mean()), "The signs are lost: average b - a itself, not its absolute value."),
        (_only_mean(lambda d: d.sum()), "This is the sum of the differences: divide by their number."),
        (lambda a, b: (b.mean(), ...), "This is b's mean: subtract a."),
        (
            lambda a, b: (..., (a.var() / len(a) + b.var() / len(b)).sqrt()),
            "This is the error for two unrelated groups. Here they are pairs: take the spread of b - a.",
        ),
        (_only_error(lambda d: d.std()), "This is the spread of one difference: the mean of N has 1/√N of it."),
        (_only_error(lambda d: d.std() / len(d)), "Divide by the root of N, not by N."),
        (
            _only_error(lambda d: d.std(correction=0) / len(d) ** 0.5),
            "The variance was divided by N: with the mean taken from the data, N - 1.",
        ),
        (_only_error(lambda d: d.var() / len(d)), "This is the squared error: take the root."),
        (_only_error(lambda d: d.var() / len(d) ** 0.5), "The variance was used where the standard deviation belongs."),
    ],
    example=(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([2.0, 2.5, 3.0])),
    hints=[
        "Forget the two lists: everything is computed from one list, that of the differences.",
        ("The differences are {}.", lambda a, b: b - a),
        ("Their standard deviation, with N - 1, is {}.", lambda a, b: (b - a).std()),
        "The mean of N numbers scatters less than each of them, by the root of N. Begin with `difference = b - a`.",
    ],
)
def paired_difference(a, b):
    """paired_difference(a, b): scores (N,) on the same N seeds -> the mean of b - a, its standard error."""
    return (b - a).mean(), (b - a).std() / len(a) ** 0.5


def _p_values(draw: Draw):
    yield torch.tensor([0.03, 0.01])
    yield torch.tensor([0.04, 0.011, 0.3, 0.012])
    for n in (3, 5, draw.integer(6, 9)):
        yield torch.cat([0.02 * torch.sigmoid(draw.tensor(n)), torch.tensor([0.6, 0.8])])


def _holm(factors=lambda n: torch.arange(n, 0, -1), order=torch.argsort, finish=lambda values: values.cummax(0).values):
    """A correction with other factors, another order, or another way to end."""

    def answer(p):
        places = order(p)
        corrected = torch.empty_like(p)
        corrected[places] = finish(p[places] * factors(len(p))).clamp(max=1)
        return corrected

    return answer


@exercise(
    notebook="11",
    title="Holm's correction",
    minutes=10,
    inputs=_p_values,
    mistakes=[
        (lambda p: p, "Nothing was corrected."),
        (
            lambda p: (p * len(p)).clamp(max=1),
            "All are multiplied by their number, as Bonferroni does: only the smallest is.",
        ),
        (_holm(finish=lambda values: values), "A larger p came out below a smaller one: keep the running maximum."),
        (lambda p: holm(p).sort().values, "The results are sorted: give each back in the place of its p."),
        (lambda p: _holm_unclamped(p), "A p above 1: cut off there."),
        (
            _holm(lambda n: torch.arange(1, n + 1)),
            "The factors run the wrong way: the smallest p is multiplied by the number of all.",
        ),
        (
            _holm(order=lambda p: p.argsort(descending=True)),
            "The order runs from the largest p: begin with the smallest.",
        ),
        (
            _holm(lambda n: torch.arange(n - 1, -1, -1)),
            "The factors begin one too low: the smallest p is multiplied by the number of all.",
        ),
    ],
    example=(torch.tensor([0.04, 0.01, 0.03]),),
    hints=[
        "Sort first; correct the sorted p's; then bring each back to its place.",
        ("Sorted, and times 3, 2 and 1: {}.", lambda p: p.sort().values * torch.arange(len(p), 0, -1)),
        (
            "None may be below the one before it: {}.",
            lambda p: (p.sort().values * torch.arange(len(p), 0, -1)).cummax(0).values,
        ),
        "`cummax` keeps the largest so far. To put back, make an empty tensor and write into it at `order`. "
        "Begin with `order = p.argsort()`.",
    ],
)
def holm(p):
    """holm(p): p-values (M,) -> corrected ones (M,), each in its place."""
    order = p.argsort()
    factors = torch.arange(len(p), 0, -1)  # M, M - 1, ..., 1
    corrected = torch.empty_like(p)
    corrected[order] = (p[order] * factors).cummax(0).values.clamp(max=1.0)
    return corrected


def _holm_unclamped(p):
    order, corrected = p.argsort(), torch.empty_like(p)
    corrected[order] = (p[order] * torch.arange(len(p), 0, -1)).cummax(0).values
    return corrected
