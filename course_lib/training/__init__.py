"""Training: one loop, cross-validation, checkpoints and tracking. No model or data set by name."""

from course_lib.training.checkpoint import CheckpointError, load_weights
from course_lib.training.compare import Comparison, Comparisons, compare
from course_lib.training.cross_validation import CrossValidation, cross_validate
from course_lib.training.device import device_label, resolve_device
from course_lib.training.fit import fit
from course_lib.training.history import History
from course_lib.training.optimizers import adamw
from course_lib.training.predict import predict
from course_lib.training.range_test import learning_rate_range
from course_lib.training.schedules import cosine_with_warmup
from course_lib.training.steps import accuracy
from course_lib.training.tracking import TensorBoardTracker, Tracker, WandbTracker
from course_lib.training.trainers import ContrastiveTrainer, SupervisedTrainer, UnsupervisedTrainer
from course_lib.training.truncated import truncated_step

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
    "predict",
    "resolve_device",
    "truncated_step",
]
