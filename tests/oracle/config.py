"""The configuration of a case of the JAX oracle, which refuses to be read in part.

A field that no builder reads is refused, unless it is one of those that change no number, or stands at the value that
switches it off.
"""

import re

# Fields without a bearing on the numbers of a float64 run, and the values at which others change nothing.
NO_BEARING = re.compile(
    r"name|(.+_)?sharding|(compute|param)_dtype|precision|quantization_provider|einsum_factory|projectable|share_scope|"
    r"embedding_param_name|round_num_embeddings_to_multiple_of|guard_against_excess_precision|use_fast_variance|momentum|"
    r"(reductions|positions)_in_at_least_fp32|experimental_accumulate_logits_in_float32|use_kv_cache_ringbuffer|"
    r"zero_fully_masked|broadcast_dropout_across_queries|recompute_kv_per_step"
)
NEUTRAL = {
    "affine_scale_offset": (1.0,),
    "attention_probabilities_dropout_rate": (0.0,),
    "axis": (-1,),
    "delay_layer_output": (True,),
    "window_fn": ("inverse_stft_window(hann)",),
}


class Config(dict):
    """A configuration that knows which of its fields have been read, and the names of the weights."""

    def __init__(self, fields, weights):
        super().__init__(fields)
        self.read, self.weights = set(), weights

    def __getitem__(self, field):
        self.read.add(field)
        return super().__getitem__(field)

    def get(self, field, default=None):
        self.read.add(field)
        return super().get(field, default)

    def __contains__(self, field):
        self.read.add(field)
        return super().__contains__(field)

    def refuse_unread(self, layer, given):
        for field, value in self.items():
            neutral = field in NEUTRAL and value in NEUTRAL[field]
            off = field not in given and value in (None, False, 0)  # a default of the original that switches it off
            if not (field in self.read or neutral or off or NO_BEARING.fullmatch(field)):
                raise ValueError(f"{layer}: the adapter does not know the field {field!r} with the value {value!r}")
