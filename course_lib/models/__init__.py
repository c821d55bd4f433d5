"""Whole models: short compositions of layers.

A model takes any real dtype and converts it to that of its weights at the door; inside, the layers' rule for dtypes
holds (`course_lib.layers`).
"""

from course_lib.models.accumulative_mlp import SignalAccumulativeMLP
from course_lib.models.audio_cnns import (
    AttentiveCNN,
    AudioCNN,
    ChannelsLast,
    LearnedFilterbank,
    LogMelCNN,
    LogMelFeatures,
    PooledAudioCNN,
    SmallKernelFeatures,
)
from course_lib.models.autoencoders import LSTMAutoencoder, LSTMVariationalAutoencoder
from course_lib.models.event_detector import EventDetector, EventMaps, OwnLevel
from course_lib.models.event_specific_classifier import (
    EventSpecificClassifier,
    EventSpecificCNN,
    EventSpecificTimingHeads,
)
from course_lib.models.event_uncertainty import EventEnsemble, MonteCarloDropout
from course_lib.models.event_variation import augmentation_ranges
from course_lib.models.lstm_encoder import ContrastiveLSTM, Transfer
from course_lib.models.lstm_event_classifier import LSTMEventClassifier
from course_lib.models.pooled_classifier import CLSPooling, LastStepClassifier, PooledClassifier, RingFinder
from course_lib.models.position_models import OrderClassifier, StepLabeller
from course_lib.models.signal_transformer import SignalSequenceTransformer, SignalTransformerConfig, SignalWeights
from course_lib.models.streaming_audio import RunningAttention, StreamingAudioCNN
from course_lib.models.template_bank import EventTemplateBank
from course_lib.models.template_detector import TemplateDetector, candidate_targets
from course_lib.models.template_learning import expectation_maximisation, fill_from_snippets, make_pursuit, noise_filter
from course_lib.models.transformer_classifier import (
    DeeplySupervised,
    InTraining,
    TransformerClassifier,
    WaveformFeatures,
)

# fmt: off
__all__ = [
    "SignalAccumulativeMLP",
    "AttentiveCNN", "AudioCNN", "ChannelsLast", "LearnedFilterbank", "LogMelCNN", "LogMelFeatures",
    "PooledAudioCNN", "SmallKernelFeatures",
    "LSTMAutoencoder", "LSTMVariationalAutoencoder",
    "EventDetector", "EventMaps", "OwnLevel",
    "EventSpecificClassifier", "EventSpecificCNN", "EventSpecificTimingHeads",
    "EventEnsemble", "MonteCarloDropout",
    "augmentation_ranges",
    "ContrastiveLSTM", "Transfer",
    "LSTMEventClassifier",
    "CLSPooling", "LastStepClassifier", "PooledClassifier", "RingFinder",
    "OrderClassifier", "StepLabeller",
    "SignalSequenceTransformer", "SignalTransformerConfig", "SignalWeights",
    "RunningAttention", "StreamingAudioCNN",
    "EventTemplateBank",
    "TemplateDetector", "candidate_targets",
    "expectation_maximisation", "fill_from_snippets", "make_pursuit", "noise_filter",
    "DeeplySupervised", "InTraining", "TransformerClassifier", "WaveformFeatures",
]
# fmt: on
