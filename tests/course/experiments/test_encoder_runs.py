"""The recorded runs of notebook 07: what rows differ in, and how the layers' outputs are measured."""

from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from course_lib.course.experiments import encoder_flaws, encoder_repairs
from course_lib.models import LogMelCNN, SmallKernelFeatures, TransformerClassifier

RATE = 3200


def changed(before: encoder_repairs.Setting, after: encoder_repairs.Setting) -> set[str]:
    return {key for key, value in asdict(after).items() if asdict(before)[key] != value}


def test_each_row_of_the_ladder_changes_one_thing():
    rows = encoder_repairs.LADDER
    steps = [setting for name, setting in rows.items() if ":" not in name]
    assert all(len(changed(before, after)) == 1 for before, after in pairwise(steps))
    assert steps[0] == encoder_repairs.FOUR_REPAIRS and steps[-1] == encoder_repairs.REPAIRED
    beside = [name for name in rows if ":" in name]
    assert len(beside) == 3 and all(len(changed(rows[name.split(":")[0]], rows[name])) == 1 for name in beside)


def test_a_row_without_encoder_is_the_plain_cnn():
    assert isinstance(encoder_repairs.make_model(encoder_repairs.Setting(log_mel=True, encoder=False)), LogMelCNN)
    assert isinstance(encoder_repairs.make_model(encoder_repairs.Setting(log_mel=True)), TransformerClassifier)


def test_mixtures_are_all_subsets_of_four_repairs_from_none_to_all():
    mixtures = {name: encoder_repairs.Setting(**change) for name, change in encoder_flaws.MIXTURES.items()}
    assert len(set(mixtures.values())) == 16
    assert list(mixtures.values())[0] == encoder_repairs.Setting() == mixtures["none"]
    assert list(mixtures.values())[-1] == encoder_repairs.FOUR_REPAIRS


def test_small_kernels_make_one_token_of_128_samples_and_see_the_level():
    features = SmallKernelFeatures(48)
    x = torch.randn(2, 1, 1000)
    assert features(x).shape == (2, 7, 48)
    assert not torch.allclose(features(x), features(0.1 * x))


def test_prepared_scales_each_clip_where_the_row_says_so_and_leaves_silence_silent():
    clips = np.stack([np.zeros((1, 50)), np.linspace(3, 5, 50)[None]])
    assert encoder_repairs.prepared(clips, encoder_repairs.Setting()) is clips
    scaled = encoder_repairs.prepared(clips, encoder_repairs.REPAIRED)
    assert (scaled[0] == 0).all() and abs(scaled[1].mean()) < 1e-9 and scaled[1].std() == pytest.approx(1, abs=1e-4)


def test_spread_over_clips_is_zero_for_equal_outputs_and_one_for_unrelated_ones_around_zero():
    assert encoder_repairs.spread_over_clips(np.ones((5, 3, 2))) == 0
    assert encoder_repairs.spread_over_clips(torch.randn(4000, 6)) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("regularised", [False, True])
@pytest.mark.parametrize("augmented", [False, True])
def test_a_recipe_takes_optimiser_smoothing_and_augmentation_from_their_own_switches(regularised, augmented):
    setting = replace(encoder_repairs.REPAIRED, regularised=regularised, augmented=augmented)
    options = encoder_repairs.fit_options(setting)
    optimizer = options["optimizer"]([torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(optimizer, torch.optim.AdamW) == regularised
    assert (options["loss"].label_smoothing > 0) == regularised
    assert (options["train_transform"] is not None) == augmented
