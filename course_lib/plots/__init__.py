"""Every figure the notebooks draw. Functions take plain arrays and an optional `ax`, and return the axes they drew on.

Arrays may be NumPy's, lists or tensors of any type and device. Names are drawn as they are written: `$` and `_` in the
name of a class have no meaning. Call `plots.style()` once at the top of a notebook. No function calls `plt.show()`:
Jupyter shows a figure at the end of its cell, and a script saves `axes.figure`.
"""

from course_lib.plots.alt_text import describe
from course_lib.plots.attention_maps import (
    attention_maps,
    gradient_flow,
    influence_map,
    plane_arrows,
    score_maps,
    weights_over_signal,
)
from course_lib.plots.event_traces import event_heatmap, event_traces, live_events, visualize_learned_templates
from course_lib.plots.exploration import (
    audio_features,
    class_balance,
    durations,
    feature_distributions,
    hygiene_counts,
    hygiene_report,
    log_mel_statistics,
    shape_table,
)
from course_lib.plots.measurements import error_bars, learning_curves
from course_lib.plots.mistakes import (
    Mistakes,
    calibration_table,
    confident_mistakes,
    confusion_matrix,
    expected_calibration_error,
    per_class_scores,
    reliability_diagram,
    score_table,
)
from course_lib.plots.over_time import film, label_strips, over_time, timeline
from course_lib.plots.roc_precision_recall import auc_table, precision_recall, roc_curves
from course_lib.plots.spectrograms import average_spectrum, spectrogram, spectrograms, spectrum_table
from course_lib.plots.style import colours, style
from course_lib.plots.waveforms import block_borders, frame_layout, waveform, waveforms

# fmt: off
__all__ = [
    "describe",
    "attention_maps", "gradient_flow", "influence_map", "plane_arrows", "score_maps", "weights_over_signal",
    "event_heatmap", "event_traces", "live_events", "visualize_learned_templates",
    "audio_features", "class_balance", "durations", "feature_distributions", "hygiene_counts", "hygiene_report",
    "log_mel_statistics", "shape_table",
    "error_bars", "learning_curves",
    "Mistakes", "calibration_table", "confident_mistakes", "confusion_matrix", "expected_calibration_error",
    "per_class_scores", "reliability_diagram", "score_table",
    "film", "label_strips", "over_time", "timeline",
    "auc_table", "precision_recall", "roc_curves",
    "average_spectrum", "spectrogram", "spectrograms", "spectrum_table",
    "colours", "style",
    "block_borders", "frame_layout", "waveform", "waveforms",
]
# fmt: on
