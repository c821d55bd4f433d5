"""How long audio takes: 400 clips decoded and resampled, the cache read again, one epoch of the CNN baseline.

Run by `make bench`; the name keeps it out of `make test`. The clips are ESC-10's where it is on disk, else generated
ones written as wav files: a table says which, since Ogg takes longer to decode.
"""

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader, TensorDataset

from course_lib.data import find_esc10, load_audio_folder, synthetic_soundscape
from course_lib.models import AudioCNN
from course_lib.training import device_label, fit

RATE = 22_050  # half of what is on disk, so that every clip is resampled
RELOAD_SECONDS = 0.2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of 400 clips of 5 s at 44.1 kHz, ten sub-folders."""
    found = find_esc10()
    if found is not None and len(list(found[0].glob("*/*.ogg"))) == 400:
        return found[0]
    root = tmp_path_factory.mktemp("generated")
    data = synthetic_soundscape(progress=False)
    for signal, label, name in zip(data.signals, data.labels, data.files, strict=True):
        (root / data.classes[label]).mkdir(exist_ok=True)
        soundfile.write(root / data.classes[label] / f"{name}.wav", signal[0], data.sample_rate)
    return root


@pytest.fixture(autouse=True)
def what_was_measured(benchmark, folder):
    """The table's heading: device, threads and what kind of files."""
    kind = next(folder.glob("*/*.*")).suffix
    benchmark.group = f"{device_label()}, threads: {torch.get_num_threads()}, 400 {kind} files"


def load(folder, cache):
    return load_audio_folder(folder, sample_rate=RATE, cache=cache, progress=False)


def test_decode_and_resample_400_clips(benchmark, folder):
    data = benchmark.pedantic(load, args=(folder, False), rounds=3)
    assert data.signals.shape == (len(data), 1, 5 * RATE) and len(data) + len(data.report) == 400


def test_reload_400_clips_from_the_cache(benchmark, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    first = load(folder, True)
    data = benchmark.pedantic(load, args=(folder, True), rounds=10)
    np.testing.assert_array_equal(data.signals[-1], first.signals[-1])
    assert benchmark.stats.stats.min < RELOAD_SECONDS


def test_training_epoch_of_the_cnn_baseline(benchmark):
    """320 clips of 16,000 samples, batches of 32, Adam."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(320, 1, 16_000, generator=generator), torch.arange(320) % 10
    loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True, generator=generator)
    model = AudioCNN(num_classes=10, input_length=16_000)

    def epoch():
        return fit(model, loader, epochs=1, progress=False, generator=generator)

    history = benchmark.pedantic(epoch, rounds=3, warmup_rounds=1)
    assert len(history.table) == 1
