"""The models behind scikit-learn's interface: `fit`, `predict`, `score`; one file for each kind of input."""

from course_lib.estimator.signals import SignalClassifier

__all__ = ["SignalClassifier"]
