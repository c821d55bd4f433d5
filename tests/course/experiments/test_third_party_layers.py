"""The recorded run of notebook 13 on other packages' layers, with stand-ins for the packages: none has to be here.

A stand-in is called as its package is and does what it should, so that what the exam says of it is the adaptor's doing.
"""

from types import ModuleType, SimpleNamespace

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.course.experiments import _borrowed_layers as borrowed
from course_lib.course.experiments import results, third_party_layers
from course_lib.sequence import PROPERTIES


class Decay(nn.Module):
    """h = h / 2 + W x, by minGRU's calls and by MambaBlock's."""

    def __init__(self, faulty: bool = False):
        super().__init__()
        self.weight, self.faulty = nn.Parameter(torch.randn(4, 4)), faulty
        self.config = SimpleNamespace(d_inner=4, d_state=1, d_conv=3)

    def forward(self, x, prev_hidden=None, return_next_prev_hidden=False):
        h, states = 0.0 if prev_hidden is None else prev_hidden[:, 0], []
        if self.faulty and x.shape[1] > 1:
            h = 2 * h
        for value in x.unbind(dim=1):
            h = h / 2 + value @ self.weight
            states.append(h)
        y = torch.stack(states, dim=1)
        return (y, y[:, -1:]) if return_next_prev_hidden else y

    def step(self, x, cache):
        h = cache[0] / 2 + (x @ self.weight)[..., None]
        return h[..., 0], (h, cache[1])


class PlainConv(nn.Conv1d):
    """Centred windows of three, zeros around them."""

    def __init__(self, inputs, outputs, size, padding):
        super().__init__(inputs, outputs, size)

    def forward(self, x):
        return super().forward(F.pad(x, (1, 1)))


class CachedConv(nn.Conv1d):
    """Windows of three over a stream, one step late, by cached-conv's calls."""

    def __init__(self, inputs, outputs, size, padding, cumulative_delay):
        super().__init__(inputs, outputs, size)
        self.cumulative_delay = cumulative_delay + 1
        self.cache = SimpleNamespace(pad=None, initialized=0)

    def forward(self, x):
        x = torch.cat([self.cache.pad, x], dim=-1)
        self.cache.pad = x[..., -2:]
        return super().forward(x)


class Tcn(nn.Conv1d):
    """One causal convolution, by pytorch-tcn's calls: an item at a time, its past inside."""

    def __init__(self, channels, widths, kernel_size, input_shape):
        super().__init__(channels, channels, 13)
        self.past = torch.zeros(1, channels, 12)

    def reset_buffers(self):
        self.past = torch.zeros_like(self.past)

    def get_buffers(self):
        return [self.past]

    def set_buffers(self, buffers):
        self.past = buffers.pop(0)

    def forward(self, x, inference=False):
        x = x.transpose(1, 2)
        x = torch.cat([self.past, x], dim=-1) if inference else F.pad(x, (12, 0))
        self.past = x[..., -12:] if inference else self.past
        return super().forward(x).transpose(1, 2)


STAND_INS = {
    "minGRU_pytorch.minGRU": {"minGRU": lambda channels: Decay()},
    "minGRU_pytorch.minLSTM": {"minLSTM": lambda channels: Decay(faulty=True)},
    "mambapy.mamba": {"MambaBlock": lambda config: Decay(), "MambaConfig": lambda d_model, n_layers: None},
    "cached_conv": {
        "CachedConv1d": CachedConv,
        "Conv1d": PlainConv,
        "CachedSequential": nn.Sequential,
        "get_padding": lambda size: (1, 1),
        "use_cached_conv": lambda state: None,
    },
    "pytorch_tcn": {"TCN": Tcn},
}
TRIED = ["nn.GRU*", "min*", "Mamba*", "*CachedConv1d*", "… masked*", "TCN*"]


@pytest.fixture
def stand_ins(monkeypatch):
    def imported(name):
        if name not in STAND_INS:
            raise ImportError(f"No module named {name!r}")
        module = ModuleType(name)
        vars(module).update(STAND_INS[name])
        return module

    monkeypatch.setattr(
        borrowed, "importlib", SimpleNamespace(import_module=imported, metadata=borrowed.importlib.metadata)
    )
    monkeypatch.setattr(borrowed.Borrowed, "version", "made up")


def test_run_writes_both_tables_and_leaves_out_what_is_not_installed(record, stand_ins, capsys):
    table = record(third_party_layers, "--only", *TRIED, "CfC*")
    assert "CfC (ncps): left out: No module named 'ncps.torch'" in capsys.readouterr().err
    kept = table["value"][table.index.str.endswith("promises kept")]
    assert len(kept) == 8 and (table["value"][table.index.str.endswith("ms")] > 0).all()
    promises = pd.read_csv(results.RESULTS / "detail" / "third_party_layers_promises.csv", keep_default_na=False)
    assert set(promises["promise"]) == set(PROPERTIES) and len(promises) == 8 * len(kept)
    assert (promises["kept"] == (promises["complaint"] == "")).all()
    assert promises.groupby("setting")["kept"].sum()["TCN (pytorch-tcn)"] == kept["TCN (pytorch-tcn): promises kept"]


@pytest.mark.parametrize(
    ("layer", "broken"),
    [
        ("nn.GRU (torch)", {"latency"}),  # zeros in place of invalid steps move its state
        ("minGRU (mingru-pytorch)", set()),  # they do not move this one's, which has no bias
        ("minLSTM (mingru-pytorch)", {"stream", "gradients"}),  # the planted fault
        ("MambaBlock (mambapy)", set()),
        ("TCN (pytorch-tcn)", set()),
        ("CachedConv1d (cached-conv)", set()),
        ("two CachedConv1d (cached-conv)", {"padding", "stream", "gradients", "latency"}),
        ("… masked in between", set()),
    ],
)
def test_the_adaptor_adds_no_fault(stand_ins, layer, broken):
    complaints = third_party_layers.measure(layer)["complaints"]
    assert {promise for promise, text in complaints.items() if text} == broken, complaints
