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
from course_lib.models.event_detector import EventDetector, EventMaps, LSTMEventClassifier, OwnLevel
from course_lib.models.event_model import EventEnsemble, MonteCarloDropout
from course_lib.models.event_specific_classifier import (
    EventSpecificClassifier,
    EventSpecificCNN,
    EventSpecificTimingHeads,
)
from course_lib.models.pretraining import ContrastiveLSTM, LSTMAutoencoder, LSTMVariationalAutoencoder, Transfer
from course_lib.models.signal_transformer import SignalSequenceTransformer, SignalTransformerConfig, SignalWeights
from course_lib.models.small_classifiers import (
    CLSPooling,
    LastStepClassifier,
    OrderClassifier,
    PooledClassifier,
    RingFinder,
    StepLabeller,
)
from course_lib.models.streaming_audio import RunningAttention, StreamingAudioCNN
from course_lib.models.template_bank import EventTemplateBank
from course_lib.models.template_detector import TemplateDetector, candidate_targets
from course_lib.models.template_learning import (
    augmentation_ranges,
    expectation_maximisation,
    fill_from_snippets,
    make_pursuit,
    noise_filter,
)
from course_lib.models.transformer_classifier import (
    DeeplySupervised,
    InTraining,
    TransformerClassifier,
    WaveformFeatures,
)

# fmt: off
__all__ = [
    "SignalAccumulativeMLP",
    "AttentiveCNN", "AudioCNN", "ChannelsLast", "LearnedFilterbank", "LogMelCNN", "LogMelFeatures", "PooledAudioCNN",
    "SmallKernelFeatures",
    "EventDetector", "EventMaps", "LSTMEventClassifier", "OwnLevel",
    "EventEnsemble", "MonteCarloDropout",
    "EventSpecificClassifier", "EventSpecificCNN", "EventSpecificTimingHeads",
    "ContrastiveLSTM", "LSTMAutoencoder", "LSTMVariationalAutoencoder", "Transfer",
    "SignalSequenceTransformer", "SignalTransformerConfig", "SignalWeights",
    "CLSPooling", "LastStepClassifier", "OrderClassifier", "PooledClassifier", "RingFinder", "StepLabeller",
    "RunningAttention", "StreamingAudioCNN",
    "EventTemplateBank",
    "TemplateDetector", "candidate_targets",
    "augmentation_ranges", "expectation_maximisation", "fill_from_snippets", "make_pursuit", "noise_filter",
    "DeeplySupervised", "InTraining", "TransformerClassifier", "WaveformFeatures",
]
# fmt: on
