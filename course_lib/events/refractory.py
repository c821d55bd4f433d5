"""The refractory period: the same type cannot happen twice within two seconds."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import pairwise

import numpy as np

from course_lib.events.detections import Detections, as_array, by_type, checked_periods, closer

REFRACTORY_PERIOD = 4000  # samples: 2 s


def refractory_filter(
    found: Detections, period: float | np.ndarray = REFRACTORY_PERIOD, separation: float = 0.0
) -> Detections:
    """The events that have no stronger one of their type less than `period` samples away, earlier or later.

    period: one for all types, or (E,) one for each.  separation: samples within which a stronger event of any type
    shuts out the others: what happened there was one thing.
    Of equal scores the earlier counts as the stronger. Whether an event stays depends on nothing farther away than
    `period`, so that a stream can decide it after that time, and raising the score's threshold before or after this
    filter gives the same events. All found events count, also those that are themselves filtered out.
    Raises ValueError for a period or separation below 0 or NaN, and where a type has no period.
    """
    period, separation = checked_periods("period", period), float(checked_periods("separation", separation))
    if period.ndim and len(found) and not 0 <= found.types.min() <= found.types.max() < len(period):
        raise ValueError(f"period: expected one for each type, got {len(period)} for {np.unique(found.types).tolist()}")
    keep = np.ones(len(found), bool)
    for kind in np.unique(found.types):
        members = np.flatnonzero(found.types == kind)
        keep[members] = _strongest(found[members], float(period[kind] if period.ndim else period))
    if separation:
        keep &= _strongest(found, separation)
    return found[keep]


def _strongest(found: Detections, period: float) -> np.ndarray:
    """(M,) whether no other event less than `period` samples away is stronger, whatever its type."""
    times, scores = found.times, found.scores
    keep = np.ones(len(found), bool)
    for i, (time, score) in enumerate(zip(times, scores, strict=True)):
        first, last = np.searchsorted(times, (time - period, time + period))
        rivals = np.flatnonzero(closer(times[first:last], time, period)) + first
        stronger = (scores[rivals] > score) | ((scores[rivals] == score) & (rivals < i))
        keep[i] = not stronger.any()
    return keep


def violations(events: Iterable[tuple], period: float = REFRACTORY_PERIOD) -> int:
    """How many events follow one of their own type by less than `period` samples.  events: (type, sample, ...).

    Raises ValueError for times that are NaN or infinite, and for a period below 0 or NaN.
    """
    limit = float(checked_periods("period", period))
    groups = by_type(events, "events").values()
    return sum(bool(closer(b[0], a[0], limit)) for group in groups for a, b in pairwise(group))


class RefractoryPeriodEnforcer:
    """First come, first served: an event is accepted unless one of its type was, less than the period before.

    It decides at once, where `refractory_filter` waits for what follows, so a weak event can shut out the strong one
    behind it. Accepted events are remembered for each stream on an absolute clock, from window to window.
    """

    def __init__(self, num_events: int = 16, refractory_period_samples: float = REFRACTORY_PERIOD):
        if num_events < 1:
            raise ValueError(f"num_events: expected at least 1, got {num_events}")
        checked_periods("refractory_period_samples", refractory_period_samples)
        self.num_events = num_events
        self.refractory_period_samples = refractory_period_samples
        self._clocks: dict[Hashable, float] = {}
        self._accepted: dict[tuple[Hashable, int], list[float]] = {}

    def enforce(
        self, events, times, global_offset: float = 0, stream: Hashable = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The accepted ones among a window's events, in time order: types (M,) and times (M,), as they came.

        events: types.  times: samples from the window's start, in any order.  global_offset: the window's start on the
        stream's clock, never less than the one before.  stream: which stream, where there are several.
        Raises ValueError where an argument does not fit, or where the clock of the stream runs backwards.
        """
        events, times = as_array(events), as_array(times).astype(np.float64)
        if events.ndim != 1 or events.shape != times.shape:
            raise ValueError(f"events, times: expected (M,) each, got {events.shape} and {times.shape}")
        if not np.isfinite(times).all():
            raise ValueError(f"times: expected finite samples, got {times[~np.isfinite(times)].tolist()}")
        if len(events) and not (np.isin(events, range(self.num_events))).all():
            raise ValueError(
                f"events: expected types from 0 to {self.num_events - 1}, got {np.unique(events).tolist()}"
            )
        if not np.isfinite(global_offset):
            raise ValueError(f"global_offset: expected finite samples, got {global_offset}")
        if global_offset < self._clocks.get(stream, -np.inf):
            raise ValueError(
                f"global_offset: time runs backwards, got {global_offset} after {self._clocks[stream]}; "
                "call reset for a new recording"
            )
        self._clocks[stream] = global_offset
        order = np.lexsort((events, times))
        chosen = [i for i in order if self._accept(stream, int(events[i]), global_offset + times[i], global_offset)]
        return events[chosen].astype(np.int64), times[chosen]

    def reset(self, stream: Hashable = None) -> None:
        """Forget a stream, so that its clock may start again."""
        self._clocks.pop(stream, None)
        for key in [key for key in self._accepted if key[0] == stream]:
            del self._accepted[key]

    def _accept(self, stream: Hashable, kind: int, time: float, clock: float) -> bool:
        period = self.refractory_period_samples
        near = [t for t in self._accepted.get((stream, kind), []) if t > clock - period]  # older ones cannot matter
        accepted = not any(closer(time, t, period) for t in near)
        self._accepted[stream, kind] = near + [time] * accepted
        return accepted
