"""A fitted AudioClassifier as a file: the front end is inside, so that it takes sound."""

import numpy as np
import pytest

from course_lib.estimator import AudioClassifier
from course_lib.export import Model, export

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore:training has")

RATE = 4000


def clips(seed, count=24, seconds=0.3):
    rng = np.random.default_rng(seed)
    clock = np.arange(round(RATE * seconds)) / RATE
    pitches = np.where(np.arange(count) % 2, 900, 300) * rng.uniform(0.95, 1.05, count)
    tones = rng.uniform(0.1, 0.5, (count, 1)) * np.sin(2 * np.pi * pitches[:, None] * clock)
    return (tones + 0.01 * rng.standard_normal(tones.shape)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("several", [False, True])
def test_the_file_says_of_raw_sound_what_the_estimator_says(several, tmp_path):
    kinds = np.arange(24) % 2
    y = np.stack([kinds, np.arange(24) % 3 == 0], axis=1).astype(int) if several else np.array(["low", "high"])[kinds]
    model = AudioClassifier(RATE, hop=0.011, window=0.03, epochs=4, random_state=0).fit(clips(0), y)
    about = export(model, tmp_path / "sounds.onnx")
    assert about.sample_rate == RATE and about.steps == 1200 and about.classes == tuple(model.classes_)
    short, long, silent = clips(2, 1, 0.05)[0], clips(3, 1, 0.8)[0], np.zeros(1200, np.float32)
    sounds = [*clips(1, 7), short, long, silent]
    file = Model(tmp_path / "sounds.onnx")
    np.testing.assert_allclose(file.predict_proba(sounds), model.predict_proba(sounds), atol=1e-4)
    np.testing.assert_array_equal(file.predict(sounds), model.predict(sounds))
    with pytest.raises(ValueError, match="expected signals"):
        file.predict_proba([np.zeros((100, 2))])
