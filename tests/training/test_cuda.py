"""On a GPU, training happens on the GPU, whatever the precision."""

import pytest
import torch

from course_lib.training import cross_validate, device_label, fit, predict

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("amp", [False, "bf16", "fp16"])
def test_training_happens_on_the_device(task, amp):
    t = task()
    seen = []
    t.model[0].register_forward_hook(lambda module, inputs, output: seen.append((inputs[0].device, output.device)))
    torch.cuda.reset_peak_memory_stats()
    adam = torch.optim.Adam(t.model.parameters(), lr=0.02)
    table = fit(
        t.model, t.loader, epochs=20, validation=t.validation, amp=amp, clip_norm=1.0, optimizer=adam, progress=False
    ).table
    assert seen and all(device.type == "cuda" for pair in seen for device in pair)
    assert all(parameter.is_cuda and parameter.grad.is_cuda for parameter in t.model.parameters())
    assert all(state["exp_avg"].is_cuda for state in adam.state.values())
    assert torch.cuda.max_memory_allocated() > 0
    assert table.train_loss.iloc[-1] < 0.8 * table.train_loss.iloc[0]
    assert predict(t.model, t.x).shape == (37, 3)


def test_a_run_resumes_on_the_device(task, tmp_path):
    ends = []
    for epochs in [(4,), (2, 4)]:
        folder = tmp_path / str(len(epochs))
        for stop in epochs:
            t = task()
            fit(
                t.model, t.loader, epochs=stop, checkpoint_dir=folder, amp="fp16", progress=False,
                generator=torch.Generator().manual_seed(1),
            )  # fmt: skip
        ends.append(torch.nn.utils.parameters_to_vector(t.model.parameters()))
    torch.testing.assert_close(*ends)


def test_folds_in_parallel_share_the_device(task):
    t = task()

    def make_model():
        return torch.nn.Linear(5, 3)

    folds = torch.arange(37).numpy() % 3
    result = cross_validate(make_model, t.x, t.y, folds=folds, epochs=2, n_jobs=2, progress=False)
    assert result.tested.all() and device_label() == torch.cuda.get_device_name()
