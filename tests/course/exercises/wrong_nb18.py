"""Wrong answers to the exercises of notebook 18, each with a piece of the hint that it must get."""

import torch
import torch.nn.functional as F


def framed(starts, before=0, after=50):
    """A wrong `frame_signal` whose frames begin at starts(T, length, hop), with zeros added before and after."""

    def answer(x, length, hop):
        padded = F.pad(x, (before * (length - 1), after))
        return torch.stack([padded[start : start + length] for start in starts(len(x), length, hop)])

    return answer


def squares(window, hop):
    return (window**2).reshape(-1, hop).sum(dim=0)


def in_place(frame, tail, hop):
    frame[: len(tail)] += tail
    return frame[:hop], frame[hop:]


def added(frame, tail):
    return frame + F.pad(tail, (0, len(frame) - len(tail)))


def added_late(frame, tail):
    return frame + F.pad(tail, (len(frame) - len(tail), 0))


WRONG = {
    "frame_signal": {
        "last frame lost": (framed(lambda T, K, s: range(0, T - s, s)), "last frame is missing"),
        "rounded down": (framed(lambda T, K, s: range(0, T - s + 1, s)), "round up"),
        "whole frames": (lambda x, K, s: x.unfold(0, K, s), "fit as a whole"),
        "one too many": (framed(lambda T, K, s: range(0, T + s, s)), "one frame too many"),
        "causal": (framed(lambda T, K, s: range(0, T, s), before=1), "zeros are in front"),
        "no overlap": (framed(lambda T, K, s: range(0, T, K)), "do not overlap"),
        "every sample": (framed(lambda T, K, s: range(T)), "frame at every sample"),
        "columns": (lambda x, K, s: framed(lambda T, K, s: range(0, T, s))(x, K, s).T, "lie in columns"),
        "no return": (lambda x, K, s: None, "`return` missing"),
    },
    "inverse_window": {
        "reciprocal": (lambda w, s: 1 / w, "several frames meet"),
        "no window": (lambda w, s: 1 / squares(w, s).repeat(len(w) // s), "window itself is missing"),
        "not squared": (lambda w, s: w / w.reshape(-1, s).sum(dim=0).repeat(len(w) // s), "not its square"),
        "whole frame": (lambda w, s: w / (w**2).sum(), "one whole frame"),
        "order": (lambda w, s: w / squares(w, s).repeat_interleave(len(w) // s), "wrong order"),
        "sum only": (lambda w, s: squares(w, s).repeat(len(w) // s), "divide the window by it"),
        "one hop": (squares, "of one hop"),
    },
    "overlap_add_step": {
        "no tail": (lambda f, t, s: (f[:s], f[s:]), "tail was not added"),
        "tail alone": (lambda f, t, s: (t[:s], f[s:]), "the tail alone"),
        "all at once": (lambda f, t, s: (added(f, t), added(f, t)[s:]), "whole sum"),
        "too much": (lambda f, t, s: (added(f, t)[: len(t)], added(f, t)[s:]), "Too much"),
        "wrong end": (lambda f, t, s: (added_late(f, t), f[s:]), "end of the frame"),
        "tail forgotten": (lambda f, t, s: (added(f, t)[:s], f[s:]), "old tail is forgotten"),
        "short tail": (lambda f, t, s: (added(f, t)[:s], added(f, t)[len(t) :]), "too short"),
        "same tail": (lambda f, t, s: (added(f, t)[:s], t), "did not move on"),
        "head": (lambda f, t, s: (added(f, t)[:s], added(f, t)[: len(t)]), "beginning of the sum"),
        "in place": (in_place, "changed in place"),
        "one thing": (lambda f, t, s: added(f, t), "Two results are expected"),
    },
    "wiener_gain": {
        "negative": (lambda p, n, floor: 1 - n / p, "gain is negative"),
        "zero": (lambda p, n, floor: (1 - n / p).clamp(min=0), "stops at 0"),
        "noise share": (lambda p, n, floor: n / p, "share of the noise"),
        "root": (lambda p, n, floor: (1 - (n / p).sqrt()).clamp(min=floor), "root too many"),
        "most": (lambda p, n, floor: (1 - n / p).clamp(max=floor), "not the most"),
        "difference": (lambda p, n, floor: (p - n).clamp(min=floor), "power that is left"),
        "silence": (lambda p, n, floor: (1 - n / p).clamp(min=floor), "digital silence"),
    },
}
