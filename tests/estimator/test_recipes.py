"""README's recipes for one's own signals: each runs as it stands, on small generated files, in at most ten lines."""

import re
import textwrap

import numpy as np
import pandas as pd
import pytest
import soundfile

from course_lib.paths import PROJECT_ROOT

README = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Use it on your own signals")[2].partition("\n## ")[0]
BLOCKS = [
    textwrap.dedent(block) for block in re.findall(r"(?:^(?: {4}.*)?\n)+", SECTION, re.MULTILINE) if block.strip()
]
SOUND, MACHINE, EVENTS = BLOCKS


def statements(recipe: str) -> list[str]:
    """Lines but imports."""
    return [line for line in recipe.splitlines() if line and not line.startswith(("import", "from", " "))]


@pytest.mark.parametrize("recipe", BLOCKS)
def test_a_recipe_has_ten_lines_at_most(recipe):
    assert len(statements(recipe)) <= 10


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    return tmp_path


def write_table(path, data, rate):
    pd.DataFrame({"time": np.arange(len(data)) / rate, "x": data[:, 0], "y": data[:, 1]}).to_csv(path, index=False)


def run(recipe: str) -> dict:
    found: dict = {}
    exec(compile(recipe, "README.md", "exec"), found)
    return found


@pytest.mark.slow
def test_sound(folder, capsys):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(36):
        clock = np.arange(8000) / 8000
        pitch = (300, 700)[i % 2] * rng.uniform(0.95, 1.05)
        sound = rng.uniform(0.1, 0.5) * np.sin(2 * np.pi * pitch * clock) + 0.01 * rng.standard_normal(8000)
        soundfile.write(folder / f"{i}.wav", sound, 8000)
        rows.append({"file": f"{i}.wav", "label": ("low", "high")[i % 2], "speaker": f"s{i // 6}"})
    soundfile.write(folder / "new.wav", 0.3 * np.sin(2 * np.pi * 310 * np.arange(8000) / 8000), 8000)
    pd.DataFrame([*rows, {"file": "gone.wav", "label": "low", "speaker": "s0"}]).to_csv("labels.csv", index=False)
    run(SOUND)
    printed = capsys.readouterr().out
    assert "36 clips of 1 s at 8,000 Hz" in printed and "gone.wav: unreadable" in printed
    assert re.search(r"new.wav\s+low", printed)
    scores = re.search(r"^\[(.*)\]$", printed, re.MULTILINE)
    assert min(map(float, scores[1].split())) > 0.9


def test_machine(folder):
    rng = np.random.default_rng(0)
    clock = np.arange(100 * 200) / 200
    data = np.sin(2 * np.pi * 11 * clock)[:, None] * [1, 0.3] + 0.2 * rng.standard_normal((len(clock), 2))
    write_table("normal.csv", data, 200)
    data[clock >= 60] += 0.5 * np.sin(2 * np.pi * 70 * clock[clock >= 60])[:, None]
    write_table("today.csv", data, 200)
    found = run(MACHINE)
    wrong = found["detector"].predict(found["windows"]) == -1
    assert wrong[60:].all() and wrong[:60].mean() < 0.2 and found["table"].sample_rate == pytest.approx(200)


@pytest.mark.slow
def test_events(folder, capsys):
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.5, 0.9, 110))
    times = times[times < 59.5]
    kinds = rng.choice(["knock", "hum"], len(times))
    clock = np.arange(60 * 100) / 100
    widths = np.where(kinds == "knock", 0.02, 0.08)
    bumps = np.exp(-(((clock[:, None] - times) / widths) ** 2)).sum(axis=1)
    write_table("recording.csv", np.stack([bumps, -bumps], 1) + 0.05 * rng.standard_normal((6000, 2)), 100)
    pd.DataFrame({"time": times, "type": kinds}).to_csv("events.csv", index=False)
    found = run(EVENTS)
    assert found["model"].score([found["recording"].part(40, 60)]) > 0.9
    assert re.search(r"(1\.0|0\.9\d*) s; \[Event\(type=", capsys.readouterr().out)
