"""Where signals come from: recordings on disk, generated sets, datasets, features and augmentation."""

from course_lib.data.audio import AudioData, DataError, Problem, pad_or_cut
from course_lib.data.augment import gain, mixup, noise, spec_augment, time_shift, time_warp
from course_lib.data.augment_log_mel import LogMelAugmentation
from course_lib.data.between_class import between_class
from course_lib.data.catalogue import DatasetInfo, fetch, list_datasets, verify
from course_lib.data.dataset import SignalDataset
from course_lib.data.download import fetch_esc10
from course_lib.data.esc10 import find_esc10, load_esc10
from course_lib.data.features import log_mel
from course_lib.data.folder import load_audio_folder
from course_lib.data.load import load_audio
from course_lib.data.synthetic import synthetic_soundscape

__all__ = [
    "AudioData",
    "DataError",
    "DatasetInfo",
    "LogMelAugmentation",
    "Problem",
    "SignalDataset",
    "between_class",
    "fetch",
    "fetch_esc10",
    "find_esc10",
    "gain",
    "list_datasets",
    "load_audio",
    "load_audio_folder",
    "load_esc10",
    "log_mel",
    "mixup",
    "noise",
    "pad_or_cut",
    "spec_augment",
    "synthetic_soundscape",
    "time_shift",
    "time_warp",
    "verify",
]
