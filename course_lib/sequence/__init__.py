"""The contract of the course's layers: one definition, run over a whole sequence or one block of a stream at a time.

`Sequence` carries values together with a mask of valid time steps. `SequenceLayer` is an ordinary `nn.Module` that also
knows how to run on a stream, with its state passed in and out. `stream` drives a layer block by block and returns what
the whole-sequence run returns. `check_contract` asks any layer, yours too, whether it keeps these promises.
"""

from course_lib.sequence.contract import PROPERTIES, Case, check_contract
from course_lib.sequence.layer import (
    Constants,
    FormOnly,
    Reach,
    SequenceLayer,
    State,
    StatelessLayer,
    TensorForm,
    at_least_float32,
    autocast_enabled,
    check_channels,
    check_dtype,
    check_floating,
    check_positive,
    emitted,
    float64_on,
    parameter_dtype,
)
from course_lib.sequence.receptive_field import influence, shown_receptive_field
from course_lib.sequence.sequence import (
    ChannelSpec,
    Device,
    Sequence,
    over_channels,
    ragged,
    ragged_tokens,
    random_sequence,
    random_tokens,
)
from course_lib.sequence.streaming import stream

# fmt: off
__all__ = [
    "PROPERTIES", "Case", "check_contract",
    "Constants", "FormOnly", "Reach", "SequenceLayer", "State", "StatelessLayer", "TensorForm", "at_least_float32",
    "autocast_enabled", "check_channels", "check_dtype", "check_floating", "check_positive", "emitted", "float64_on",
    "parameter_dtype",
    "influence", "shown_receptive_field",
    "ChannelSpec", "Device", "Sequence", "over_channels", "ragged", "ragged_tokens", "random_sequence",
    "random_tokens",
    "stream",
]
# fmt: on
