"""Three bursts in one of six orders without an encoder: what a token sees against how far the bursts are apart.

Fields of 151 and 375 samples (dilations of 1 and 2, and of 1, 2 and 4), silence of 40 to 70 samples between bursts in
signals of 448, and of 156 to 166 in signals of 832. All else is that of "without encoder" in `burst_order`, which has
the field of 39 samples, and that of 375 with silence of 420 to 480. About a CPU minute a seed.
"""

from course_lib.course.experiments.burst_order import BARE, TEST_SEED, TESTED, Task, accuracy, signals_of, trained
from course_lib.course.experiments.runner import Experiment, by_seed, grid

FIELDS = {151: (1, 2), 375: (1, 2, 4)}  # samples -> dilations
SILENCES = {"40 to 70": (448, (40, 70), 40), "156 to 166": (832, (156, 166), 152)}  # -> length, gap, margin


def measure(seed: int, field: int, silence: str, signals: int) -> dict[str, float]:
    task = Task(*SILENCES[silence], FIELDS[field])
    network, _ = trained(task, BARE, signals_of(task, signals, seed), seed)
    return {"accuracy": accuracy(network, signals_of(task, TESTED, TEST_SEED))}


EXPERIMENT = Experiment(
    measure,
    settings=grid("field {field}, silence {silence}", silence=SILENCES, field=FIELDS),
    options={"signals": (4_000, "signals to learn from")},
    details=by_seed,
    cheapest="field 151, silence 40 to 70",
    threads=1,
)
