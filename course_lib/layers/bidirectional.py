"""A layer that reads a sequence forwards beside one that reads it backwards: `Bidirectional`."""

from __future__ import annotations

from course_lib.layers.parallel import combined, combined_spec
from course_lib.sequence import Sequence, SequenceLayer


class Bidirectional(SequenceLayer):
    """forward(x) combined with backward(x reversed in time) reversed back. It cannot step: it begins at the end.

    combine: "stack", "concatenate", "add", "mean" or "product", as in `Parallel`. Padding at the end becomes leading
    invalid steps for `backward`, which leave its state alone. Raises ValueError where one of the layers
    changes the number of time steps, on the way too, or the outputs do not fit together.
    """

    supports_step = False

    def __init__(self, forward: SequenceLayer, backward: SequenceLayer, combine: str = "concatenate"):
        super().__init__()
        for name, layer in (("forward", forward), ("backward", backward)):
            if not isinstance(layer, SequenceLayer):
                raise ValueError(f"{name}: expected a SequenceLayer, got {type(layer).__name__}")
            if layer.output_ratio != 1 or layer.block_size != 1 or layer.output_length(100) != 100:
                raise ValueError(f"{name}: expected a layer that keeps every time step, got {layer}")
        self.forwards, self.backwards = forward, backward
        self.combine = combine
        begin, end = forward.receptive_field
        last, first = backward.receptive_field  # turned round: what lies ahead of it lies behind
        self.receptive_field = (
            None if begin is None or first is None else min(begin, -first),
            None if end is None or last is None else max(end, -last),
        )

    @property
    def input_spec(self):
        return self.forwards.input_spec or self.backwards.input_spec

    def output_spec(self, spec):
        specs = [self.forwards.output_spec(spec), self.backwards.output_spec(spec)]
        return combined_spec("Bidirectional", specs, self.combine)

    def _layer(self, x, training, constants):
        ahead = self.forwards._layer(x, training, constants)
        behind = self.backwards._layer(_reversed(x), training, constants)
        return combined([ahead, _reversed(behind)], self.combine)

    def why_no_step(self):
        return "its backward half begins at the end of the sequence, which a stream has not seen"

    def extra_repr(self):
        return f"combine={self.combine!r}"


def _reversed(x: Sequence) -> Sequence:
    return Sequence(x.values.flip(1), x.mask.flip(1), x.all_valid)
