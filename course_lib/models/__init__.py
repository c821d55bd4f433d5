"""Whole models: short compositions of layers."""

from course_lib.models.audio_cnn import AudioCNN
from course_lib.models.log_mel_cnn import LogMelCNN
from course_lib.models.signal_transformer import SignalSequenceTransformer, SignalTransformerConfig, SignalWeights
from course_lib.models.transformer_classifier import LogMelFeatures, TransformerClassifier, WaveformFeatures

__all__ = [
    "AudioCNN",
    "LogMelCNN",
    "LogMelFeatures",
    "SignalSequenceTransformer",
    "SignalTransformerConfig",
    "SignalWeights",
    "TransformerClassifier",
    "WaveformFeatures",
]
