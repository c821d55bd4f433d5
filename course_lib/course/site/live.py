"""The page that hears you: scripts that lie in `static/live`, and what is made or fetched to stand beside them.

The scripts run ONNX files in the visitor's browser. Beside them stand onnxruntime-web (from npm, checked against its
sum), the models with what they say of themselves, the generator's types of events, and a generated sound of each kind.
"""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import soundfile

from course_lib.course.site import sounds, vendor
from course_lib.data.soundscape import KINDS, RATE
from course_lib.data.synthetic_events import REFRACTORY_PERIOD, SAMPLE_RATE, TEMPLATE_LENGTH, event_templates
from course_lib.files import replacing

SCRIPTS = Path(__file__).with_name("static") / "live"
MODELS = SCRIPTS / "models"  # audio and detector: .onnx, and .json beside each
SECONDS = 5.0  # of a generated sound
STARTS = ("body.html", "alone.html")  # what pages are made of; not served


def alone(folder: Path, models: Path = MODELS) -> Path:
    """The page and all that it needs in `folder`, ready to be served; returns the folder.

    Raises VendorError where onnxruntime-web cannot be had, FileNotFoundError where a model is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in SCRIPTS.iterdir():
        if path.is_file() and path.name not in STARTS:
            shutil.copy2(path, folder / path.name)
    shutil.copy2(SCRIPTS.parent / "icon.svg", folder / "icon.svg")
    body, shell = ((SCRIPTS / name).read_text(encoding="utf-8") for name in STARTS)
    (folder / "index.html").write_text(shell.replace("<!-- body -->", body), encoding="utf-8")
    beside(folder, models)
    return folder


def beside(folder: Path, models: Path = MODELS) -> None:
    """What stands beside the scripts, into `folder`: the runtime, the models, the generated sounds.

    Raises VendorError where onnxruntime-web cannot be had, FileNotFoundError where a model is missing.
    """
    about = json.loads((models / "audio.json").read_text(encoding="utf-8"))
    for path in vendor.vendored(vendor.ONNXRUNTIME).iterdir():
        _place(path, folder / path.name)
    for name in ("audio.onnx", "detector.onnx", "detector.json"):
        _place(models / name, folder / "models" / name)
    about["generated"] = generated_sounds(folder / "sounds")
    (folder / "models" / "audio.json").write_text(json.dumps(about), encoding="utf-8")
    (folder / "models" / "events.json").write_text(json.dumps(events()), encoding="utf-8")


def in_the_book() -> str:
    """The book's page, in Markdown."""
    body = (SCRIPTS / "body.html").read_text(encoding="utf-8")
    head = '<link rel="stylesheet" href="_static/live/live.css">'
    script = '<script type="module" src="_static/live/live.js"></script>'
    return f"# The page that hears you\n\n```{{raw}} html\n{head}\n{body}{script}\n```\n"


def events() -> dict:
    """The generator's types of events, as the page's own generator takes them."""
    templates = event_templates()
    arrays = {name: getattr(templates, name) for name in ("frequencies", "decays", "gains", "phases", "skews")}
    sizes = {"rate": SAMPLE_RATE, "length": TEMPLATE_LENGTH, "refractory": REFRACTORY_PERIOD}
    return {name: np.round(values, 7).tolist() for name, values in arrays.items()} | sizes


def generated_sounds(folder: Path) -> list[str]:
    """One MP3 of each kind of the generated soundscape, without its rooms and noise; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, kind in enumerate(KINDS):
        target = folder / f"{kind.__name__}.mp3"
        if target.exists():
            continue
        source, clip = (np.random.default_rng([part, number]) for part in (1, 2))
        sound = kind(source, clip, round(SECONDS * RATE), RATE)
        wav = io.BytesIO()
        soundfile.write(wav, 0.5 * sound / np.abs(sound).max(), RATE, format="WAV")
        with replacing(target) as temporary:
            temporary.write_bytes(sounds.compressed(wav.getvalue())[0])
    return [kind.__name__ for kind in KINDS]


def _place(source: Path, target: Path) -> None:
    """A copy, unless one of the same size and age is there: the runtime has 14 MB."""
    now = source.stat()
    if not target.exists() or (target.stat().st_size, int(target.stat().st_mtime)) != (now.st_size, int(now.st_mtime)):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
