"""Predict boxes: what a reader expects of an experiment, kept and then shown beside what came. Nothing is scored.

In a notebook::

    tone = predict("01", "crossings per sample of the tone", answer=None)  # the reader writes a number here, or goes on
    tone.came(rate)  # after the experiment: crossings per sample of the tone: came 0.02, predicted 0.1
    predict.recap()  # in the recap: a line a prediction
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from course_lib.course.exercises import progress
from course_lib.course.exercises.compare import shown

NOTHING = "–"


@dataclass
class Prediction:
    """One question of a notebook, with the reader's answer and what came, as text."""

    notebook: str  # "01"
    question: str
    predicted: str = NOTHING
    result: str = NOTHING

    def came(self, value: Any) -> None:
        """Print the result of the experiment, a number or words, beside the prediction."""
        self.result = _text(value)
        skipped = self.predicted == NOTHING
        print(f"{self.question}: came {self.result}" + ("" if skipped else f", predicted {self.predicted}"))
        if not skipped:
            self.keep()

    def keep(self) -> None:
        """Write the prediction into the reader's progress."""
        progress.record_prediction(self.notebook, self.question, predicted=self.predicted, came=self.result)


class _Predict:
    """`predict("01", question, options, answer=None)` asks; `predict.recap()` lists what was asked in this kernel."""

    def __init__(self) -> None:
        self._asked: dict[str, Prediction] = {}

    def __call__(
        self, notebook: str, question: str, options: Sequence[str] | None = None, *, answer: Any = None
    ) -> Prediction:
        """Keep the reader's answer, where there is one: a number, or one or a list of the options.

        An answer that is none of the options is said and not kept; the notebook goes on.
        """
        asked = self._asked[question] = Prediction(notebook, question)
        chosen = [answer] if isinstance(answer, str) else answer
        if (
            options is not None
            and answer is not None
            and not (isinstance(chosen, list) and set(chosen) <= set(options))
        ):
            print(f"answer: expected one of {list(options)} or several in a list, got {answer!r}")
        elif answer is not None:
            asked.predicted = _text(answer)
            asked.keep()
            print(f"{question}: predicted {asked.predicted}")
        return asked

    def recap(self) -> None:
        """Print a line a question: what was predicted, and what came."""
        rows = [("question", "predicted", "came")]
        rows += [(p.question, p.predicted, p.result) for p in self._asked.values()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)  # NumPy's strings too
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return shown(value)


predict = _Predict()
