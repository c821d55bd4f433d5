"""Training: one loop, cross-validation, checkpoints, tracking, comparison. No model or data set by name."""

from course_lib.training.checkpoint import CheckpointError, load_weights
from course_lib.training.compare import Comparison, Comparisons, compare
from course_lib.training.cross_validation import CrossValidation, cross_validate
from course_lib.training.device import device_label, resolve_device
from course_lib.training.fit import ContrastiveTrainer, SupervisedTrainer, UnsupervisedTrainer, fit, predict
from course_lib.training.history import History
from course_lib.training.optimization import adamw, cosine_with_warmup, learning_rate_range, moving_average
from course_lib.training.steps import accuracy, truncated_step
from course_lib.training.tracking import TensorBoardTracker, Tracker, WandbTracker

__all__ = [
    "CheckpointError",
    "Comparison",
    "Comparisons",
    "ContrastiveTrainer",
    "CrossValidation",
    "History",
    "SupervisedTrainer",
    "TensorBoardTracker",
    "Tracker",
    "UnsupervisedTrainer",
    "WandbTracker",
    "accuracy",
    "adamw",
    "compare",
    "cosine_with_warmup",
    "cross_validate",
    "device_label",
    "fit",
    "learning_rate_range",
    "load_weights",
    "moving_average",
    "predict",
    "resolve_device",
    "truncated_step",
]
