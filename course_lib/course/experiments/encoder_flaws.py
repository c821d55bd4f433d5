"""Four flaws of a small transformer and all sixteen mixtures of their repairs, on fold 5 of ESC-10.

The flaws: two softmaxes, waveforms at whatever level they come, a constant rate of 3e-3 without warm-up and clipping,
and post-norm. The network is the one that notebook 07 builds: three convolutions of kernel 3, then six blocks of 48
channels and 3 heads. To be quick it hears the loudest 1,024 samples of each clip at 3,200 Hz (0.32 s, eight tokens) and
trains for eight epochs on folds 1 to 4, three seeds a mixture. Scored is the last epoch on fold 5. Three CPU minutes.
"""

from itertools import combinations
from typing import Any

from course_lib.course.experiments.audio_cnn import whole_clip
from course_lib.course.experiments.audio_cnn_ladder import loudest_part
from course_lib.course.experiments.encoder_repairs import Setting, prepared, trained
from course_lib.course.experiments.runner import Experiment, by_seed
from course_lib.data import AudioData, load_esc10

SAMPLES, EPOCHS = 1024, 8
REPAIRS: dict[str, dict[str, Any]] = {
    "one softmax": {"softmax_twice": False},
    "scaled": {"scaled": True},
    "warm-up, cosine, clipping": {"scheduled": True},
    "pre-norm": {"norm": "pre"},
}
MIXTURES = {  # every subset of the repairs, from none to all: its name → what `Setting` is given
    " + ".join(names) or "none": {key: value for name in names for key, value in REPAIRS[name].items()}
    for count in range(len(REPAIRS) + 1)
    for names in combinations(REPAIRS, count)
}


def measure(seed: int, data: AudioData, **repairs: Any) -> dict[str, float]:
    setting = Setting(**repairs, epochs=EPOCHS)
    x = prepared(loudest_part(whole_clip(data), SAMPLES), setting)  # (400, 1, 1024)
    _, history, scores = trained(x, data, setting, seed)
    return scores | {"training loss": history.table["train_loss"].iloc[-1]}


EXPERIMENT = Experiment(
    measure,
    settings=MIXTURES,
    label="{setting} | {what}",
    details=by_seed,
    source="ESC-10",
    load=load_esc10,
    cheapest="none",
)
