"""Exercises of notebook 18."""

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Draw, Edge, exercise


def _signals(draw: Draw):
    for T, length, hop in [(3, 2, 1), (6, 4, 2), (8, 6, 2), (9, 3, 3), (8, 2, 4), (12, 5, 3)]:
        yield draw.tensor(T), length, hop
    odd = "Right where hop divides the length, but 5 samples with hop 2 need 3 frames: round up."
    yield Edge((draw.tensor(5), 6, 2), odd)
    for _ in range(3):
        hop, length, T = sorted(draw.sizes(3, 2, 20))
        yield draw.tensor(T), length, hop


def _cut(starts=lambda T, length, hop: range(0, T, hop), before=0):
    """Frames that begin elsewhere, or behind `before` · (length - 1) zeros."""

    def answer(x, length, hop):
        padded = F.pad(x, (before * (length - 1), 3 * max(length, hop)))
        return torch.stack([padded[start : start + length] for start in starts(len(x), length, hop)])

    return answer


@exercise(
    notebook="18",
    title="Frames that lose nothing",
    minutes=8,
    inputs=_signals,
    mistakes=[
        (
            _cut(lambda T, length, hop: range(0, T - hop, hop)),
            "The last frame is missing: it begins within the signal, so it counts; fill it up with zeros.",
        ),
        (
            _cut(lambda T, length, hop: range(0, T - length + 1, hop)),
            lambda x, length, hop: x.unfold(0, length, hop),
            "Only the frames that fit as a whole are here: the others must be filled up with zeros.",
        ),
        (
            _cut(lambda T, length, hop: range(0, T + hop, hop)),
            "There is one frame too many: it begins beyond the last sample.",
        ),
        (
            _cut(lambda T, length, hop: range(0, T + 1, hop)),
            "There is one frame too many where hop divides the length: it begins beyond the last sample.",
        ),
        (
            _cut(lambda T, length, hop: range(0, T - hop + 1, hop)),
            "The number of frames is rounded down: a frame begins wherever that is within the signal, so round up.",
        ),
        (_cut(before=1), "The zeros are in front: these frames end, not begin, at every hop-th sample."),
        (
            _cut(lambda T, length, hop: range(0, T, length)),
            "The frames do not overlap: the next one begins hop samples later, not length.",
        ),
        (_cut(lambda T, length, hop: range(T)), "There is a frame at every sample: move on by hop."),
        (lambda *a: frame_signal(*a).T, "Frames lie in columns: the first axis counts frames, the second samples."),
    ],
    example=(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), 3, 2),
    hints=[
        "The last frame begins within the signal and ends behind it. What stands there?",
        ("The frames begin at samples {}.", lambda x, length, hop: list(range(0, len(x), hop))),
        "Put zeros behind the signal, enough for the last frame; then cut frames, and no more than begin within the "
        "signal: "
        "T / hop, rounded up.",
        "Begin with `padded = F.pad(x, (0, length))`.",
    ],
)
def frame_signal(x, length, hop):
    """frame_signal(x, length, hop): x (T,) -> (ceil(T / hop), length), zeros beyond the end."""
    return F.pad(x, (0, length)).unfold(0, length, hop)[: -(-len(x) // hop)]


def _analysis_windows(draw: Draw):
    yield torch.tensor([1.0, 2.0]), 1
    yield torch.tensor([0.5, 1.0, 2.0, 3.0, 1.0, 0.25]), 2
    yield torch.hann_window(4), 2
    for _ in range(4):
        hop, frames = draw.sizes(2, 2, 6)
        yield draw.tensor(hop * frames).abs() + 0.2, hop
    yield draw.tensor(5).abs() + 0.2, 5


def _sums(power=2, again=lambda sums, frames: sums.repeat(frames)):
    """The sums of a power of the window, laid over it."""
    return lambda window, hop: again((window**power).reshape(-1, hop).sum(dim=0), len(window) // hop)


@exercise(
    notebook="18",
    title="The window that undoes a window",
    minutes=10,
    inputs=_analysis_windows,
    mistakes=[
        (
            lambda w, hop: 1 / w,
            "1 / w undoes the window in one frame; here several frames meet, and each has a share only.",
        ),
        (lambda w, hop: 1 / _sums()(w, hop), "The sum is right, but the window itself is missing above the line."),
        (
            lambda w, hop: w / _sums(1)(w, hop),
            "You summed the window, not its square: each frame meets the window twice, there and back.",
        ),
        (
            lambda w, hop: w / (w**2).sum(),
            "You summed over one whole frame: only every hop-th value meets at a sample.",
        ),
        (
            lambda w, hop: w / _sums(again=lambda sums, frames: sums.repeat_interleave(frames))(w, hop),
            "The sums are in the wrong order: they repeat every hop samples (`repeat`, not `repeat_interleave`).",
        ),
        (_sums(), "This is the sum of squares: divide the window by it."),
        (
            _sums(again=lambda sums, frames: sums),
            "This is the sum of squares of one hop: repeat it over the frame and divide the window by it.",
        ),
    ],
    example=(torch.tensor([0.5, 1.0, 2.0, 3.0]), 2),
    hints=[
        "Draw frames of 4 samples every 2: which samples of the window meet at one place of the signal?",
        ("The sums of the squares that meet are {}.", lambda window, hop: (window**2).reshape(-1, hop).sum(0)),
        "Samples that are `hop` apart meet. Their squares, summed, repeat all along the window; divide by them.",
        "Begin with `squares = (window**2).reshape(-1, hop).sum(dim=0)`, of shape (hop,).",
    ],
)
def inverse_window(window, hop):
    """inverse_window(window, hop): window (K,), K a multiple of hop -> (K,), w / sum of w² of all frames there."""
    squares = (window**2).reshape(-1, hop).sum(dim=0)  # (hop,)
    return window / squares.repeat(len(window) // hop)


def _frames(draw: Draw):
    yield torch.tensor([1.0, 2.0, 3.0]), torch.tensor([10.0]), 2
    yield torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), torch.tensor([10.0, 20.0, 30.0]), 2
    for K, hop in [(4, 3), (6, 2), (7, 3), (9, 2)]:
        yield draw.tensor(K), draw.tensor(K - hop), hop


def _total(frame, tail):
    return frame + F.pad(tail, (0, len(frame) - len(tail)))


def _late(frame, tail):
    return frame + F.pad(tail, (len(frame) - len(tail), 0))


def _ready(cut):
    """Only what is ready."""
    return lambda frame, tail, hop: (cut(frame, tail, hop), ...)


def _waiting(cut):
    """Only the new tail."""
    return lambda frame, tail, hop: (..., cut(frame, tail, hop))


@exercise(
    notebook="18",
    title="Overlap-add in a stream",
    minutes=12,
    inputs=_frames,
    parts=("the samples that are ready", "the new tail"),
    mistakes=[
        (
            _ready(lambda frame, tail, hop: frame[:hop]),
            "The tail was not added: what earlier frames left at these samples belongs to the sum.",
        ),
        (
            _ready(lambda frame, tail, hop: tail[:hop]),
            "This is the tail alone: the new frame has a share in these samples too.",
        ),
        (
            _ready(lambda frame, tail, hop: _total(frame, tail)),
            "You give out the whole sum: the next frame still adds to its last samples.",
        ),
        (
            _ready(lambda frame, tail, hop: _total(frame, tail)[: len(tail)]),
            "Too much is given out: only `hop` samples are complete before the next frame.",
        ),
        (
            _ready(lambda frame, tail, hop: _late(frame, tail)),
            _ready(lambda frame, tail, hop: _late(frame, tail)[:hop]),
            "The tail was added at the end of the frame: it belongs at its beginning.",
        ),
        (
            _waiting(lambda frame, tail, hop: frame[hop:]),
            "The old tail is forgotten: what of it still waits belongs to the new one. Cut the sum, not the frame.",
        ),
        (
            _waiting(lambda frame, tail, hop: _total(frame, tail)[len(tail) :]),
            "The new tail is too short: everything behind the first `hop` samples is still waiting.",
        ),
        (
            _waiting(lambda frame, tail, hop: tail),
            "The tail did not move on: what is behind the first `hop` samples is the next tail.",
        ),
        (
            _waiting(lambda frame, tail, hop: _total(frame, tail)[: len(tail)]),
            "The new tail is the beginning of the sum: cut it behind the first `hop` samples.",
        ),
    ],
    example=(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([10.0]), 2),
    hints=[
        "The tail is shorter than the frame. Where does it meet it, at the beginning or at the end?",
        ("Lengthened to the frame, the tail is {}.", lambda frame, tail, hop: torch.cat([tail, torch.zeros(hop)])),
        "Add the lengthened tail to the frame. The first `hop` samples get nothing more from later frames; the rest "
        "waits.",
        "Begin with `total = frame + F.pad(tail, (0, hop))`.",
    ],
)
def overlap_add_step(frame, tail, hop):
    """overlap_add_step(frame, tail, hop): frame (K,), tail (K - hop,) -> samples that are ready (hop,), new tail."""
    total = frame + F.pad(tail, (0, hop))
    return total[:hop], total[hop:]


def _bins(draw: Draw):
    yield torch.tensor([4.0, 4.0]), torch.tensor([1.0, 5.0]), 0.1
    yield torch.tensor([4.0, 4.0, 1.0, 2.0, 9.0]), torch.tensor([1.0, 3.0, 1.0, 5.0, 0.0]), 0.1
    for shape in ((3,), (2, 4), (5, 3)):
        yield draw.tensor(*shape) ** 2 + 0.1, draw.tensor(*shape) ** 2, draw.number(0.02, 0.4)
    yield Edge(
        (torch.tensor([0.0, 0.0, 2.0]), torch.tensor([0.0, 1.0, 1.0]), 0.2),
        "In digital silence, where power is 0, the gain is floor.",
        nan="In digital silence, power 0 and noise 0, the gain is NaN: 0 / 0. Keep the divisor above 0.",
    )


def _at_least(gain):
    return lambda power, noise, floor: gain(power, noise).clamp(min=floor)


@exercise(
    notebook="18",
    title="How much to keep",
    minutes=6,
    inputs=_bins,
    mistakes=[
        (
            lambda power, noise, floor: 1 - noise / power,
            "Where there is less power than noise the gain is negative: it turns the sign of the sound. Use floor.",
        ),
        (lambda power, noise, floor: (1 - noise / power).clamp(min=0), "The gain stops at 0, not at floor."),
        (
            lambda power, noise, floor: noise / power,
            _at_least(lambda power, noise: noise / power),
            "This is the share of the noise: keep the rest, 1 - noise / power.",
        ),
        (
            _at_least(lambda power, noise: 1 - (noise / power).sqrt()),
            "There is a root too many: power and noise are both powers already.",
        ),
        (
            lambda power, noise, floor: (1 - noise / power).clamp(max=floor),
            "floor is the least the gain may be, not the most: `clamp(min=…)`.",
        ),
        (
            _at_least(lambda power, noise: power - noise),
            "This is the power that is left: divide it by the power that came in.",
        ),
    ],
    example=(torch.tensor([4.0, 4.0, 0.0]), torch.tensor([1.0, 5.0, 0.0]), 0.1),
    hints=[
        "Two places need care: more noise than power, and no power at all.",
        ("Power minus noise, nowhere below 0, is {}.", lambda power, noise, floor: (power - noise).clamp(min=0)),
        "1 − noise / power is (power − noise) / power. Keep the divisor above 0 with a `clamp`, then lift the result "
        "to the floor.",
        "Begin with `signal = (power - noise).clamp(min=0)`.",
    ],
)
def wiener_gain(power, noise, floor):
    """wiener_gain(power, noise, floor): same shapes -> 1 - noise / power, at least floor; floor where power is 0."""
    return torch.where(power > 0, 1 - noise / power, floor).clamp(min=floor)
