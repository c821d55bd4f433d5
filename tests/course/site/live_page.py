"""What the tests of the page that hears you share: opening it, and a sound to hear."""

import io

import numpy as np
import soundfile
import soxr

from course_lib.data.soundscape import KINDS
from tests.course.site.chromium import DESK, watched

STATUS = "#live-sound-status"


def opened(browser, address, **options):
    page = watched(browser.new_page(**({"viewport": DESK} | options)), address)
    page.goto(address)
    page.wait_for_function(f"document.querySelector('{STATUS}').textContent.startsWith('Ready')", timeout=20_000)
    return page


def crow(rate: int, seconds: float = 3.0) -> np.ndarray:
    """A generated sound at `rate`; nothing above 3.5 kHz, so that all rates hold the same."""
    sound = KINDS[8](np.random.default_rng(0), np.random.default_rng(1), round(seconds * 44_100), 44_100)
    return soxr.resample(soxr.resample(0.3 * sound / np.abs(sound).max(), 44_100, 7000), 7000, rate)


def wav(sound: np.ndarray, rate: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()
