"""The recorded runs of notebook 07: what rows differ in, and how the layers' outputs are measured."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from course_lib.course.experiments import encoder_repairs
from course_lib.models import SmallKernelFeatures

RATE = 3200


def test_each_row_of_the_ladder_changes_one_thing():
    rows = list(encoder_repairs.ladder().items())
    steps = [setting for name, setting in rows if ":" not in name]
    for before, after in zip(steps, steps[1:], strict=False):
        assert sum(asdict(before)[key] != value for key, value in asdict(after).items()) == 1
    assert sum(":" in name for name, _ in rows) == 4
    assert steps[0] == encoder_repairs.Setting() and steps[-1] == encoder_repairs.repaired()
    for name, setting in rows:
        if ":" in name:  # put back, left out
            assert sum(asdict(steps[-1])[key] != value for key, value in asdict(setting).items()) == 1


def test_small_kernels_make_one_token_of_128_samples_and_see_the_level():
    features = SmallKernelFeatures(48)
    x = torch.randn(2, 1, 1000)
    assert features(x).shape == (2, 7, 48)
    assert not torch.allclose(features(x), features(0.1 * x))


def test_prepared_scales_each_clip_where_the_row_says_so_and_leaves_silence_silent():
    clips = np.stack([np.zeros((1, 50)), np.linspace(3, 5, 50)[None]])
    assert encoder_repairs.prepared(clips, encoder_repairs.Setting()) is clips
    scaled = encoder_repairs.prepared(clips, encoder_repairs.repaired())
    assert (scaled[0] == 0).all() and abs(scaled[1].mean()) < 1e-9 and scaled[1].std() == pytest.approx(1, abs=1e-4)


def test_spread_over_clips_is_zero_for_equal_outputs_and_one_for_unrelated_ones_around_zero():
    assert encoder_repairs.spread_over_clips(np.ones((5, 3, 2))) == 0
    assert encoder_repairs.spread_over_clips(torch.randn(4000, 6)) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("regularised", [False, True])
@pytest.mark.parametrize("augmented", [False, True])
def test_a_recipe_takes_optimiser_smoothing_and_augmentation_from_their_own_switches(regularised, augmented):
    setting = replace(encoder_repairs.repaired(), regularised=regularised, augmented=augmented)
    options = encoder_repairs.fit_options(setting, num_classes=4)
    optimizer = options["optimizer"]([torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(optimizer, torch.optim.AdamW) == regularised
    assert (options["loss"].label_smoothing > 0) == regularised
    assert (options["train_transform"] is not None) == augmented
