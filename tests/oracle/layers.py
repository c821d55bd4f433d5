"""From a case of the JAX oracle to the course's layer: names, arguments and weight layouts, a function a layer.

Each takes a configuration and the input's channels and returns a layer in float64 and, per oracle weight, where it
goes: `(parameter, transform)`, with `transform` taking the oracle's array to PyTorch's layout, or `(parameter,
transform, rows)` where it is only some rows of the parameter. The same transform takes its gradient.
"""

import torch

import course_lib.layers as sl

F = torch.nn.functional
ACTIVATIONS = {None: None, "relu": F.relu, "gelu": F.gelu, "silu": F.silu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


def same(array):
    return array


def activation(config):
    return ACTIVATIONS[config.get("activation")]


def conv_kernel(array):
    """[*k, in/groups, out] -> (out, in/groups, *k)"""
    n = array.dim()
    return array.permute(n - 1, n - 2, *range(n - 2))


def transposed_kernel(array):
    """[*k, in, out], correlated with flipped taps -> (in, out, *k)"""
    n = array.dim()
    return array.flip(*range(n - 2)).permute(n - 2, n - 1, *range(n - 2))


def depthwise_kernel(array):
    """[k, 1, channels * multiplier] -> (channels * multiplier, 1, k)"""
    return array.permute(2, 1, 0)


def weights(prefix, layer, kernel=conv_kernel):
    """The usual pair: params/<prefix>kernel and params/<prefix>bias, where the layer has one."""
    table = {f"params/{prefix}kernel": (layer.weight, kernel)}
    if layer.bias is not None:
        table[f"params/{prefix}bias"] = (layer.bias, same)
    return table


def conv1d_of(cls, kernel):
    def build(c, channels, prefix=""):
        layer = cls(
            channels[-1],
            c["filters"],
            c["kernel_size"],
            stride=c["strides"],
            dilation=c["dilation_rate"],
            groups=c["groups"],
            bias=c["use_bias"],
            padding=c["padding"],
            activation=activation(c),
        )
        return layer, weights(prefix, layer, kernel)

    return build


conv1d = conv1d_of(sl.Conv1D, conv_kernel)
conv1d_transpose = conv1d_of(sl.Conv1DTranspose, transposed_kernel)


def depthwise(c, channels, prefix=""):
    layer = sl.DepthwiseConv1D(
        channels[-1],
        c["kernel_size"],
        depth_multiplier=c["depth_multiplier"],
        stride=c["strides"],
        dilation=c["dilation_rate"],
        bias=c["use_bias"],
        padding=c["padding"],
    )
    return layer, weights(prefix, layer, depthwise_kernel)


def conv_nd(cls, kernel):
    def build(c, channels, prefix=""):
        layer = cls(
            channels[-1],
            c["filters"],
            tuple(c["kernel_size"]),
            stride=tuple(c["strides"]),
            dilation=tuple(c["dilation_rate"]),
            groups=c["groups"],
            bias=c["use_bias"],
            time_padding=c["time_padding"],
            spatial_padding=c["spatial_padding"],
        )
        return layer, weights(prefix, layer, kernel)

    return build


def pooling1d(cls):
    def build(c, channels, prefix=""):
        options = {"masked_average": True} if c.get("masked_average") else {}
        layer = cls(c["pool_size"], stride=c["strides"], dilation=c["dilation_rate"], padding=c["padding"], **options)
        return layer, {}

    return build


def pooling2d(cls):
    def build(c, channels, prefix=""):
        options = {"masked_average": True} if c.get("masked_average") else {}
        layer = cls(
            tuple(c["pool_size"]),
            stride=tuple(c["strides"]),
            dilation=tuple(c["dilation_rate"]),
            time_padding=c["time_padding"],
            spatial_padding=c["spatial_padding"],
            **options,
        )
        return layer, {}

    return build


def projections(layer, prefix, separate):
    """The oracle's projection [D, 3, N, H], or three of [D, N, H], with bias, onto the rows of `in_proj_weight`."""
    if separate:
        sizes = [n * layer.units_per_head for n in (layer.num_heads, layer.num_kv_heads, layer.num_kv_heads)]
        ends = [sum(sizes[: i + 1]) for i in range(3)]
        parts = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        names = dict(zip(("query_projection", "key_projection", "value_projection"), parts, strict=True))
    else:
        names = {"query_key_value_projection": slice(None)}
    table = {}
    for name, rows in names.items():
        table[f"params/{prefix}{name}/kernel"] = (layer.in_proj_weight, lambda a: a.flatten(1).t(), rows)
        if layer.in_proj_bias is not None:
            table[f"params/{prefix}{name}/bias"] = (layer.in_proj_bias, torch.flatten, rows)
    return table


def attention(c, channels, prefix=""):
    bias = None
    if "t5_buckets" in c:
        bias = sl.T5RelativePositionBias(
            c["num_heads"], c["t5_buckets"], c["t5_max_distance"], bidirectional=c["t5_bidirectional"]
        )
    layer = sl.DotProductSelfAttention(
        channels[-1],
        c["num_heads"],
        c["units_per_head"],
        max_past_horizon=c["max_past_horizon"],
        max_future_horizon=c["max_future_horizon"],
        num_kv_heads=c.get("num_kv_heads"),
        bias=c["use_bias"],
        rotary=c.get("rope"),
        relative_position=bias,
        scale=c.get("query_scale"),
        per_dim_scale=c.get("per_dim_scale") or False,
        logits_soft_cap=c["attention_logits_soft_cap"],
        query_block=c.get("block_size"),
    )
    separate = f"params/{prefix}query_projection/kernel" in getattr(c, "weights", ())
    table = projections(layer, prefix, separate) | per_dim_scale(layer, prefix)
    if bias is not None:
        table[f"params/{prefix}relative_position_embedding/embedding"] = (bias.weight, same)
    return layer, table


def per_dim_scale(layer, prefix=""):
    return {} if layer.per_dim_scale is None else {f"params/{prefix}per_dim_scale": (layer.per_dim_scale, same)}


def cross_attention(c, channels, source_channels):
    layer = sl.DotProductAttention(
        channels[-1],
        source_channels[-1],
        c["num_heads"],
        c["units_per_head"],
        source_name=c["source_name"],
        num_kv_heads=c.get("num_kv_heads"),
        bias=c["use_bias"],
        scale=c.get("query_scale"),
        per_dim_scale=c.get("per_dim_scale") or False,
        logits_soft_cap=c["attention_logits_soft_cap"],
    )
    if c.get("num_kv_heads") is not None or c.get("query_positions_name") is not None:
        raise ValueError("DotProductAttention: the adapter does not know separate key and value projections")
    table = per_dim_scale(layer) | {
        "params/query_projection/kernel": (layer.q_proj_weight, lambda a: a.flatten(1).t()),
        "params/key_value_projection/kernel": (layer.kv_proj_weight, lambda a: a.flatten(1).t()),
    }
    if c["use_bias"]:
        table["params/query_projection/bias"] = (layer.q_proj_bias, torch.flatten)
        table["params/key_value_projection/bias"] = (layer.kv_proj_bias, torch.flatten)
    return layer, table


def lstm(c, channels, prefix=""):
    layer = sl.LSTM(channels[-1], c["units"], bias=c["use_bias"])
    table = {
        f"params/{prefix}kernel/kernel": (layer.weight_ih_l0, torch.t),
        f"params/{prefix}recurrent_kernel/kernel": (layer.weight_hh_l0, torch.t),
    }
    if c["use_bias"]:
        layer.bias_hh_l0.data.zero_()  # the oracle has one bias where PyTorch has two
        table[f"params/{prefix}bias"] = (layer.bias_ih_l0, same)
    return layer, table


def scale_and_bias(layer, prefix=""):
    pairs = {"scale": layer.weight, "bias": getattr(layer, "bias", None)}
    return {f"params/{prefix}{name}": (weight, same) for name, weight in pairs.items() if weight is not None}


def normalised_shape(c, channels):
    """The sizes of the channel axes `axis`, counted in (B, T, *C): ours are the last ones."""
    axes = c.get("axis", -1)
    axes = [axes] if isinstance(axes, int) else list(axes)
    axes = sorted({axis % (2 + len(channels)) for axis in axes})
    if axes != list(range(2 + len(channels) - len(axes), 2 + len(channels))):
        raise ValueError(f"axis: expected the last channel axes, got {axes} of (B, T, *{tuple(channels)})")
    return tuple(channels[axis - 2] for axis in axes)


def affine(c):
    """Whether there are a scale and a bias: both or none, but for layer normalisation, which may lack the bias."""
    if not c.get("use_scale", True) and c.get("use_bias", False):
        raise ValueError("use_scale: expected a scale where there is a bias")
    return c.get("use_scale", True)


def layer_norm(c, channels, prefix=""):
    shape = normalised_shape(c, channels)
    layer = sl.LayerNorm(shape, eps=c["epsilon"], elementwise_affine=affine(c), bias=c["use_bias"])
    return layer, scale_and_bias(layer, prefix)


def rms_norm(c, channels, prefix=""):
    layer = sl.RMSNorm(normalised_shape(c, channels), eps=c["epsilon"], elementwise_affine=affine(c))
    return layer, scale_and_bias(layer, prefix)


def with_both(c):
    if affine(c) != c.get("use_bias", True):
        raise ValueError("use_scale, use_bias: expected both or none")
    return affine(c)


def group_norm(c, channels, prefix=""):
    layer = sl.GroupNorm(c["num_groups"], channels[-1], c["epsilon"], affine=with_both(c), cumulative=c["cumulative"])
    return layer, scale_and_bias(layer, prefix)


def batch_norm(c, channels, prefix=""):
    # buffers are replaced by double(), not converted
    layer = sl.BatchNorm(channels[-1], eps=c["epsilon"], affine=with_both(c)).double()
    return layer, scale_and_bias(layer, "BatchNorm_0/") | {
        "batch_stats/BatchNorm_0/mean": (layer.running_mean, same),
        "batch_stats/BatchNorm_0/var": (layer.running_var, same),
    }


def dense(c, channels, prefix=""):
    layer = sl.Dense(c["features"], channels[-1], bias=c.get("use_bias", True), activation=activation(c))
    return layer, weights(prefix, layer, torch.t)


def einsum_dense(c, channels, prefix=""):
    layer = sl.EinsumDense(c["equation"], tuple(c["output_shape"]), bias_axes=c["bias_axes"], input_shape=channels)
    return layer, weights(prefix, layer, same)


def time_varying(cls):
    def build(c, channels, prefix=""):
        layer = cls(c["features"], c["num_steps"], channels[-1], bias=c["use_bias"])
        return layer, weights(prefix, layer, lambda a: a.transpose(-1, -2))

    return build


def embedding(c, channels, prefix=""):
    layer = sl.Embedding(c["num_embeddings"], c["dimension"])
    return layer, {f"params/{prefix}embedding": (layer.weight, same)}


def sequence_embedding(c, channels, prefix=""):
    layer = sl.SequenceEmbedding(c["num_embeddings_per_step"], c["dimension"], c["num_steps"])
    return layer, {f"params/{prefix}embedding": (layer.weight, lambda a: a.reshape(layer.weight.shape))}


COMBINATIONS = {"ADD": "add", "MUL": "multiply", "CONCAT": "concatenate", "AFFINE": "scale_and_shift"}


def conditioning(c, channels, source_channels):
    projection, table = None, {}
    if c["projection"] != "IDENTITY":
        halves = 2 if c["projection"] == "LINEAR_AFFINE" else 1
        projection = sl.Dense(halves * channels[-1], source_channels[-1])
        table["params/dense/kernel"] = (projection.weight, lambda a: a.flatten(1).t())
        table["params/dense/bias"] = (projection.bias, torch.flatten)
    layer = sl.Conditioning(
        c["conditioning_name"], COMBINATIONS[c["combination"]], projection, channels=source_channels[-1]
    )
    return layer, table


def counts_invalid(c):
    return not c.get("only_advance_position_for_valid_timesteps", True)


def timing_signal(c, channels, prefix=""):
    scaled = c.get("trainable_scale", False)
    layer = sl.AddTimingSignal(c["min_timescale"], c["max_timescale"], scaled, counts_invalid(c))
    return layer, {f"params/{prefix}scale": (layer.scale, same)} if scaled else {}


def plain(make):
    """A layer without weights, from its configuration."""
    return lambda c, channels, prefix="": (make(c), {})


def window_of(length):
    """The original's periodic Hann window, which is symmetric for odd lengths, as in TensorFlow's signal package."""
    n = torch.arange(length, dtype=torch.float64)
    return 0.5 - 0.5 * torch.cos(2 * torch.pi * n / (length - length % 2))


def stft(cls):
    def make(c):
        options = {"magnitude": c["output_magnitude"]} if "output_magnitude" in c else {}
        if c["frame_length"] % 2 and c["frame_length"] > 1:
            options["window"] = window_of
        return cls(
            c["frame_length"],
            c["frame_step"],
            fft_length=c["fft_length"],
            padding=c["time_padding"],
            fft_padding=c["fft_padding"],
            **options,
        )

    return plain(make)


def mel(c, channels, prefix=""):
    layer = sl.LinearToMel(
        channels[-1],
        c["num_mel_bins"],
        c["sample_rate"],
        lower_edge_hertz=c["lower_edge_hertz"],
        upper_edge_hertz=c["upper_edge_hertz"],
    )
    return layer, {}


LAYERS = {
    "Conv1D": conv1d,
    "DepthwiseConv1D": depthwise,
    "Conv1DTranspose": conv1d_transpose,
    "Conv2D": conv_nd(sl.Conv2D, conv_kernel),
    "Conv3D": conv_nd(sl.Conv3D, conv_kernel),
    "Conv2DTranspose": conv_nd(sl.Conv2DTranspose, transposed_kernel),
    "MaxPooling1D": pooling1d(sl.MaxPooling1D),
    "MinPooling1D": pooling1d(sl.MinPooling1D),
    "AveragePooling1D": pooling1d(sl.AveragePooling1D),
    "MaxPooling2D": pooling2d(sl.MaxPooling2D),
    "MinPooling2D": pooling2d(sl.MinPooling2D),
    "AveragePooling2D": pooling2d(sl.AveragePooling2D),
    "DotProductSelfAttention": attention,
    "LocalDotProductSelfAttention": attention,
    "DotProductAttention": cross_attention,
    "LSTM": lstm,
    "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm,
    "GroupNormalization": group_norm,
    "BatchNormalization": batch_norm,
    "Frame": plain(lambda c: sl.Frame(c["frame_length"], c["frame_step"], padding=c["padding"])),
    "STFT": stft(sl.STFT),
    "InverseSTFT": stft(sl.InverseSTFT),
    "OverlapAdd": plain(lambda c: sl.OverlapAdd(c["frame_length"], c["frame_step"], padding=c["padding"])),
    "LinearToMelSpectrogram": mel,
    "Delay": plain(lambda c: (sl.Delay if c.get("delay_layer_output", True) else sl.StepDelay)(c["length"])),
    "Lookahead": plain(lambda c: sl.Lookahead(c["length"])),
    "AddTimingSignal": timing_signal,
    "ApplyRotaryPositionalEncoding": plain(lambda c: sl.RotaryEmbedding(c["max_wavelength"], counts_invalid(c))),
    "Dense": dense,
    "EinsumDense": einsum_dense,
    "Embedding": embedding,
    "SequenceDense": time_varying(sl.SequenceDense),
    "MaskedDense": time_varying(sl.MaskedDense),
    "SequenceEmbedding": sequence_embedding,
    "GatedLinearUnit": plain(lambda c: sl.GLU()),
    "Downsample1D": plain(lambda c: sl.Downsample1D(c["rate"])),
    "Upsample1D": plain(lambda c: sl.Upsample1D(c["rate"])),
    "Conditioning": conditioning,
}
