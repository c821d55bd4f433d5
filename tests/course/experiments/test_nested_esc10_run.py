"""The nested run on ESC-10, to its end on made-up clips: who is chosen, and that no outer fold is looked at."""

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.course.experiments import _esc10_members as members
from course_lib.course.experiments import nested_esc10 as nested
from course_lib.course.experiments import results
from course_lib.course.experiments._esc10_runs import columns
from course_lib.data import synthetic_soundscape


@pytest.fixture
def short(monkeypatch):
    """One epoch of everything, and 50 generated clips."""
    one = {name: (make, x, changes | {"epochs": 1}) for name, (make, x, changes) in members.CNNS.items()}
    monkeypatch.setattr(nested, "CNNS", one)
    monkeypatch.setattr(members, "PRE_TRAINING", {"portions": 1, "clips_per_class": 5, "epochs": 1})
    kept = members.generated, members.pre_trained
    for function in kept:
        function.cache_clear()
    yield
    for function in kept:
        function.cache_clear()


def inner_cells(right: dict[str, np.ndarray], data) -> dict:
    """Cells of the inner folds in which a member is right on the clips where `right` (N,) says so."""
    cells = {}
    for member in nested.MEMBERS:
        answers = np.where(right[member], data.labels, (data.labels + 1) % 10)
        logits = [(4 * np.eye(10)[answers[np.isin(data.folds, pair)]]).tolist() for pair in nested.PAIRS]
        cells[f"{member}, inner"] = [{"seed": 10, "seconds": 1.0, "logits": logits}]
    return cells


def test_run_to_its_end(clips, record, short, tmp_path):
    before = torch.get_rng_state()
    table = record(nested, "--seeds", "10", "11", load=lambda: clips)
    assert torch.equal(before, torch.get_rng_state())
    assert set(results.read("nested_esc10", nested.results.RESULTS)["measure"]) == set(table.index)
    detail = {
        name: pd.read_csv(tmp_path / "results" / "detail" / f"nested_esc10_{name}.csv")
        for name in ("choices", "folds", "clips")
    }
    choices = detail["choices"]
    assert len(choices) == 5 * len(nested.CANDIDATES) and (choices[choices["chosen"]].groupby("fold").size() == 1).all()
    best = choices.groupby("fold")["inner accuracy"].max()
    assert choices[choices["chosen"]].set_index("fold")["inner accuracy"].to_dict() == best.to_dict()
    seeds = detail["folds"].pivot(index=["draw", "fold"], columns="candidate", values="accuracy")
    picked = choices[choices["chosen"]].set_index("fold")["candidate"]
    for (_, fold), row in seeds.iterrows():  # the machine alone has one seed
        expected = row[picked[fold]]
        assert row["nested"] == pytest.approx(seeds.loc[(0, fold), picked[fold]] if np.isnan(expected) else expected)
    assert table.loc["nested", "value"] == pytest.approx(
        detail["clips"].query("candidate == 'nested'")["right"].mean(), abs=1e-4
    )
    change = table.loc["nested: change from 0.92", "value"]
    assert change == pytest.approx(table.loc["nested", "value"] - 0.92, abs=1e-3)  # two clips a recording
    assert table.loc[f"fixed, not nested: {members.CEPSTRA}", "seeds"] == 1


def test_the_choice_for_a_fold_does_not_depend_on_its_clips(clips):
    generator = np.random.default_rng(0)
    right = {member: generator.random(50) < 0.5 for member in nested.MEMBERS}
    before = nested.chosen(inner_cells(right, clips), clips)
    for fold in nested.FOLDS:
        own = clips.folds == fold
        flipped = {member: np.where(own, generator.random(50) < 0.5, values) for member, values in right.items()}
        assert nested.chosen(inner_cells(flipped, clips), clips)[fold] == before[fold]


def test_the_best_on_the_inner_folds_is_chosen_and_nobody_before_all_were_tried(clips):
    right = dict.fromkeys(nested.MEMBERS, np.zeros(50, bool)) | {members.WIDER: np.isin(clips.folds, (1, 2, 3))}
    cells = inner_cells(right, clips)
    assert nested.chosen(cells, clips)[2] == members.WIDER
    table = nested.choices(cells, clips).set_index(["candidate", "fold"])["inner accuracy"]
    assert table[members.WIDER].to_list() == [0.5, 0.5, 0.5, 0.75, 0.75]  # of its four inner folds
    cells.pop(f"{members.CEPSTRA}, inner")
    assert nested.chosen(cells, clips) == {}


def test_generated_pictures_have_the_level_of_recordings(short):
    made, labels = members.generated().tensors
    clips = synthetic_soundscape(5, sample_rate=members.MEL_RATE, seed=101, cache=False, progress=False)
    below = slice(0, 58)  # near half the sample rate resampling has its filter's edge
    apart = np.abs(made.numpy() - columns(clips))[:, below]
    assert made.shape == (50, 64, 63) and np.median(apart) < 0.01 and np.percentile(apart, 95) < 0.1
    assert (labels.numpy() == clips.labels).all()


def test_wider_change_keeps_shape_and_shares_and_is_the_generators():
    x, y = torch.randn(40, 3, 64, 62), torch.arange(40) % 10
    changed, targets = members.wider(x, y, torch.Generator().manual_seed(0))
    again, _ = members.wider(x, y, torch.Generator().manual_seed(0))
    torch.testing.assert_close(changed, again)
    torch.testing.assert_close(targets.sum(1), torch.ones(40))
    assert changed.shape == x.shape and changed.isfinite().all()
    assert 5 < (targets.amax(1) < 1).sum() < 30
    with torch.no_grad():
        assert members.CNNS[members.WIDER][0](0)(changed).shape == (40, 10)
