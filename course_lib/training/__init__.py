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

# fmt: off
__all__ = [
    "CheckpointError", "load_weights",
    "Comparison", "Comparisons", "compare",
    "CrossValidation", "cross_validate",
    "device_label", "resolve_device",
    "ContrastiveTrainer", "SupervisedTrainer", "UnsupervisedTrainer", "fit", "predict",
    "History",
    "adamw", "cosine_with_warmup", "learning_rate_range", "moving_average",
    "accuracy", "truncated_step",
    "TensorBoardTracker", "Tracker", "WandbTracker",
]
# fmt: on
