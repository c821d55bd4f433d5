"""The moving average of weights: its arithmetic, and its place in `fit`."""

import pytest
import torch
from torch import nn

from course_lib.training import CheckpointError, fit, moving_average


def test_average_is_the_recursion_with_a_growing_decay():
    model = nn.Linear(1, 1, bias=False)
    average = moving_average(model, decay=0.5)
    expected = None
    for n, value in enumerate([4.0, 8.0, 0.0, 2.0, 6.0, -3.0, 1.0, 5.0, 7.0, 2.5]):
        nn.init.constant_(model.weight, value)
        average.update_parameters(model)
        d = min(0.5, (1 + n) / (10 + n))
        expected = value if n == 0 else d * expected + (1 - d) * value
    assert average.module.weight.item() == pytest.approx(expected, rel=1e-6)


def test_running_statistics_are_averaged_and_counters_copied():
    model = nn.BatchNorm1d(2)
    average = moving_average(model, decay=0.9)
    for level in range(5):
        model(torch.randn(8, 2) + level)
        average.update_parameters(model)
    assert average.module.num_batches_tracked == 5
    assert 0 < average.module.running_mean[0] < model.running_mean[0]


def test_fit_evaluates_and_leaves_the_average(task):
    plain, averaged = task(dropout=0.0), task(dropout=0.0)
    history = fit(plain.model, plain.loader, epochs=3, validation=plain.validation, device="cpu", progress=False)
    seen = []
    rows = fit(
        averaged.model,
        averaged.loader,
        epochs=3,
        validation=averaged.validation,
        average_decay=0.9,
        device="cpu",
        progress=False,
        callback=lambda epoch, model, history: seen.append(model[0].weight.clone()),
    )
    assert [r["train_loss"] for r in rows.rows] == [r["train_loss"] for r in history.rows]  # the steps are the same
    assert rows.rows[-1]["validation_loss"] != history.rows[-1]["validation_loss"]
    assert not torch.equal(averaged.model[0].weight, plain.model[0].weight)
    assert torch.equal(averaged.model[0].weight, seen[-1])


def test_a_resumed_run_ends_as_one_that_ran_through(task, tmp_path):
    def run(epochs, folder=None, made=None, **options):
        made = made or task(dropout=0.0)
        fit(made.model, made.loader, epochs=epochs, average_decay=0.9, validation=made.validation, device="cpu",
            progress=False, checkpoint_dir=folder, generator=torch.Generator().manual_seed(4), **options)  # fmt: skip
        return made.model

    whole = run(4)

    class Stop(Exception):
        pass

    def stop(epoch, model, history):
        if epoch == 3:
            raise Stop

    with pytest.raises(Stop):
        run(4, tmp_path, callback=stop)
    resumed = run(4, tmp_path)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value)
    with pytest.raises(CheckpointError, match="moving average"):
        made = task(dropout=0.0)
        fit(made.model, made.loader, epochs=5, validation=made.validation, device="cpu", progress=False,
            checkpoint_dir=tmp_path, generator=torch.Generator().manual_seed(4))  # fmt: skip


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.5, 2])
def test_decay_outside_0_to_1_is_refused(decay):
    with pytest.raises(ValueError, match="decay: expected a number between 0 and 1"):
        moving_average(nn.Linear(1, 1), decay)
