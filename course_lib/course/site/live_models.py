"""The models of the page that hears you, from their trained weights: ONNX files, each with a JSON file beside it.

`python -m course_lib.course.site.live_models` writes all four anew into `static/live/models`, where the weights lie:
`audio.safetensors` from the recorded run `streaming_audio`, `detector.safetensors` from `live_detector`.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import onnxruntime

from course_lib.course.experiments import live_detector, streaming_audio
from course_lib.export import export
from course_lib.export.runtime import Metadata, unpack
from course_lib.files import replacing

MODELS = Path(__file__).with_name("static") / "live" / "models"
ESC10 = "ESC-10: K. J. Piczak, 2015, doi 10.1145/2733373.2806390; recordings from freesound.org, CC BY 3.0."


def write_audio(weights: Path, folder: Path) -> Metadata:
    """audio.onnx and audio.json into `folder`; returns what the first says of itself."""
    model, classes, trained_on = streaming_audio.kept(weights)
    file = folder / "audio.onnx"
    about = export(model, file, streaming=True, sample_rate=model.sample_rate, classes=classes, parts=model.parts)
    columns, bands = model.parts["log_mel"]
    _write(
        folder / "audio.json",
        {
            "sample_rate": model.sample_rate,
            "block": about.block,
            "classes": classes,
            "frames_per_second": columns * model.sample_rate / about.block,
            "bands": bands,
            "trained_on": f"Trained on four fifths of {trained_on}; the fifth fold was held out.",
            "attribution": ESC10 if trained_on == "ESC-10" else "",
            "state": _state(file, about),
        },
    )
    return about


def write_detector(weights: Path, folder: Path) -> Metadata:
    """detector.onnx and detector.json into `folder`; returns what the first says of itself."""
    model, about = live_detector.kept(weights)
    statistics = (np.array(about["mean"]), np.array(about["std"]))
    threshold, rate = about["threshold"], about["sample_rate"]
    settings = {"statistics": statistics, "threshold": threshold, "sample_rate": rate}
    said = export(model, folder / "detector.onnx", tolerance=1e-3, **settings)  # 1.5e-4 on the check's extreme inputs
    words = {"channels": said.channels[0], "sample_rate": rate, "window": 4000, "margin": 300}
    words |= {name: getattr(said, name) for name in ("events", "resolution", "refractory", "threshold")}
    _write(folder / "detector.json", words)
    return said


def _state(file: Path, about: Metadata) -> list[dict]:
    """Name, type, shape and first values (none where all are 0) of each part of a stream's state."""
    names = [value.name for value in onnxruntime.InferenceSession(file).get_inputs()][2:]
    parts = []
    for name, values in zip(names, unpack(about.state), strict=True):
        part = {"name": name, "type": str(values.dtype), "shape": values.shape}
        parts.append(part | ({"values": base64.b64encode(values.tobytes()).decode()} if values.any() else {}))
    return parts


def _write(path: Path, words: dict) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(words, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_audio(MODELS / "audio.safetensors", MODELS)
    write_detector(MODELS / "detector.safetensors", MODELS)
