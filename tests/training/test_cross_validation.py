"""Every sample is predicted by a model that never saw it, and folds in parallel find what folds in a row find."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import GroupKFold, RepeatedKFold, StratifiedKFold
from torch import nn

from course_lib.training import cosine_with_warmup, cross_validate


def data(n=60):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    x = rng.normal(size=(n, 4)).astype(np.float32)
    x[np.arange(n), y] += 3
    return x, y, np.arange(n) // 3 % 4 + 1


def make_functions():
    """Functions that worker processes cannot import, as those of a notebook."""

    def make_model():
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3))

    def jitter(x, y, generator):
        import torch

        return x + 0.1 * torch.randn(x.shape, generator=generator), y

    return make_model, jitter


def run(x, y, n_jobs=1, seed=0, **options):
    make_model, jitter = make_functions()
    options = {"epochs": 8, "train_transform": jitter, "schedule": cosine_with_warmup, "device": "cpu"} | options
    options.setdefault("optimizer", partial(torch.optim.Adam, lr=0.03))
    generator = torch.Generator().manual_seed(seed)
    return cross_validate(make_model, x, y, n_jobs=n_jobs, generator=generator, progress=False, **options)


def test_out_of_fold_predictions_agree_with_the_table():
    x, y, folds = data()
    result = run(x, y, folds=folds, classes=("a", "b", "c"))
    assert result.logits.shape == result.probabilities.shape == (60, 3) and result.tested.all()
    np.testing.assert_allclose(result.probabilities.sum(1), 1)
    assert (result.folds == folds).all() and sorted(result.histories) == [1, 2, 3, 4]
    for row in result.table.itertuples():
        own = folds == row.fold
        assert row.accuracy == pytest.approx((result.predictions[own] == y[own]).mean())
        assert row.loss == pytest.approx(result.histories[row.fold].rows[-1]["validation_loss"], rel=1e-4)
        assert (row.train_samples, row.test_samples) == (45, 15)
    assert result.mean.accuracy == pytest.approx(result.table.accuracy.mean()) and result.mean.accuracy > 0.7
    assert result.std.accuracy == pytest.approx(np.std(result.table.accuracy, ddof=1))
    assert confusion_matrix(y, result.predictions).sum() == 60
    assert str(result).startswith(f"accuracy {result.mean.accuracy:.3f} ± ")


@pytest.mark.slow
def test_folds_in_parallel_find_the_same_and_global_state_stays():
    x, y, folds = data()
    before = torch.get_rng_state()
    rows, parallel = run(x, y, folds=folds), run(x, y, folds=folds, n_jobs=2)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_allclose(parallel.logits, rows.logits, rtol=1e-4, atol=1e-5)
    pd.testing.assert_frame_equal(parallel.table.drop(columns="seconds"), rows.table.drop(columns="seconds"), rtol=1e-4)
    other = run(x, y, folds=folds, seed=1)
    assert not np.allclose(other.logits, rows.logits)


def test_the_test_fold_is_never_looked_at():
    x, y, folds = data()
    seen = []

    def centre(train_x):
        seen.append(train_x.mean(0))
        return lambda part: part - train_x.mean(0)

    result = run(x, y, folds=folds, prepare=centre)
    for fold, mean in zip((1, 2, 3, 4), seen, strict=True):
        np.testing.assert_allclose(mean, x[folds != fold].mean(0), rtol=1e-6)
    changed = x.copy()
    changed[folds == 2] *= -5
    again = run(changed, y, folds=folds, prepare=centre)
    rows = [again.histories[2].rows, result.histories[2].rows]
    assert [row["train_loss"] for row in rows[0]] == [row["train_loss"] for row in rows[1]]


def test_curves_do_not_change_the_training():
    x, y, folds = data()
    with_curves, without = run(x, y, folds=folds), run(x, y, folds=folds, curves=False)
    np.testing.assert_array_equal(with_curves.logits, without.logits)
    assert "validation_loss" not in without.histories[1].table


def test_a_stopped_cross_validation_goes_on(tmp_path):
    x, y, folds = data()
    expected = run(x, y, folds=folds)
    calls = iter(range(100))

    def stop_in_the_second_fold(epoch, model, history):
        if next(calls) == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(x, y, folds=folds, checkpoint_dir=tmp_path, callback=stop_in_the_second_fold)
    first = (tmp_path / "fold-1" / "last.safetensors").stat().st_mtime_ns
    resumed = run(x, y, folds=folds, checkpoint_dir=tmp_path)
    np.testing.assert_array_equal(resumed.logits, expected.logits)
    assert (tmp_path / "fold-1" / "last.safetensors").stat().st_mtime_ns == first


def test_splitters_of_scikit_learn():
    x, y, _ = data()
    groups = np.arange(60) // 6
    result = run(x, y, splitter=GroupKFold(5), groups=groups, epochs=1)
    assert all(len(set(result.folds[groups == group])) == 1 for group in groups)
    result = run(x, y, splitter=StratifiedKFold(4, shuffle=True, random_state=0), epochs=1)
    assert all((np.bincount(y[result.folds == fold]) == 5).all() for fold in range(4))


def test_samples_in_no_test_fold_have_no_prediction():
    x, y, _ = data()

    class HoldOut:
        def split(self, x, y, groups=None):
            yield np.arange(40), np.arange(40, 60)

    result = run(x, y, splitter=HoldOut(), epochs=1)
    assert (result.folds[:40] == -1).all() and (result.predictions[:40] == -1).all()
    assert np.isnan(result.probabilities[:40]).all() and (result.predictions[40:] >= 0).all()


def test_bad_arguments():
    x, y, folds = data()
    for options, message in [
        ({}, "either folds .* or splitter"),
        ({"folds": folds, "splitter": StratifiedKFold(3)}, "either folds .* or splitter"),
        ({"folds": folds[:-1]}, "folds: expected 60 fold numbers"),
        ({"folds": np.ones(60, int)}, "at least two different"),
        ({"folds": folds, "groups": np.arange(60) // 2}, "groups: 5 are on both sides of fold 1"),
        ({"folds": folds, "groups": [1, 2]}, "groups: expected 60"),
        ({"splitter": RepeatedKFold(n_splits=2, n_repeats=2)}, "at most one test fold"),
        ({"folds": folds, "validation": []}, "validation: cross_validate has no use"),
        (
            {"folds": folds, "optimizer": torch.optim.SGD(nn.Linear(1, 1).parameters())},
            "optimizer: expected a function",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            run(x, y, **options)
    for wrong in (y[:-1], y - 1, y.astype(float)):
        with pytest.raises(ValueError, match="y: expected 60 class numbers"):
            run(x, wrong, folds=folds)
    with pytest.raises(ValueError, match=r"model: expected outputs \(N, C\)"):
        cross_validate(lambda: nn.Linear(4, 2), x, np.minimum(y, 1) * (folds == 1) * 2, folds=folds, epochs=1,
                       loss=lambda a, b: a.mean(), progress=False)  # fmt: skip


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_error_names_its_fold(n_jobs):
    x, y, folds = data()
    x[folds == 4] = np.nan
    with pytest.raises(FloatingPointError, match="the loss is nan at epoch 1") as caught:
        run(x, y, folds=folds, n_jobs=n_jobs)
    assert any("while training fold" in note for note in caught.value.__notes__)


@pytest.mark.slow
def test_one_offline_wandb_run_a_fold(tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    x, y, folds = data()

    def tracker(fold):
        from course_lib.training import WandbTracker

        return WandbTracker(group="one group", name=f"fold {fold}", directory=tmp_path)

    run(x, y, folds=np.minimum(folds, 2), n_jobs=2, epochs=2, tracker=tracker, classes=["a", "b", "c"])
    runs = list((tmp_path / "wandb").glob("offline-run-*"))
    assert len(runs) == 2
    for folder in runs:
        images = {path.name.split("_")[0] for path in folder.glob("files/media/images/*.png")}
        assert images == {"confusion matrix", "ROC"}
        stored = next(folder.glob("run-*.wandb")).read_bytes()
        assert b"one group" in stored and b"validation_accuracy" in stored and b"test_macro_f1" in stored
