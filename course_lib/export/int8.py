"""The weights of an ONNX graph as 8-bit integers: matrix products computed in them, convolutions stored in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def quantised(model: Any, file: Path) -> Any:
    """`model` (an onnx.ModelProto) with 8-bit weights, one scale a row or column of outputs; `file` is written to.

    Matrix products with constant factors round their other factor as it comes, one scale a call, and multiply integers:
    onnxruntime's dynamic quantisation. The weights of convolutions are stored as integers and multiplied out where the
    file is opened: smaller, not faster.  Raises ValueError where the graph has neither.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    products = ["MatMul", "Gemm"]
    quantize_dynamic(model, file, op_types_to_quantize=products, weight_type=QuantType.QInt8, per_channel=True)
    small = onnx.load(file)
    stored = _store_convolutions(small)
    if not stored and not any("Integer" in node.op_type for node in small.graph.node):
        raise ValueError("int8: expected a matrix product or a convolution with weights, got a graph without one")
    return small


def _store_convolutions(model: Any) -> int:
    """Replace the float32 weights of convolutions by integers and a node that multiplies them out; how many."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    found = {node.input[1] for node in graph.node if node.op_type == "Conv"} & set(weights)
    for name in sorted(found):
        kernel = numpy_helper.to_array(weights[name])  # (outputs, inputs, K)
        largest = np.abs(kernel).reshape(len(kernel), -1).max(axis=1)
        scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)  # (outputs,)
        integers = np.rint(kernel / scale.reshape(-1, *(1,) * (kernel.ndim - 1))).astype(np.int8)
        graph.initializer.remove(weights[name])
        graph.initializer.append(numpy_helper.from_array(integers, name + "_int8"))
        graph.initializer.append(numpy_helper.from_array(scale, name + "_scale"))
        parts = [name + "_int8", name + "_scale"]
        graph.node.insert(0, helper.make_node("DequantizeLinear", parts, [name], axis=0))
    return len(found)
