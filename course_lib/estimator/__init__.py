"""The models behind scikit-learn's interface: `fit`, `predict`, `score`; one file for each kind of input."""

from course_lib.estimator.anomalies import AnomalyDetector
from course_lib.estimator.audio import AudioClassifier
from course_lib.estimator.event_stream import Event
from course_lib.estimator.events import EventClassifier
from course_lib.estimator.groups import by_recording
from course_lib.estimator.signals import SignalClassifier

__all__ = ["AnomalyDetector", "AudioClassifier", "Event", "EventClassifier", "SignalClassifier", "by_recording"]
