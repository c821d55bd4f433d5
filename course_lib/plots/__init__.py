"""Every figure the notebooks draw. Functions take plain arrays and an optional `ax`, and return the axes they drew on.

Call `plots.style()` once at the top of a notebook. No function calls `plt.show()`: Jupyter shows a figure at the end of
its cell, and a script saves `axes.figure`.
"""

from course_lib.plots.attention_map import attention_maps
from course_lib.plots.audio_features import audio_features, log_mel_statistics
from course_lib.plots.balance import class_balance
from course_lib.plots.block_borders import block_borders
from course_lib.plots.calibration import calibration_table, expected_calibration_error, reliability_diagram
from course_lib.plots.confusion import confusion_matrix
from course_lib.plots.course_map import course_map
from course_lib.plots.distribution import feature_distributions
from course_lib.plots.duration import durations, shape_table
from course_lib.plots.event_scores import event_heatmap, precision_recall_curves
from course_lib.plots.event_templates import visualize_learned_templates
from course_lib.plots.event_traces import event_traces
from course_lib.plots.frames import frame_layout
from course_lib.plots.gradient_flow import gradient_flow
from course_lib.plots.hygiene import hygiene_counts, hygiene_report
from course_lib.plots.influence_map import influence_map
from course_lib.plots.label_strips import label_strips
from course_lib.plots.learning import learning_curves
from course_lib.plots.live_events import live_events
from course_lib.plots.mistakes import Mistakes, confident_mistakes
from course_lib.plots.over_time import over_time
from course_lib.plots.per_class import per_class_scores, score_table
from course_lib.plots.plane import plane_arrows
from course_lib.plots.precision_recall import precision_recall
from course_lib.plots.recorded import error_bars
from course_lib.plots.roc import auc_table, roc_curves
from course_lib.plots.score_map import score_maps
from course_lib.plots.signal_weights import weights_over_signal
from course_lib.plots.spectrum import average_spectrum, spectrogram, spectrograms, spectrum_table
from course_lib.plots.style import colours, style
from course_lib.plots.waveform import waveform, waveforms

__all__ = [
    "Mistakes",
    "attention_maps",
    "auc_table",
    "audio_features",
    "average_spectrum",
    "block_borders",
    "calibration_table",
    "class_balance",
    "colours",
    "confident_mistakes",
    "confusion_matrix",
    "course_map",
    "durations",
    "error_bars",
    "event_heatmap",
    "event_traces",
    "expected_calibration_error",
    "feature_distributions",
    "frame_layout",
    "gradient_flow",
    "hygiene_counts",
    "hygiene_report",
    "influence_map",
    "label_strips",
    "learning_curves",
    "live_events",
    "log_mel_statistics",
    "over_time",
    "per_class_scores",
    "plane_arrows",
    "precision_recall",
    "precision_recall_curves",
    "reliability_diagram",
    "roc_curves",
    "score_maps",
    "score_table",
    "shape_table",
    "spectrogram",
    "spectrograms",
    "spectrum_table",
    "style",
    "visualize_learned_templates",
    "waveform",
    "waveforms",
    "weights_over_signal",
]
