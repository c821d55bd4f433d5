"""Checks for notebook 17: one step from a cache, the band of two horizons, softmax over what is visible, a stack."""

import torch

from course_lib.course.exercises import Hint, exercise, expect


@exercise(notebook="17", title="One step from a cache", minutes=10)
def attention_step(fn):
    """attention_step(q, k, v, keys, values, past): q, k, v (D,) of the new step, keys and values (n, D) of the last
    n <= past steps -> the output (D,), and the next keys and values, of `past` steps at most
    """
    rows = torch.randn(15, 4, generator=torch.Generator().manual_seed(0))
    (q, k, v), keys, values = rows[:3], rows[3:7], rows[7:11]
    all_keys, all_values = torch.cat([keys, k[None]]), torch.cat([values, v[None]])

    def attend(seen_keys, seen_values, scale=0.5):
        return torch.softmax(seen_keys @ q * scale, dim=0) @ seen_values

    y, next_keys, next_values = _three(fn(q, k, v, keys, values, 4))
    expect(
        y,
        attend(all_keys, all_values),
        mistakes=[
            (attend(keys, values), "The new step does not see itself: its own key joins before it attends."),
            (attend(all_keys, all_values, 1.0), "The scores are not scaled: divide them by the square root of D."),
            (attend(all_keys, all_values, 0.25), "Divided by D: it is the square root of D."),
            (
                attend(all_keys[1:], all_values[1:]),
                "The oldest step fell out before it was looked at: `past` old steps and the new one are visible.",
            ),
            (attend(all_keys, all_keys), "These are weighted means of the keys: the values are what is averaged."),
            (torch.softmax(all_keys @ k / 2, dim=0) @ all_values, "The new key asks: it is the query that asks."),
        ],
        what="the output",
    )
    for kept, every, what in ((next_keys, all_keys, "keys"), (next_values, all_values, "values")):
        expect(
            kept,
            every[1:],
            mistakes=[
                (every, "Nothing falls out: after a full cache and a new step, the oldest one has to go."),
                (every[:-1], f"The {what} come back as they went in: the new step has to join them."),
                (every[[4, 1, 2, 3]], f"The new step's {what} took the oldest one's place: keep the oldest in front."),
                (every[[4, 0, 1, 2]], "The new step stands in front: keep the oldest first, the newest last."),
                (every[2:], "One step too few is kept: the next one looks at `past` steps beside itself."),
                (next_keys, "The keys came back twice: the third result is the values."),
            ],
            what=f"the next {what}",
        )
    y, next_keys, next_values = _three(fn(q, k, v, keys[:1], values[:1], 4))
    expect(
        next_keys,
        torch.cat([keys[:1], k[None]]),
        mistakes=[(k[None], "A cache that is not full yet loses nothing: count before you cut.")],
        what="the next keys, after one earlier step",
    )
    y, next_keys, next_values = _three(fn(q, k, v, keys[:0], values[:0], 0))
    expect(y, v, what="the output of the first step, which sees only itself,")
    expect(
        next_keys,
        keys[:0],
        mistakes=[(k[None], "With past = 0 nothing is kept. Mind that keys[-0:] is all of keys.")],
        what="the next keys for past = 0",
    )


@exercise(notebook="17", title="The band", minutes=8)
def band_mask(fn):
    """band_mask(T, past, future) -> (T, T) booleans, row q, column k: may query q see key k? -1 is no limit."""
    distance = torch.arange(6) - torch.arange(6)[:, None]  # key - query
    right = (distance >= -3) & (distance <= 2)
    answer = fn(6, 3, 2)
    if isinstance(answer, torch.Tensor) and answer.shape == (6, 6) and answer.dtype != torch.bool:
        raise Hint(f"Right shape, but of {answer.dtype}: booleans are wanted, as comparisons give them.")
    expect(
        answer,
        right,
        mistakes=[
            (right.T, "Rows and columns are swapped, or past and future: row q looks `past` columns to the left."),
            (~right, "It is True where a key is hidden: turn it round."),
            ((distance > -3) & (distance <= 2), "The past is one short: a key exactly `past` steps back is visible."),
            ((distance >= -3) & (distance < 2), "The future is one short: `future` steps ahead is still visible."),
            ((distance > -3) & (distance < 2), "Both ends are one short: the horizons themselves are visible."),
            (right & (distance != 0), "A step does not see itself here: distance 0 lies within the horizons."),
            (distance <= 2, "The past has no limit here: keys further back than `past` are hidden."),
            ((distance >= -3) & (distance <= 0), "The future is missing: this is the band of future = 0."),
            ((distance >= -3) | (distance <= 2), "Everything is visible: both conditions must hold, with & and not |."),
        ],
        what="the mask for T = 6, past 3, future 2",
    )
    expect(
        fn(5, -1, 2),
        distance[:5, :5] <= 2,
        mistakes=[
            (
                (distance[:5, :5] >= 1) & (distance[:5, :5] <= 2),
                "-1 was taken for a distance: as a horizon it means that there is no limit.",
            ),
            (
                torch.ones(5, 5, dtype=torch.bool),
                "past = -1 lifts the limit on the past only: the future keeps its own.",
            ),
        ],
        what="the mask for past -1, future 2",
    )
    expect(fn(4, 0, -1), distance[:4, :4] >= 0, what="the mask for past 0, future -1")


@exercise(notebook="17", title="The timing of a stack", minutes=6)
def stack_timing(fn):
    """stack_timing(horizons): [(P, F), ...] of attention layers in a row -> (reach back, latency, steps kept)"""
    horizons = [(7, 2), (5, 0), (11, 3)]
    expect(
        list(_three(fn(horizons), "reach, latency and steps kept")),
        [23, 5, 28],
        mistakes=[
            ([11, 3, 14], "This is the largest layer: each layer looks further from where the one before it looked."),
            ([385, 0, 385], "Multiplied: reaches and latencies of layers in a row add up."),
            ([23, 3, 28], "The latency is the slowest layer's: a late layer makes the next one wait, so they add up."),
            ([23, 5, 23], "Keys wait too: a layer that looks F ahead keeps F more steps, P + F in all."),
            ([23, 5, 31], "Counted with the new step: between two steps a layer keeps P + F, without a + 1."),
            ([26, 5, 28], "The step itself is no step back: reach back is the distance to the oldest step seen."),
            ([5, 23, 28], "Reach and latency are swapped: the past comes first."),
            ([28, 5, 28], "The reach back counts the past alone: future horizons look the other way."),
        ],
        what="(reach back, latency, steps kept) of [(7, 2), (5, 0), (11, 3)]",
    )
    expect(list(fn([])), [0, 0, 0], what="the timing of no layer at all")


@exercise(notebook="17", title="Softmax over what is visible", minutes=10)
def visible_softmax(fn):
    """visible_softmax(scores, visible): both (Q, K) -> weights (Q, K), 0 where hidden; a row that sees nothing is 0"""
    scores = torch.tensor([[2.0, -1.0, 0.5, 3.0], [-2.0, -3.0, -1.0, 4.0], [1.0, 0.0, 2.0, -1.0]])
    visible = torch.tensor([[True, True, False, True], [True, True, True, False], [False, False, False, False]])
    hidden, empty = ~visible, ~visible.any(dim=1, keepdim=True)
    minus = torch.softmax(scores.masked_fill(hidden, -torch.inf), dim=1)  # NaN in the empty row
    right = minus.masked_fill(hidden, 0.0)
    uniform = torch.where(empty, 0.25, right)
    afterwards = torch.softmax(scores, dim=1) * visible
    expect(
        fn(scores, visible),
        right,
        mistakes=[
            (minus, "A row with no key is NaN: 0/0. Give it weights of 0."),
            (
                uniform,
                "A row with no key shares its weight evenly among hidden keys: set hidden weights to 0 at the end.",
            ),
            (afterwards, "Hidden keys took part in the sum, so that rows no longer sum to 1: hide before the softmax."),
            (
                torch.softmax(scores * visible, dim=1),
                "A hidden score of 0 is not hidden: e to the 0 is 1. The neutral score is -inf.",
            ),
            (torch.softmax(scores, dim=1), "Nothing is hidden: the mask is not used."),
            (
                torch.softmax(scores.masked_fill(visible, -torch.inf), dim=1).nan_to_num(0.0),
                "The mask is turned round: True means visible.",
            ),
            (
                torch.softmax(scores.masked_fill(hidden, -torch.inf), dim=0).nan_to_num(0.0),
                "Normalised down the columns: each row, the keys of one query, sums to 1.",
            ),
        ],
        what="the weights",
    )
    y = fn(scores.masked_fill(hidden, torch.nan), visible)
    if isinstance(y, torch.Tensor) and y.isnan().any():
        raise Hint("A NaN score at a hidden key comes through: NaN plus -inf, or times 0, is NaN. Replace it instead.")
    expect(y, right, what="the weights with NaN at hidden keys")
    y = fn(500 * scores, visible)
    if isinstance(y, torch.Tensor) and not y.isfinite().all():
        raise Hint("Scores of 1,000 overflow: e to the 1,000 is inf. torch.softmax takes the largest score off first.")
    expect(
        y, torch.softmax(500 * scores.masked_fill(hidden, -1e9), dim=1) * visible, what="the weights of large scores"
    )


def _three(result, names: str = "the output, the next keys and the next values"):
    """`result`, if it is three things."""
    if not isinstance(result, tuple | list) or len(result) != 3:
        raise Hint(f"Three results are expected, {names}: return all of them.")
    return result
