"""Sounds of a notebook's outputs, short and compressed: a player in a page holds no WAV."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable

import numpy as np
import soundfile
import soxr

LONGEST = 6.0  # seconds; what is longer is faded out there
RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # what MP3 knows, in hertz
_PLAYER = re.compile(r"<audio\b.*?</audio>", re.DOTALL)
_WAV = re.compile(r"data:audio/(?:x-)?wav;base64,([A-Za-z0-9+/=\s]+)")


def compressed(wav: bytes, longest: float = LONGEST) -> tuple[bytes, float]:
    """A WAV file as a mono MP3, and its length in seconds. Raises ValueError for what is no sound file."""
    try:
        samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"wav: expected a sound file, got {len(wav)} bytes that are none") from error
    sound = samples.mean(axis=1)[: int(longest * rate)]  # (T,)
    if len(sound) < len(samples):
        fade = min(len(sound), rate // 10)
        sound[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    allowed = min((known for known in RATES if known >= rate), default=RATES[-1])
    if allowed != rate:
        sound = soxr.resample(sound, rate, allowed)
    file = io.BytesIO()
    soundfile.write(file, np.clip(sound, -1, 1), allowed, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.6)
    return file.getvalue(), len(sound) / allowed


def players(html: str, place: Callable[[bytes], str]) -> str:
    """`html` with the WAV of each player replaced by a compressed one; `place` keeps its bytes and says its address."""

    def player(match: re.Match) -> str:
        wav = _WAV.search(match.group())
        if wav is None:
            return match.group()
        mp3, seconds = compressed(base64.b64decode(wav[1]))
        label = f"sound, {seconds:.1f} s"
        return f'<audio controls preload="none" aria-label="{label}" src="{place(mp3)}"></audio>'

    return _PLAYER.sub(player, html)


def as_data(mp3: bytes) -> str:
    """The bytes of an MP3 as an address that holds them."""
    return "data:audio/mpeg;base64," + base64.b64encode(mp3).decode()
