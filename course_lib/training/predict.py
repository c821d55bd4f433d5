"""A trained model's outputs for a whole data set."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.training.device import amp_dtype, mode, resolve_device, to_device


def predict(
    model: nn.Module,
    data: Iterable | Tensor | np.ndarray,
    *,
    device: str | torch.device = "auto",
    batch_size: int = 256,
    amp: bool | str = False,
) -> np.ndarray:
    """Outputs of `model` in evaluation mode, without gradients: (N, ...), in the order of `data`.

    data: a tensor or array of inputs (N, ...), read `batch_size` at a time, or a loader of batches, of which the first
    entry is the input. The model moves to the device and keeps its training or evaluation mode.
    Raises ValueError where there is nothing to predict, TypeError where the model returns no tensor.
    """
    device = resolve_device(device)
    dtype = amp_dtype(amp, device)
    model.to(device)
    outputs = []
    with (
        mode(model, False),
        torch.inference_mode(),
        torch.autocast(device.type, dtype=dtype, enabled=dtype is not None),
    ):
        for inputs in _inputs(data, batch_size):
            output = model(to_device(inputs, device))
            if not isinstance(output, Tensor):
                raise TypeError(f"model: expected a tensor as its output, got {type(output).__name__}")
            outputs.append(output.float().cpu() if output.is_floating_point() else output.cpu())
    if not outputs:
        raise ValueError("data: expected at least one input, got none")
    return torch.cat(outputs).numpy()


def _inputs(data, batch_size: int) -> Iterator:
    if isinstance(data, np.ndarray | Tensor):
        for start in range(0, len(data), batch_size):
            part = data[start : start + batch_size]
            yield torch.from_numpy(np.array(part)) if isinstance(part, np.ndarray) else part
    else:
        for batch in data:
            yield batch[0] if isinstance(batch, list | tuple) else batch
