"""Peaks of frame scores."""

import numpy as np
import pytest

from course_lib.events import Detections, decode_peaks, peak_mask


def test_a_peak_tops_three_frames_on_either_side():
    scores = np.array([0.1, 0.9, 0.2, 0.3, 0.6, 0.1, 0.1, 0.1, 0.5])[:, None]
    assert np.flatnonzero(peak_mask(scores)).tolist() == [1, 8]  # 0.6 lies three frames from 0.9


def test_of_equal_neighbours_the_first():
    assert np.flatnonzero(peak_mask(np.array([0.0, 0.5, 0.5, 0.5, 0.0])[:, None])).tolist() == [1]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_few_frames(frames):
    assert peak_mask(np.arange(float(frames))[:, None]).sum() == 1


def test_onset_inside_the_frame():
    scores, offsets = np.zeros((20, 2)), np.zeros((20, 2))
    scores[7, 1], offsets[7, 1] = 0.8, 3.25
    assert list(decode_peaks(scores, offsets, threshold=0.5)) == [(1, 73.25, 0.8)]
    assert decode_peaks(scores, threshold=0.5).times.tolist() == [75.0]


def test_padding_and_the_end():
    scores = np.zeros((10, 1))
    scores[[4, 9], 0] = 0.8
    assert decode_peaks(scores, length=41).times.tolist() == [40.0]  # no later than the last sample
    assert len(decode_peaks(scores, length=40)) == 0
    assert len(decode_peaks(np.zeros((0, 3)))) == 0


def test_scores_must_be_finite():
    with pytest.raises(ValueError, match="finite"):
        decode_peaks(np.full((5, 2), np.nan))


def test_detections_are_in_time_order_and_combine():
    found = Detections([1, 0, 2], [5.0, 3.0, 3.0], [0.1, 0.2, 0.3])
    assert list(found) == [(0, 3.0, 0.2), (2, 3.0, 0.3), (1, 5.0, 0.1)]
    assert list(found.above(0.2).shifted(10)) == [(0, 13.0, 0.2), (2, 13.0, 0.3)]
    assert len(Detections.concatenate([found, Detections.none()])) == 3
    with pytest.raises(ValueError, match="types, times, scores"):
        Detections([1], [1.0, 2.0], [0.5])
