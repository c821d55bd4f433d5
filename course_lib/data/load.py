"""The data a notebook runs on: real recordings where they are found, generated ones elsewhere."""

from course_lib.data.audio import AudioData
from course_lib.data.esc10 import find_esc10, load_esc10
from course_lib.data.synthetic import RATE, synthetic_soundscape


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
