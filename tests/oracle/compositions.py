"""Compositions of the JAX oracle, and `build`: the course's layer for any of its cases.

They are given as text: `Conv1D(5,k3,s2,causal)`, `Dense(3)`, `Residual[RMSNorm, ..., Dense8]`.
"""

import re

import torch

import course_lib.layers as sl
from tests.oracle.config import Config
from tests.oracle.layers import LAYERS, attention, conv1d, conv1d_transpose, dense, rms_norm


def described(text, channels, prefix):
    """One layer of a composition, with its weights' names under `prefix`."""
    conv_match = re.fullmatch(r"(Conv1D|Conv1DTranspose)\((\d+),k(\d+)(?:,s(\d+))?,(\w+)\)", text)
    if conv_match:
        name, filters, kernel, stride, padding = conv_match.groups()
        c = {"filters": int(filters), "kernel_size": int(kernel), "strides": int(stride or 1), "padding": padding}
        c |= {"dilation_rate": 1, "groups": 1, "use_bias": True}
        return (conv1d if name == "Conv1D" else conv1d_transpose)(c, channels, prefix)
    if dense_match := re.fullmatch(r"Dense\((\d+)\)", text):
        return dense({"features": int(dense_match[1])}, channels, prefix)
    if dense_match := re.fullmatch(r"Dense(\d+)", text):
        return dense({"features": int(dense_match[1]), "use_bias": False}, channels, prefix)
    if shaped := re.fullmatch(r"DenseShaped\((\d+)\)", text):
        layer = sl.Dense(int(shaped[1]), channels[-1], bias=False)
        return layer, {f"params/{prefix}kernel": (layer.weight, lambda a: a.flatten(0, 1).t())}
    if delay_match := re.fullmatch(r"Delay\((\d+)(, ?step only)?\)", text):
        return (sl.StepDelay if delay_match[2] else sl.Delay)(int(delay_match[1])), {}
    if text == "RMSNorm":
        return rms_norm({"epsilon": 1e-6}, channels, prefix)
    if text == "GEGLU(exact)":
        return sl.GEGLU(), {}
    if heads := re.fullmatch(r"SelfAttention\((\d+)x(\d+),past(-?\d+)(,rope)?\)", text):
        c = {"num_heads": int(heads[1]), "units_per_head": int(heads[2]), "max_past_horizon": int(heads[3])}
        c |= {"num_kv_heads": None, "use_bias": False, "attention_logits_soft_cap": None}
        c |= {"max_future_horizon": described.future, "rope": 10_000.0 if heads[4] else None}
        return attention(c, channels, prefix)
    if residual := re.match(r"Residual\[(.*)\]", text):
        layers, table = chain(re.split(r",\s*(?![^(]*\))", residual[1]), channels, prefix)
        return sl.Residual(sl.Sequential(layers)), table
    raise ValueError(f"unknown layer in a composition: {text!r}")


described.future = 0  # the attention's future horizon stands beside the composition, not in it


def chain(texts, channels, prefix):
    layers, table = [], {}
    for i, text in enumerate(texts):
        layer, more = described(text, channels, f"{prefix}layers_{i}/")
        layers.append(layer)
        table |= more
        channels = layer.output_spec(sl.ChannelSpec(tuple(channels), torch.float32)).shape
    return layers, table


def serial(c, channels):
    described.future = c.get("max_future_horizon", 0)
    layers, table = chain(c["layers"], channels, "")
    return sl.Sequential(layers), table


def residual(c, channels):
    layers, table = chain(c["layers"], channels, "")
    shortcut, more = chain(c.get("shortcut") or [], channels, "shortcut_")
    if all(isinstance(layer, sl.StepDelay) for layer in shortcut):
        return sl.Residual(sl.Sequential(layers)), table  # the shortcut's delay is ours to find
    return sl.Residual(sl.Sequential(layers), sl.Sequential(shortcut)), table | more


def parallel(c, channels):
    table, branches = {}, []
    for i, text in enumerate(c["layers"]):
        layer, more = described(text, channels, f"layers_{i}/")
        branches.append(layer)
        table |= more
    names = {"CONCAT": "concatenate", "ADD": "add", "STACK": "stack", "MEAN": "mean", "PRODUCT": "product"}
    return sl.Parallel(branches, names[c["combination"]]), table


BUILDERS = LAYERS | {"Serial": serial, "Residual": residual, "Parallel": parallel}


def build(case, channels, source_channels=None):
    """The layer of `case` in float64, and {oracle weight: (parameter, transform)}. channels: those of the input."""
    config = Config({**case["config_full"], **case["config"]}, case["weights"])
    arguments = (config, channels) if source_channels is None else (config, channels, source_channels)
    layer, table = BUILDERS[case["layer"]](*arguments)
    config.refuse_unread(case["layer"], case["config"])
    return layer.double(), table
