"""The data sets the course knows: what they are, whether they are here, how to get them, and one to run on."""

from dataclasses import dataclass
from pathlib import Path

from course_lib.data.audio_data import AudioData, Problem
from course_lib.data.download import check_members, fetch_esc10, read_manifest
from course_lib.data.esc10 import HOW_TO_GET, find_esc10, load_esc10, verify_esc10
from course_lib.data.real_events import ECG_MANIFEST, GAIT_MANIFEST, fetch_ecg, find_ecg, find_gait
from course_lib.data.soundscape import RATE, synthetic_soundscape

AEON_SETS = (
    "ACSF1",
    "ArrowHead",
    "BasicMotions",
    "GunPoint",
    "ItalyPowerDemand",
    "JapaneseVowels",
    "OSULeaf",
    "PickupGestureWiimoteZ",
)


@dataclass(frozen=True)
class DatasetInfo:
    """One line of the catalogue.  where: a folder, or how it comes; empty where it is not here."""

    name: str
    description: str
    licence: str
    where: str
    how_to_get: str

    @property
    def status(self) -> str:
        """Either "ready" or "absent"."""
        return "ready" if self.where else "absent"


def load_audio(sample_rate: int = RATE, duration: float = 5.0, verbose: bool = True) -> AudioData:
    """ESC-10 where it is on disk ($COURSE_DATA or `data/`), otherwise the synthetic soundscape of the same shape.

    verbose: print one line that says which of the two this is and how to get the other.
    Raises DataError where ESC-10 is there but damaged: silently taking other data would mislead.
    """
    if find_esc10() is None:
        data = synthetic_soundscape(sample_rate=sample_rate, duration=duration, progress=verbose)
        other = "for the real recordings: python -m course_lib data fetch esc10"
    else:
        data = load_esc10(sample_rate=sample_rate, duration=duration, progress=verbose)
        other = "for generated sound: course_lib.data.synthetic_soundscape()"
    if verbose:
        kind = "real recordings" if data.name == "ESC-10" else "generated, not recorded"
        print(f"{data.describe()} ({kind}; {other})")
    return data


def list_datasets() -> list[DatasetInfo]:
    """Every set of data/README.md, with its state on this machine.  Looks at names only, so it is quick."""
    esc10, aeon, gait, ecg = find_esc10(), find_aeon(), find_gait(), find_ecg()
    return [
        DatasetInfo(
            "esc10",
            "400 recordings of 5 s, 10 classes, 5 folds",
            "CC BY 3.0, K. J. Piczak 2015",
            f"{esc10[0]} (layout of {esc10[1]})" if esc10 else "",
            HOW_TO_GET,
        ),
        DatasetInfo(
            "synthetic",
            "generated sound in ESC-10's shape",
            "MIT, part of this course",
            "generated from a seed",
            "comes with the course",
        ),
        DatasetInfo(
            "aeon",
            f"real time series: {', '.join(AEON_SETS)}",
            "see data/README.md",
            str(aeon or ""),
            "pip install aeon (in requirements.txt)",
        ),
        DatasetInfo(
            "gait",
            "two feet, 6-axis inertial sensors at 204.8 Hz, 57 strides with events",
            "MIT, gaitmap authors",
            str(gait or ""),
            "put the example data of github.com/mad-lab-fau/gaitmap into gait/ under data/ or COURSE_DATA",
        ),
        DatasetInfo(
            "ecg",
            "30 minutes of a two-lead ECG at 360 Hz, 2,273 beats marked (MIT-BIH record 100)",
            "ODC-By 1.0, Moody and Mark 2001",
            str(ecg or ""),
            "python -m course_lib data fetch ecg (2 MB)",
        ),
    ]


def find_aeon() -> Path | None:
    """The folder of series inside the installed aeon package; found without importing it, which takes seconds."""
    from importlib.util import find_spec

    spec = find_spec("aeon")
    folder = Path(spec.origin).parent / "datasets" / "data" if spec and spec.origin else None
    return folder if folder and folder.is_dir() else None


def fetch(name: str) -> Path:
    """Download a set and return its folder.  ValueError, with what to do instead, where it is not fetched this way."""
    info = _info(name)
    if name == "ecg":
        return find_ecg() or fetch_ecg()
    if name != "esc10":
        raise ValueError(f"{name}: nothing to fetch: {info.how_to_get}")
    found = find_esc10()
    return found[0] if found else fetch_esc10()


def verify(name: str) -> list[Problem]:
    """What is wrong with a set on disk, file by file; empty where it is well.  FileNotFoundError where absent."""
    info = _info(name)
    if info.status == "absent":
        raise FileNotFoundError(f"{name} was not found: {info.how_to_get}")
    if name == "esc10":
        return verify_esc10()
    if name == "gait":
        return check_members(Path(info.where), read_manifest(GAIT_MANIFEST))
    if name == "ecg":
        return check_members(Path(info.where), read_manifest(ECG_MANIFEST))
    if name == "aeon":
        return [Problem(file, "missing") for file in AEON_SETS if not (Path(info.where) / file).is_dir()]
    return []


def _info(name: str) -> DatasetInfo:
    known = {info.name: info for info in list_datasets()}
    if name not in known:
        raise ValueError(f"name: expected one of {', '.join(known)}, got {name!r}")
    return known[name]
