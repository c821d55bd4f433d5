"""A fitted estimator as one file: weights, classes, normalisation and settings, with nothing in it that could run.

The file is a checkpoint of `course_lib.training`: safetensors, with JSON in its header and a checksum over both. Beside
the estimator's own state stand its kind, the format's number and the version of the course that wrote it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from course_lib import __version__
from course_lib.training import checkpoint

FORMAT = 1  # goes up when a file can no longer be read by the code before


class Saved:
    """`save` and `load` for an estimator that gives what it is made of as `_state` and takes it by `_from_state`."""

    def save(self, path: Path | str) -> None:
        """Write the fitted estimator to `path` (safetensors), replacing it whole or not at all."""
        check_is_fitted(self)
        header = {"estimator": type(self).__name__, "format": FORMAT, "version": __version__}
        checkpoint.save(path, header | {"state": self._state()})

    @classmethod
    def load(cls, path: Path | str, **options: Any) -> Self:
        """The estimator that `save` wrote; on the same machine it predicts the same to the last bit.

        options: of the class, in place of what was saved, such as device="cpu".
        Raises FileNotFoundError, or ValueError saying what is wrong: a file that is cut short, changed, of another
        estimator, of a newer format, or no saved estimator.
        """
        try:
            tree = checkpoint.load(path)
        except checkpoint.CheckpointError as error:
            raise ValueError(f"path: {path} is damaged, cut short or no saved estimator ({error})") from error
        kind, number, version = (tree.get(name) for name in ("estimator", "format", "version"))
        if not isinstance(number, int) or not isinstance(kind, str):
            raise ValueError(f"path: expected a saved {cls.__name__}, got {path}, which holds {sorted(tree)}")
        if number > FORMAT:
            raise ValueError(
                f"path: {path} was written by course_lib {version} in format {number}; this is {__version__} and reads "
                f"formats up to {FORMAT}: update course_lib"
            )
        if kind != cls.__name__:
            raise ValueError(f"path: expected a saved {cls.__name__}, got a saved {kind} in {path}: use {kind}.load")
        try:
            return cls._from_state(tree["state"], **options)
        except (KeyError, AttributeError) as error:
            raise ValueError(f"path: {path} is not what {cls.__name__}.save writes ({error!r})") from error

    def _state(self) -> dict[str, Any]:
        raise NotImplementedError

    @classmethod
    def _from_state(cls, state: dict[str, Any], **options: Any) -> Self:
        raise NotImplementedError


def settings_of(estimator: Any, *not_these: str) -> dict[str, Any]:
    """The parameters of an estimator that a file can hold; a NumPy generator as random_state is left out."""
    settings = {name: value for name, value in estimator.get_params(deep=False).items() if name not in not_these}
    if isinstance(settings.get("random_state"), np.random.RandomState):
        settings["random_state"] = None
    return settings


def classes_to_list(classes: np.ndarray) -> dict[str, Any]:
    """Class names as a file can hold them.  Raises TypeError for what is neither text, number nor truth value."""
    values = classes.tolist()
    if not all(isinstance(value, str | int | float) for value in values):  # bool is an int
        raise TypeError(f"classes_: expected text, numbers or truth values, got {type(values[0]).__name__}")
    return {"values": values, "dtype": classes.dtype.str}


def classes_from_list(found: dict[str, Any]) -> np.ndarray:
    return np.array(found["values"], dtype=np.dtype(found["dtype"]))
