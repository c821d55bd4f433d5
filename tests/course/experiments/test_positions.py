"""The task of the positional encodings: classes that differ in order only, and a model that sees order by encoding."""

import pytest
import torch

from course_lib.course.experiments import positions as task
from course_lib.models import OrderClassifier


def test_a_reversed_clip_has_the_same_frames_in_reverse():
    clips, labels = task.chirps(3, generator=torch.Generator().manual_seed(0))
    assert labels.tolist() == [1, 0, 1, 0, 1, 0]
    torch.testing.assert_close(task.frames(clips[1::2]), task.frames(clips[::2]).flip(1), rtol=0.0, atol=1e-4)


def test_a_pair_in_one_half_of_the_clip_has_the_same_frames_in_another_order():
    clips, _ = task.chirps(3, (0.5, 1.0), generator=torch.Generator().manual_seed(0))
    moved = task.frames(clips[::2]).flip(1).roll(task.FRAMES // 2, dims=1)
    torch.testing.assert_close(task.frames(clips[1::2]), moved, rtol=0.0, atol=1e-4)


@pytest.mark.parametrize("where", [(0.0, 1.0), (0.0, 0.5), (0.5, 1.0)])
def test_rising_tones_rise_where_they_should_lie(where):
    clips, labels = task.chirps(20, where, noise=0.0, generator=torch.Generator().manual_seed(1))
    seen = task.frames(clips)
    seen = (seen - seen.amin(dim=(1, 2), keepdim=True)).clamp(min=0)
    loudness = seen.sum(dim=2)  # (N, T)
    pitch = (seen * torch.arange(task.BANDS)).sum(dim=2) / loudness.clamp(min=1e-6)  # (N, T), in bands
    for clip, (heard, height, label) in enumerate(zip(loudness, pitch, labels, strict=True)):
        sounding = torch.nonzero(heard > 0.5 * heard.max())[:, 0]
        share = sounding / (task.FRAMES - 1)
        assert where[0] - 0.05 <= share.min() and share.max() <= where[1] + 0.05, clip
        assert (height[sounding[-1]] > height[sounding[0]]) == bool(label), clip


@pytest.mark.parametrize("encoding", task.ENCODINGS)
def test_only_encodings_see_order(encoding):
    torch.manual_seed(0)
    model = OrderClassifier(encoding, task.BANDS).eval()
    x = torch.randn(2, task.FRAMES, task.BANDS)
    with torch.no_grad():
        difference = (model(x) - model(x.flip(1))).abs().max()
    assert difference < 1e-5 if encoding == "none" else difference > 1e-4


def test_unknown_encoding_is_named():
    with pytest.raises(ValueError, match="encoding: expected one of none"):
        OrderClassifier("absolute", 3)
