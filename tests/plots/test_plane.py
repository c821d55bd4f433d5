"""Arrows in the plane."""

import numpy as np
import pytest

from course_lib import plots


def test_arrows_end_at_their_pairs_on_axes_of_equal_scale(ax):
    pairs = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert plots.plane_arrows({"query": pairs, "key": [0.5, 0.5]}, labels={"query": [0, 1, 2]}, ax=ax) is ax
    tips = [text.xy for text in ax.texts if hasattr(text, "arrow_patch")]
    np.testing.assert_allclose(tips, [*pairs, (0.5, 0.5)])
    assert ax.get_aspect() == 1.0
    words = [text.get_text() for text in ax.texts if not hasattr(text, "arrow_patch")]
    assert words == ["0", "1", "2", ""]
    ax.figure.canvas.draw()


def test_names_what_is_no_pair_and_what_has_no_word(ax):
    for wrong in (np.ones((2, 3)), np.ones((0, 2)), [[np.nan, 1.0]]):
        with pytest.raises(ValueError, match=r"arrows\['query'\]: expected finite (pairs )?\(N, 2\)"):
            plots.plane_arrows({"query": wrong}, ax=ax)
    with pytest.raises(ValueError, match=r"labels\['query'\]: expected 2 words"):
        plots.plane_arrows({"query": np.ones((2, 2))}, labels={"query": ["one"]}, ax=ax)
