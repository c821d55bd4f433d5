"""The course's notebooks, part by part: the one list behind the map, README and `start`."""

from typing import NamedTuple


class Part(NamedTuple):
    """`title`; `notebooks`: pairs (number, topic); `system`: what is working at the end of it."""

    title: str
    notebooks: tuple[tuple[str, str], ...]
    system: str


SYLLABUS = (
    Part("Begin", (("00", "start here"),), ""),
    Part("Look at the signal", (("01", "exploring audio"), ("02", "a CNN baseline")), "audio classifier"),
    Part(
        "A transformer, piece by piece",
        (
            ("03", "attention"),
            ("04", "positional encodings"),
            ("05", "rotary embeddings"),
            ("06", "normalisation and SwiGLU"),
            ("07", "encoder and CLS token"),
            ("08", "multi-scale CNN"),
            ("09", "pooling"),
            ("10", "focal loss"),
            ("11", "the training recipe"),
            ("12", "the signal transformer"),
        ),
        "signal-to-sequence transformer",
    ),
    Part(
        "Streams",
        (
            ("13", "sequence layers"),
            ("14", "recurrent layers"),
            ("15", "accumulators"),
            ("16", "streaming convolution and pooling"),
            ("17", "streaming attention"),
            ("18", "streaming spectra"),
        ),
        "sequence layers; signal-accumulative MLP",
    ),
    Part(
        "Events in time",
        (
            ("19", "event timing"),
            ("20", "autoencoders"),
            ("21", "contrastive learning"),
            ("22", "event templates"),
            ("23", "the event-specific classifier"),
        ),
        "event classifier",
    ),
    Part("Beyond one laptop", (("24", "speed"), ("25", "compression"), ("26", "scaling out")), ""),
    Part("Your own signals", (("27", "your own recordings"), ("28", "your own events")), "a report and a saved model"),
)
