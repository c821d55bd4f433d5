"""Exercises of notebook 17: one step from a cache, the band of two horizons, softmax over what is visible, a stack."""

import torch

from course_lib.course.exercises import Draw, Edge, exercise


def _caches(draw: Draw):
    for n, D, past in [(1, 1, 1), (1, 2, 1), (4, 4, 4), (3, 2, 3), (5, 3, 5)]:
        yield _cached(draw, n, D, past)
    growing = "A cache that is not full yet loses nothing: count before you cut."
    yield Edge(_cached(draw, 1, 2, 4), growing)
    yield Edge(_cached(draw, 2, 3, 3), growing)
    yield Edge(_cached(draw, 0, 2, 3), growing)
    yield Edge(_cached(draw, 0, 3, 0), "With past = 0 nothing is kept. Mind that keys[-0:] is all of keys.")


def _cached(draw, n, D, past):
    return *(draw.tensor(D) for _ in range(3)), draw.tensor(n, D), draw.tensor(n, D), past


def _looked(
    see=lambda keys, values, all_keys, all_values, past: (all_keys, all_values),
    scale=lambda D: D**-0.5,
    average=lambda keys, values: values,
    ask=lambda q, k: q,
):
    """Only the output, of other steps, another scale, average or question."""

    def answer(q, k, v, keys, values, past):
        seen = see(keys, values, torch.cat([keys, k[None]]), torch.cat([values, v[None]]), past)
        return torch.softmax(seen[0] @ ask(q, k) * scale(len(q)), dim=0) @ average(*seen), ..., ...

    return answer


def _kept(cut, of_keys=True, of_values=True):
    """Only the next keys and values, both or one of them: `cut(all steps, those before, past)`."""

    def answer(q, k, v, keys, values, past):
        both = ((torch.cat([keys, k[None]]), keys, of_keys), (torch.cat([values, v[None]]), values, of_values))
        return ..., *(cut(all_, old, past) if wanted else ... for all_, old, wanted in both)

    return answer


def _cuts(cut, text):
    """The mistake in both, in the keys alone and in the values alone."""
    return [
        (_kept(cut), _kept(cut, of_values=False), text.format("keys")),
        (_kept(cut, of_keys=False), text.format("values")),
    ]


def _ring(all_, old, past):
    """As a ring of `past` slots does, once they are full."""
    return all_ if len(all_) <= past else torch.cat([all_[-1:], all_[1:-1]]) if past else all_[:0]


@exercise(
    notebook="17",
    title="One step from a cache",
    minutes=10,
    inputs=_caches,
    parts=("the output", "the next keys", "the next values"),
    mistakes=[
        (
            _looked(lambda keys, values, all_keys, all_values, past: (keys, values)),
            "The new step does not see itself: its own key joins before it attends.",
        ),
        (_looked(scale=lambda D: 1.0), "The scores are not scaled: divide them by the square root of D."),
        (_looked(scale=lambda D: 1 / D), "Divided by D: it is the square root of D."),
        (
            _looked(lambda keys, values, all_keys, all_values, past: (all_keys[-past:], all_values[-past:])),
            "The oldest step fell out before it was looked at: `past` old steps and the new one are visible.",
        ),
        (
            _looked(average=lambda keys, values: keys),
            "These are weighted means of the keys: the values are what is averaged.",
        ),
        (_looked(ask=lambda q, k: k), "The new key asks: it is the query that asks."),
        (
            lambda *a: (..., attention_step(*a)[1], attention_step(*a)[1]),
            "The keys came back twice: the third result is the values.",
        ),
        *_cuts(
            lambda all_, old, past: all_,
            "Nothing falls out of the {}: after a full cache and a new step, the oldest one has to go.",
        ),
        *_cuts(lambda all_, old, past: old, "The {} come back as they went in: the new step has to join them."),
        *_cuts(_ring, "The new step's {} took the oldest one's place: keep the oldest in front."),
        *_cuts(
            lambda all_, old, past: torch.cat([all_[-1:], old])[:past],
            "The new step stands in front of the {}: keep the oldest first, the newest last.",
        ),
        *_cuts(
            lambda all_, old, past: all_[2:],
            "One step too few is kept of the {}: the next one looks at `past` steps beside itself.",
        ),
        *_cuts(
            lambda all_, old, past: all_[-past + 1 :],
            "One step too few is kept of the {}: the next one looks at `past` steps beside itself.",
        ),
    ],
    example=(
        torch.tensor([2.0]),
        torch.tensor([1.0]),
        torch.tensor([10.0]),
        torch.tensor([[0.0], [1.0]]),
        torch.tensor([[4.0], [6.0]]),
        2,
    ),
    hints=[
        "The new step sees the cache and itself. So what must happen to k and v before the scores?",
        (
            "The three scores are {}.",
            lambda q, k, v, keys, values, past: torch.cat([keys, k[None]]) @ q / len(q) ** 0.5,
        ),
        "Join, scores over √D, softmax over the steps, weighted sum of the values. Then drop from the front until at "
        "most `past` "
        "are left; count how many, since a slice from −0 is everything.",
        "Begin with `keys = torch.cat([keys, k[None]])`, of shape (n + 1, D).",
    ],
)
def attention_step(q, k, v, keys, values, past):
    """attention_step(q, k, v, keys, values, past): q, k, v (D,) of the new step, keys and values (n, D) of the last
    n <= past steps -> the output (D,), and the next keys and values, of `past` steps at most
    """
    keys, values = torch.cat([keys, k[None]]), torch.cat([values, v[None]])
    drop = max(len(keys) - past, 0)
    return torch.softmax(keys @ q / len(q) ** 0.5, dim=0) @ values, keys[drop:], values[drop:]


def _horizons(draw: Draw):
    yield from [(3, 1, 0), (6, 3, 2), (4, 0, 1), (5, 2, 2)]
    literally = "-1 was taken for a distance, or lifts both limits: as a horizon it means that there is no limit."
    past_only = "past = -1 means no limit, and on the past only: the future keeps its own."
    yield Edge((5, -1, 2), past_only)
    yield Edge((4, 0, -1), "future = -1 means no limit, and on the future only: the past keeps its own.")
    yield Edge((4, -1, -1), literally)
    for _ in range(3):
        yield draw.integer(3, 9), draw.integer(0, 4), draw.integer(0, 4)


def _band(
    low=lambda distance, past: distance >= -past,
    high=lambda distance, future: distance <= future,
    join=torch.logical_and,
    unlimited=True,
):
    """A band with another horizon or connection, or one that takes -1 literally."""

    def answer(T, past, future):
        distance = torch.arange(T) - torch.arange(T)[:, None]  # key - query
        past = T if unlimited and past == -1 else past
        future = T if unlimited and future == -1 else future
        return join(low(distance, past), high(distance, future))

    return answer


@exercise(
    notebook="17",
    title="The band",
    minutes=8,
    inputs=_horizons,
    mistakes=[
        (
            lambda *a: band_mask(*a).T,
            "Rows and columns are swapped, or past and future: row q looks `past` columns to the left.",
        ),
        (lambda *a: ~band_mask(*a), "It is True where a key is hidden: turn it round."),
        (
            _band(low=lambda distance, past: distance > -past),
            "The past is one short: a key exactly `past` steps back is visible.",
        ),
        (
            _band(high=lambda distance, future: distance < future),
            "The future is one short: `future` steps ahead is still visible.",
        ),
        (
            _band(lambda distance, past: distance > -past, lambda distance, future: distance < future),
            "Both ends are one short: the horizons themselves are visible.",
        ),
        (
            lambda *a: band_mask(*a) & ~torch.eye(a[0], dtype=torch.bool),
            "A step does not see itself here: distance 0 lies within the horizons.",
        ),
        (
            _band(low=lambda distance, past: distance < 99),
            "The past has no limit here: keys further back than `past` are hidden.",
        ),
        (_band(high=lambda distance, future: distance <= 0), "The future is missing: this is the band of future = 0."),
        (_band(join=torch.logical_or), "Everything is visible: both conditions must hold, with & and not |."),
        (_band(unlimited=False), "-1 was taken for a distance: as a horizon it means that there is no limit."),
    ],
    example=(3, 1, 0),
    hints=[
        "Row is the query, column the key. Which tensor has k − q at every place?",
        ("Key minus query is {}.", lambda T, past, future: torch.arange(T) - torch.arange(T)[:, None]),
        "Two comparisons, joined by `&`. A horizon of −1 can be replaced by one that is longer than the sequence.",
        "Begin with `distance = torch.arange(T) - torch.arange(T)[:, None]`.",
    ],
)
def band_mask(T, past, future):
    """band_mask(T, past, future) -> (T, T) booleans, row q, column k: may query q see key k? -1 is no limit."""
    distance = torch.arange(T) - torch.arange(T)[:, None]  # key - query
    past = T if past == -1 else past
    future = T if future == -1 else future
    return (distance >= -past) & (distance <= future)


def _stacks(draw: Draw):
    yield [(2, 1), (3, 2)]
    yield [(7, 2), (5, 0), (11, 3)]
    yield Edge(([],), "With no layer at all, all three are 0.")
    for layers in (1, 2, 4):
        yield [(draw.integer(1, 20), draw.integer(0, 6)) for _ in range(layers)]


def _timing(reach=lambda p, f: sum(p), late=lambda p, f: sum(f), kept=lambda p, f: sum(p) + sum(f)):
    """The three numbers from past and future horizons, one of them by another rule."""

    def answer(horizons):
        p, f = [past for past, _ in horizons], [future for _, future in horizons]
        return reach(p, f), late(p, f), kept(p, f)

    return answer


def _product(p, f):
    product = 1
    for n in p:
        product *= n
    return product


@exercise(
    notebook="17",
    title="The timing of a stack",
    minutes=6,
    inputs=_stacks,
    parts=("the reach back", "the latency", "the steps kept"),
    call=lambda fn, horizons: fn(horizons),
    mistakes=[
        (
            _timing(lambda p, f: max(p), lambda p, f: max(f), lambda p, f: max(map(sum, zip(p, f, strict=True)))),
            "This is the largest layer: each layer looks further from where the one before it looked.",
        ),
        (
            _timing(_product, lambda p, f: _product(f, p), _product),
            "Multiplied: reaches and latencies of layers in a row add up.",
        ),
        (
            _timing(late=lambda p, f: max(f)),
            "The latency is the slowest layer's: a late layer makes the next one wait, so they add up.",
        ),
        (
            _timing(kept=lambda p, f: sum(p)),
            "Keys wait too: a layer that looks F ahead keeps F more steps, P + F in all.",
        ),
        (
            _timing(kept=lambda p, f: sum(p) + sum(f) + len(p)),
            "Counted with the new step: between two steps a layer keeps P + F, without a + 1.",
        ),
        (
            _timing(reach=lambda p, f: sum(p) + len(p)),
            "The step itself is no step back: reach back is the distance to the oldest step seen.",
        ),
        (_timing(lambda p, f: sum(f), lambda p, f: sum(p)), "Reach and latency are swapped: the past comes first."),
        (
            _timing(reach=lambda p, f: sum(p) + sum(f)),
            "The reach back counts the past alone: future horizons look the other way.",
        ),
    ],
    example=([(2, 1), (3, 2)],),
    hints=[
        "One layer sees P steps back. What does the layer above it, which sees back in outputs of the first?",
        ("The past horizons are {}: one begins where the other ends.", lambda horizons: [past for past, _ in horizons]),
        "Past horizons add up to the reach, future ones to the latency. A layer keeps P + F steps: it answers F steps "
        "late, with "
        "P steps before that.",
        "Begin with `reach = sum(past for past, _ in horizons)`.",
    ],
)
def stack_timing(horizons):
    """stack_timing(horizons): [(P, F), ...] of attention layers in a row -> (reach back, latency, steps kept)"""
    reach = sum(past for past, _ in horizons)
    latency = sum(future for _, future in horizons)
    return reach, latency, reach + latency


def _scores(draw: Draw):
    yield torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[True, True, False]])
    yield (
        torch.tensor([[2.0, -1.0, 0.5, 3.0], [-2.0, -3.0, -1.0, 4.0], [1.0, 0.0, 2.0, -1.0]]),
        torch.tensor([[True, True, False, True], [True, True, True, False], [False, False, False, False]]),
    )
    for _ in range(3):
        Q, K = draw.sizes(2, 2, 7)
        visible = torch.from_numpy(draw.rng.random((Q, K)) < 0.6)
        visible[0] = False
        yield 2 * draw.tensor(Q, K), visible
    scores, visible = draw.tensor(3, 4), torch.tensor([[True, False, True, True], [False] * 4, [True] * 4])
    through = "A NaN score at a hidden key comes through: NaN plus -inf, or times 0, is NaN. Replace it instead."
    yield Edge((scores.masked_fill(~visible, torch.nan), visible), through, nan=through)
    overflow = "Scores of 1,000 overflow: e to the 1,000 is inf. torch.softmax takes the largest score off first."
    yield Edge((500 * scores, visible), overflow, nan=overflow)
    small = "Very small scores are scores: hidden ones must be smaller than any."
    yield Edge((torch.tensor([[-2e9, -2e9 - 512, 5.0]]), torch.tensor([[True, True, False]])), small)


def _weights(fill=-torch.inf, end=0.0, dim=1, seen=lambda visible: visible):
    """Weights with another filling, another end, or a softmax over the other axis."""

    def answer(scores, visible):
        visible = seen(visible)
        y = torch.softmax(scores.masked_fill(~visible, fill), dim=dim)
        return y if end is None else y.masked_fill(~visible, end)

    return answer


@exercise(
    notebook="17",
    title="Softmax over what is visible",
    minutes=10,
    inputs=_scores,
    mistakes=[
        (_weights(end=None), "A row with no key is NaN: 0/0. Give it weights of 0."),
        (
            _weights(-1e9, end=None),
            "A row with no key shares its weight evenly among hidden keys: set hidden weights to 0 at the end.",
        ),
        (
            lambda scores, visible: torch.softmax(scores, dim=1) * visible,
            "Hidden keys took part in the sum, so that rows no longer sum to 1: hide before the softmax.",
        ),
        (
            lambda scores, visible: torch.softmax(scores * visible, dim=1),
            "A hidden score of 0 is not hidden: e to the 0 is 1. The neutral score is -inf.",
        ),
        (lambda scores, visible: torch.softmax(scores, dim=1), "Nothing is hidden: the mask is not used."),
        (
            lambda scores, visible: _weights(seen=torch.logical_not)(scores, visible).nan_to_num(0.0),
            "The mask is turned round: True means visible.",
        ),
        (
            lambda scores, visible: _weights(dim=0)(scores, visible).nan_to_num(0.0),
            "Normalised down the columns: each row, the keys of one query, sums to 1.",
        ),
    ],
    example=(
        torch.tensor([[0.0, 0.0, 9.0], [1.0, 2.0, 3.0]]),
        torch.tensor([[True, True, False], [False, False, False]]),
    ),
    hints=[
        "Hidden scores must not take part, not even NaN: choose, don't multiply. And what does a softmax do with "
        "a row of "
        "−∞ only?",
        (
            "The numbers of keys that each row may see are {}.",
            lambda scores, visible: visible.sum(1),
        ),
        "Put the smallest finite number in place of hidden scores, `torch.finfo(scores.dtype).min`; softmax along the "
        "keys; then "
        "choose again, 0 where hidden.",
        "Begin with `least = torch.finfo(scores.dtype).min`.",
    ],
)
def visible_softmax(scores, visible):
    """visible_softmax(scores, visible): both (Q, K) -> weights (Q, K), 0 where hidden; a row that sees nothing is 0"""
    scores = torch.where(visible, scores, torch.finfo(scores.dtype).min)
    return torch.where(visible, torch.softmax(scores, dim=1), 0.0)
