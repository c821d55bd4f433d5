"""Where signals come from: recordings on disk, generated sets, datasets, features and augmentation."""

from course_lib.data.audio_data import AudioData, DataError, Problem, pad_or_cut
from course_lib.data.augment import LogMelAugmentation, between_class, gain, noise, spec_augment, time_shift, time_warp
from course_lib.data.catalogue import DatasetInfo, fetch, list_datasets, load_audio, verify
from course_lib.data.datasets import (
    ContrastiveDataset,
    EventBatch,
    EventDataset,
    EventItem,
    SignalDataset,
    UnsupervisedDataset,
    channel_statistics,
    collate_fn_contrastive,
    collate_fn_supervised,
    collate_fn_unsupervised,
)
from course_lib.data.download import fetch_esc10
from course_lib.data.esc10 import find_esc10, load_esc10
from course_lib.data.features import log_mel
from course_lib.data.folder import load_audio_folder, read_audio
from course_lib.data.live_source import Block, FakeClock, Microphone, RealClock, Replay
from course_lib.data.real_events import GaitRecording, fetch_ecg, find_ecg, load_ecg, load_gait_events, make_beat_train
from course_lib.data.recording import EventRecording, load_event_table
from course_lib.data.sensor_table import SensorTable, load_sensor_table, on_one_clock, recording_windows
from course_lib.data.soundscape import synthetic_soundscape
from course_lib.data.streams import StreamDataset, StreamLoader, StreamManager
from course_lib.data.synthetic_events import (
    EventTemplates,
    FreshEvents,
    coloured_noise,
    event_templates,
    make_event_stream,
    make_events,
)
from course_lib.data.synthetic_signals import (
    BURST_ORDERS,
    SIGNAL_KINDS,
    BurstOrders,
    Matches,
    burst_order,
    match_to_sample,
    synthetic_signals,
)
from course_lib.data.tables import load_audio_table
from course_lib.data.temporal_augmentation import TemporalAugmentation

# fmt: off
__all__ = [
    "AudioData", "DataError", "Problem", "pad_or_cut",
    "LogMelAugmentation", "between_class", "gain", "noise", "spec_augment", "time_shift", "time_warp",
    "DatasetInfo", "fetch", "list_datasets", "load_audio", "verify",
    "ContrastiveDataset", "EventBatch", "EventDataset", "EventItem", "SignalDataset", "UnsupervisedDataset",
    "channel_statistics", "collate_fn_contrastive", "collate_fn_supervised", "collate_fn_unsupervised",
    "fetch_esc10",
    "find_esc10", "load_esc10",
    "log_mel",
    "load_audio_folder", "read_audio",
    "Block", "FakeClock", "Microphone", "RealClock", "Replay",
    "GaitRecording", "fetch_ecg", "find_ecg", "load_ecg", "load_gait_events", "make_beat_train",
    "EventRecording", "load_event_table",
    "SensorTable", "load_sensor_table", "on_one_clock", "recording_windows",
    "synthetic_soundscape",
    "StreamDataset", "StreamLoader", "StreamManager",
    "EventTemplates", "FreshEvents", "coloured_noise", "event_templates", "make_event_stream", "make_events",
    "BURST_ORDERS", "SIGNAL_KINDS", "BurstOrders", "Matches", "burst_order", "match_to_sample", "synthetic_signals",
    "load_audio_table",
    "TemporalAugmentation",
]
# fmt: on
