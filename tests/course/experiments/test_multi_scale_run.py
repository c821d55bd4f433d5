"""The recorded run of notebook 08: its task and its variants."""

import torch

from course_lib.course.experiments import multi_scale


def test_windows_hold_two_clicks_at_the_stated_gap_away_from_the_edges():
    x, wide = multi_scale.gap_batch(200, torch.Generator().manual_seed(0))
    assert x.shape == (200, 192, 1) and set(wide.tolist()) == {0, 1}
    click = multi_scale.CLICK
    match = torch.nn.functional.conv1d(x.transpose(1, 2), click[None, None])[:, 0]  # (B, T - 2)
    for row, gap in zip(match, torch.tensor(multi_scale.GAPS)[wide], strict=True):
        together = row[: -int(gap)] + row[int(gap) :]
        first = int(together.argmax())
        assert together[first] > 2.5
        # noise may move the best place by two samples
        assert multi_scale.EDGE - 2 <= first and first + gap < multi_scale.LENGTH - multi_scale.EDGE + 2


def test_only_the_dilated_network_sees_a_whole_gap():
    spans = {}
    for name, options in multi_scale.VARIANTS.items():
        first, last = multi_scale.gap_classifier(**{**options, "squeeze": False}).features.receptive_field
        spans[name] = last - first + 1
    for name, span in spans.items():
        assert span < min(multi_scale.GAPS) if "without dilation" in name else span > max(multi_scale.GAPS), name


def test_training_repeats_from_its_seed_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    scores = [multi_scale.train_gap_classifier({}, seed=3, steps=2)[1] for _ in range(2)]
    assert scores[0] == scores[1]
    assert torch.equal(torch.get_rng_state(), before)
