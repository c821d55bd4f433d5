"""Checks of notebook 18."""

import torch

from course_lib.course.exercises import Hint, exercise, expect


@exercise(notebook="18", title="Frames that lose nothing", minutes=8)
def frame_signal(fn):
    """frame_signal(x, length, step): x (T,) -> (ceil(T / step), length), zeros beyond the end."""
    x, length, step = torch.tensor([3.0, -1.0, 4.0, 1.5, -5.0, 9.0, 2.0, 6.0]), 6, 2

    def cut(starts, signal=x):
        signal = torch.cat([signal, torch.zeros(3 * length)])
        return torch.stack([signal[start : start + length] for start in starts])

    late = torch.cat([torch.zeros(length - 1), x])
    expect(
        fn(x, length, step),
        cut([0, 2, 4, 6]),
        mistakes=[
            (
                cut([0, 2, 4]),
                "The last frame is missing: it begins within the signal, so it counts; fill it up with zeros.",
            ),
            (cut([0, 2]), "Only the frames that fit as a whole are here: the others must be filled up with zeros."),
            (cut([0, 2, 4, 6, 8]), "There is one frame too many: it begins beyond the last sample."),
            (cut([0, 2, 4, 6], late), "The zeros are in front: these frames end, not begin, at every step-th sample."),
            (cut([0, 6]), "The frames do not overlap: the next one begins step samples later, not length."),
            (cut(range(8)), "There is a frame at every sample: move on by step."),
            (cut([0, 2, 4, 6]).T, "Frames lie in columns: the first axis counts frames, the second samples."),
        ],
        what="the frames",
    )
    expect(
        fn(x[:5], length, step),
        cut([0, 2, 4], x[:5]),
        mistakes=[(cut([0, 2], x[:5]), "Right for 8 samples, but 5 samples with step 2 need 3 frames: round up.")],
        what="the frames of 5 samples",
    )


@exercise(notebook="18", title="The window that undoes a window", minutes=10)
def inverse_window(fn):
    """inverse_window(window, step): window (K,), K a multiple of step -> (K,), w / sum of w² of all frames there."""
    window, step = torch.tensor([0.5, 1.0, 2.0, 3.0, 1.0, 0.25]), 2
    squares = (window**2).reshape(3, step).sum(dim=0)
    sums = window.reshape(3, step).sum(dim=0)
    expect(
        fn(window, step),
        window / squares.repeat(3),
        mistakes=[
            (1 / window, "1 / w undoes the window in one frame; here several frames meet, and each has a share only."),
            (1 / squares.repeat(3), "The sum is right, but the window itself is missing above the line."),
            (
                window / sums.repeat(3),
                "You summed the window, not its square: each frame meets the window twice, there and back.",
            ),
            (
                window / (window**2).sum(),
                "You summed over one whole frame: only every step-th value meets at a sample.",
            ),
            (
                window / squares.repeat_interleave(3),
                "The sums are in the wrong order: they repeat every step samples (`repeat`, not `repeat_interleave`).",
            ),
            (squares.repeat(3), "This is the sum of squares: divide the window by it."),
            (squares, "This is the sum of squares of one step: repeat it over the frame and divide the window by it."),
        ],
        what="the inverse window",
    )
    hann = torch.hann_window(4, dtype=torch.float64)
    expect(fn(hann, 2), [0.0, 1.0, 1.0, 1.0], what="the inverse of the Hann window of 4 with step 2")


@exercise(notebook="18", title="Overlap-add in a stream", minutes=12)
def overlap_add_step(fn):
    """overlap_add_step(frame, tail, step): frame (K,), tail (K - step,) -> samples that are ready (step,), new tail."""
    frame, tail, step = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), torch.tensor([10.0, 20.0, 30.0]), 2
    kept = frame.clone(), tail.clone()
    answer = fn(frame, tail, step)
    if answer is not None and (not isinstance(answer, tuple | list) or len(answer) != 2):
        raise Hint("Return two things: the samples that are ready, and the new tail.")
    ready, after = (None, None) if answer is None else answer
    if not torch.equal(frame, kept[0]) or not torch.equal(tail, kept[1]):
        raise Hint("An argument was changed in place: a caller may still need the old tail. Make a new tensor.")
    expect(
        ready,
        [11.0, 22.0],
        mistakes=[
            ([1.0, 2.0], "The tail was not added: what earlier frames left at these samples belongs to the sum."),
            ([10.0, 20.0], "This is the tail alone: the new frame has a share in these samples too."),
            (
                [11.0, 22.0, 33.0, 4.0, 5.0],
                "You give out the whole sum: the next frame still adds to its last samples.",
            ),
            ([11.0, 22.0, 33.0], "Too much is given out: only `step` samples are complete before the next frame."),
            ([1.0, 2.0, 13.0, 24.0, 35.0], "The tail was added at the end of the frame: it belongs at its beginning."),
            ([1.0, 2.0, 13.0], "The tail was added at the end of the frame: it belongs at its beginning."),
        ],
        what="what is ready",
    )
    expect(
        after,
        [33.0, 4.0, 5.0],
        mistakes=[
            (
                [3.0, 4.0, 5.0],
                "The old tail is forgotten: its last sample (30) is still waiting. Cut the sum, not the frame.",
            ),
            ([4.0, 5.0], "The new tail is too short: everything behind the first `step` samples is still waiting."),
            ([10.0, 20.0, 30.0], "The tail did not move on: what is behind the first `step` samples is the next tail."),
            ([11.0, 22.0, 33.0], "The new tail is the beginning of the sum: cut it behind the first `step` samples."),
        ],
        what="the new tail",
    )


@exercise(notebook="18", title="How much to keep", minutes=6)
def wiener_gain(fn):
    """wiener_gain(power, noise, floor): same shapes -> 1 - noise / power, at least floor; floor where power is 0."""
    power, noise = torch.tensor([4.0, 4.0, 1.0, 2.0, 9.0]), torch.tensor([1.0, 3.0, 1.0, 5.0, 0.0])
    right = torch.tensor([0.75, 0.25, 0.1, 0.1, 1.0])
    share = 1 - noise / power
    expect(
        fn(power, noise, 0.1),
        right,
        mistakes=[
            (
                share,
                "Where there is less power than noise the gain is negative: it turns the sign of the sound. Use floor.",
            ),
            (share.clamp(min=0), "The gain stops at 0, not at floor."),
            (noise / power, "This is the share of the noise: keep the rest, 1 - noise / power."),
            ((noise / power).clamp(min=0.1), "This is the share of the noise: keep the rest, 1 - noise / power."),
            (
                (1 - (noise / power).sqrt()).clamp(min=0.1),
                "There is a root too many: power and noise are both powers already.",
            ),
            (share.clamp(max=0.1), "floor is the least the gain may be, not the most: `clamp(min=…)`."),
            ((power - noise).clamp(min=0.1), "This is the power that is left: divide it by the power that came in."),
        ],
        what="the gain",
    )
    silent = fn(torch.zeros(2), torch.tensor([0.0, 1.0]), 0.2)
    if silent is not None and torch.as_tensor(silent).isnan().any():
        raise Hint("In digital silence, power 0 and noise 0, the gain is NaN: 0 / 0. Keep the divisor above 0.")
    expect(silent, [0.2, 0.2], what="the gain in silence, where power is 0,")
