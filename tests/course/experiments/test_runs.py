"""Every recorded run, to its end on small data: it makes the rows that its table in figures/results has."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.course.experiments import _event_runs, _label_tasks, _speed
from course_lib.data import GaitRecording, make_beat_train
from tests.course.experiments.recorded import RECORDED, module_of

ONE_STEP = ["accumulator_comparison --updates", "longer_than_trained --steps", "look_ahead --steps"]
ONE_STEP += ["multi_scale --steps", "positions --steps", "recurrent_memory --steps", "recall_distance --steps"]


def fewer(monkeypatch, module, *names, most=8):
    """Functions of the module whose first argument says how many: `most` at most."""
    for name in names:
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda count, *a, real=real, **k: real(min(count, most), *a, **k))


def walk(seed: int) -> GaitRecording:
    """Steps that are easy to see: a bump at each initial contact on one axis, at each terminal contact on another."""
    data = np.random.default_rng(seed).normal(scale=0.1, size=(6000, 6)).astype(np.float32)
    events = [(kind, first) for kind, start in ((0, 100), (1, 200)) for first in range(start, 5900, 220)]
    for kind, time in events:
        data[time : time + 12, kind] += 5
    return GaitRecording(data, sorted(events, key=lambda event: event[1]), "left")


@pytest.mark.parametrize("line", ONE_STEP)
def test_runs_on_generated_data(line, record):
    name, option = line.split()
    before = torch.get_rng_state()
    table = record(module_of(name), "--seeds", "0", option, "1")
    assert set(table.index) == RECORDED[name]
    assert torch.equal(before, torch.get_rng_state())
    assert table.code.notna().all() and table.data.notna().all() and table.command.str.endswith(f"{option} 1").all()


def test_accumulator_search(record, monkeypatch):
    search = module_of("accumulator_search")
    monkeypatch.setattr(search, "score", lambda settings, seed=0: math.log(settings["width"]) * settings["decay"])
    table = record(search)
    assert set(table.index) == RECORDED["accumulator_search"]
    assert table.loc["grid: best of 30", "value"] == pytest.approx(math.log(64) * 0.99, abs=1e-4)
    best = [table.loc[f"bayes: best of {n}", "value"] for n in (10, 20, 30)]
    assert best == sorted(best) and table.loc["bayes: best width", "value"] > 32


def test_norms_and_gates(record, monkeypatch, tmp_path):
    run = module_of("norms_and_gates")
    monkeypatch.setattr(run, "STEPS", {"blocks": 1, "gate": 1})
    settings = {name: setting for name, setting in run.EXPERIMENT.settings.items() if "16 blocks" not in name}
    table = record(run, "--seeds", "0", "1", settings=settings)
    assert set(table.index) == {row for row in RECORDED["norms_and_gates"] if "16 blocks" not in row}
    seeds = pd.read_csv(tmp_path / "results" / "detail" / "norms_and_gates_seeds.csv")
    assert set(seeds["setting"]) == set(settings) and len(seeds) == 2 * len(settings)


def test_signal_transformer_synthetic(record, monkeypatch):
    run = module_of("signal_transformer_synthetic")
    monkeypatch.setattr(run, "PER_CLASS", 4)
    monkeypatch.setattr(run, "LENGTH", 128)
    before = torch.get_rng_state()
    names = ("log*", "all pieces", "cross-entropy*", "no encoder")
    table = record(run, "--seeds", "0", "--epochs", "1", "--only", *names)
    assert torch.equal(before, torch.get_rng_state())
    assert {name for name in table.index if "epoch" not in name} < RECORDED[run.EXPERIMENT.table] and len(table) == 7
    assert table.loc["accuracy after epoch 1 (2 steps)", "value"] == table.loc["accuracy: all pieces", "value"]


def test_signal_transformer_speed(record, monkeypatch):
    run = module_of("signal_transformer_speed")
    monkeypatch.setattr(run, "compare_steps", partial(run.compare_steps, batch=1, rounds=2))
    work = {"training, batch 32, bfloat16": {"batch": 2, "dtype": "bfloat16", "mode": "training"}}
    settings = {name: run.EXPERIMENT.settings[name] for name in ("steps", "parameters")} | work
    monkeypatch.setattr(run, "in_process", run.work_of)  # a process of its own costs seconds
    table = record(run, "--budget", "0.01", "--threads", "1", settings=settings)
    assert set(table.index) <= RECORDED["signal_transformer_speed"] and len(table) == 7
    sizes = table.loc[["parameters, course's blocks", "parameters, PyTorch's blocks"], "value"]
    assert sizes.max() / sizes.min() < 1.001 and (table["value"] > 0).all()


def test_training_speed(record, monkeypatch):
    run = module_of("training_speed")
    monkeypatch.setattr(_speed, "LENGTH", 64)
    monkeypatch.setattr(run, "BATCH", 2)
    small = {"channels": (4, 8), "strides": (2, 2), "model_dim": 16, "num_layers": 1, "num_heads": 2}
    monkeypatch.setattr(run, "SignalTransformerConfig", partial(run.SignalTransformerConfig, **small))
    monkeypatch.setattr(torch, "compile", lambda model: model)  # compiling costs half a minute
    table = record(run, "--rounds", "2")
    assert RECORDED["training_speed"] <= set(table.index) and len(table) == len(run.SETTINGS) + 3
    assert (table["value"] >= 0).all() and table["std"].notna().sum() == len(run.SETTINGS)


def test_scaling_curve(record, monkeypatch):
    run = module_of("scaling_curve")
    monkeypatch.setattr(run, "TESTED", 3)
    small = {name: setting for name, setting in run.SETTINGS.items() if setting["signals"] * setting["width"] < 30_000}
    before = torch.get_rng_state()
    table = record(run, "--steps", "4", "--seeds", "0", settings=small)
    assert torch.equal(before, torch.get_rng_state())
    assert set(table.index) <= RECORDED["scaling_curve"] and len(table) == 2 * len(small)
    losses = table["value"][table.index.str.endswith(": loss")]
    assert ((losses > 0) & (losses < 5)).all() and table.loc["2 channels: parameters", "value"] == 90


def test_gpu_speed_as_a_cpu_can_try_it(record, monkeypatch):
    run = module_of("gpu_speed")
    monkeypatch.setattr(_speed, "LENGTH", 64)
    monkeypatch.setattr(run, "PEAK_SIZE", 64)
    settings = {
        "the model": run.SETTINGS["the model"],
        "training, batch 32, float32": run.SETTINGS["training, batch 32, float32"] | {"batch": 2},
        **{name: run.SETTINGS[name] | {"length": 16} for name in run.SETTINGS if name.startswith("attention, T 256")},
    }
    table = record(run, "--device", "cpu", "--rounds", "1", settings=settings)
    assert set(table.index) <= RECORDED["gpu_speed"] and (table["value"] > 0).all()
    assert {"the model: parameters", "attention, T 256, math: ms"} < set(table.index)
    assert set(run.SETTINGS) > set(settings) and len(run.SETTINGS) == 1 + 9 + 9


def test_a_changed_step_is_changed_while_it_runs_and_only_then(monkeypatch):
    run = module_of("training_speed")
    seen = []
    silu = torch.nn.functional.silu
    monkeypatch.setattr(torch.nn.functional, "silu", lambda x: seen.append(x.shape) or silu(x))
    small = {"channels": (4, 8), "strides": (2, 2), "model_dim": 16, "num_layers": 1, "num_heads": 2}
    step = run.changed_step(batch=2, step={"patches": (run.SILU,)}, **small)
    step()
    changed, plain = len(seen), run.changed_step(batch=2, **small)
    plain()
    assert changed > len(seen) - changed  # the plain model has SiLU in its feed-forward only


def test_series_classification(record, monkeypatch):
    run = module_of("series_classification")
    small = tuple(
        replace(recipe, channels=(4, 4, 8), batch_size=4) for recipe in run.CANDIDATES["signal transformer"][:2]
    )
    monkeypatch.setattr(
        run, "CANDIDATES", {"signal transformer": small, "MiniRocket": run.CANDIDATES["MiniRocket"][:2]}
    )
    monkeypatch.setattr(run, "STEPS", 1)
    monkeypatch.setattr(run, "SEARCH_STEPS", 1)
    monkeypatch.setattr(run, "inner_accuracies", run.inner_accuracies.__wrapped__)
    names = ["BasicMotions", "ArrowHead"]
    settings = {key: value for key, value in run.EXPERIMENT.settings.items() if value["name"] in names}
    whole, asked = run.load_series, []

    def few(name: str, differences: bool = False):
        data = whole(name, differences)
        first = torch.cat([(data.train[2] == kind).nonzero()[:3, 0] for kind in data.train[2].unique()])
        return replace(
            data, train=tuple(v[first] for v in data.train), test=tuple(v[:: len(v) // 8] for v in data.test)
        )

    monkeypatch.setattr(run, "load_series", few)
    one = run.one_training
    monkeypatch.setattr(run, "one_training", lambda *given: asked.append(given) or one(*given))
    before = torch.get_rng_state()
    table = record(run, "--seeds", "0", settings=settings)
    assert torch.equal(before, torch.get_rng_state())
    assert set(table.index) == {row for row in RECORDED["series_classification"] if row.split(":")[0] in names}
    tests = [given for given in asked if len(given) == 3]  # no fold: learns from all, meets the test series
    assert len(tests) == len(settings) and len(asked) - len(tests) == len(settings) * 2 * run.FOLDS


def test_a_fold_of_a_series_set_holds_no_test_series(monkeypatch):
    run = module_of("series_classification")
    data, met = run.load_series("ArrowHead"), []
    monkeypatch.setattr(run, "train", lambda inner, recipe, seed, steps: met.append(inner) or {"accuracy": 0.0})
    for fold in range(run.FOLDS):
        run.one_training("ArrowHead", run.CANDIDATES["signal transformer"][0], 0, fold)
    for inner in met:
        both = torch.cat([inner.train[0], inner.test[0]])
        assert sorted(both.sum(dim=(1, 2)).tolist()) == sorted(data.train[0].sum(dim=(1, 2)).tolist())
    assert sum(len(inner.test[0]) for inner in met) == len(data.train[0])


def test_event_detection(record, monkeypatch):
    run = module_of("event_detection")
    for module in (run, _event_runs):
        fewer(monkeypatch, module, "windows", "make_events")
    fewer(monkeypatch, _event_runs, "make_event_stream", most=3)
    table = record(run, "--seeds", "0", "--steps", "1", "--classifier-steps", "1")
    assert set(table.index) == RECORDED["event_detection"]


def test_live_detector(record, monkeypatch, tmp_path):
    run = module_of("live_detector")
    monkeypatch.setattr(run, "SIZES", {"width": 8, "dilations": (1,)})
    for module in (run, _event_runs):
        fewer(monkeypatch, module, "windows" if module is run else "make_events")
    fewer(monkeypatch, run, "make_event_stream", most=3)
    file = tmp_path / "detector.safetensors"
    table = record(run, "--steps", "1", "--weights", str(file))
    assert set(table.index) == RECORDED["live_detector"]
    model, about = run.kept(file)
    assert not model.training and about["threshold"] == pytest.approx(table.loc["threshold", "value"], abs=1e-3)


def test_streaming_audio(record, clips, tmp_path):
    run, file = module_of("streaming_audio"), tmp_path / "audio.safetensors"
    before = torch.get_rng_state()
    table = record(run, "--epochs", "1", "--weights", str(file), load=lambda: clips)
    assert torch.equal(before, torch.get_rng_state())
    assert set(table.index) == RECORDED["streaming_audio"]
    model, classes, name = run.kept(file)
    assert (model.sample_rate, classes, name) == (clips.sample_rate, clips.classes, "made up")
    assert run.answers(model, clips.signals[:2, 0]).shape == (2, 13, 10)


def test_what_another_microphone_hears_keeps_shapes_and_shares():
    run = module_of("streaming_audio")
    x, y = torch.randn(6, 13, 4, 16), torch.arange(6)
    pictures, targets = run.as_heard(x, y, 10, torch.Generator().manual_seed(0))
    assert pictures.shape == x.shape and pictures.isfinite().all() and not torch.equal(pictures, x)
    torch.testing.assert_close(targets.sum(1), torch.ones(6))


def test_event_specific(record, monkeypatch):
    run = module_of("event_specific")
    monkeypatch.setattr(run, "EPOCHS", dict.fromkeys(run.VARIANTS, 1))
    fewer(monkeypatch, run, "arrays", most=16)
    assert set(record(run, "--seeds", "0").index) == RECORDED["event_specific"]


def test_event_templates(record, monkeypatch):
    run = module_of("event_templates")
    for name, count in {"LABELLED": 24, "VALIDATION": 8, "TEST": 16, "UNLABELLED": 8}.items():
        monkeypatch.setattr(run, name, count)
    fewer(monkeypatch, _event_runs, "make_event_stream", most=3)
    table = record(run, "--seeds", "0", "--only", "*, 0 dB")
    assert set(table.index) == {row for row in RECORDED["event_templates"] if ", 0 dB" in row}


def test_gait_events(record):
    table = record(module_of("gait_events"), "--seeds", "0", "--steps", "40", load=lambda: {"left": walk(0)})
    assert set(table.index) == RECORDED["gait_events"]
    assert table.loc["detector: initial contact, F1 at 20 ms", "value"] > 0.9
    assert table.loc["detector: terminal contact, F1 at 20 ms", "value"] > 0.9
    assert table.loc["matched filter: initial contact, F1 at 20 ms", "value"] > 0.6


def test_ecg_beats(record, monkeypatch, tmp_path):
    run = module_of("ecg_beats")
    monkeypatch.setattr(run, "TRAINED", 80.0)
    monkeypatch.setattr(run, "CHOSEN", 110.0)
    table = record(run, "--seeds", "0", "1", "--steps", "1", load=lambda: make_beat_train(150))
    assert set(table.index) == RECORDED["ecg_beats"]
    assert table.loc["band-pass, square, peaks: beats, F1 at 50 ms", "value"] == 1
    seeds = pd.read_csv(tmp_path / "results" / "detail" / "ecg_beats_seeds.csv")
    assert set(seeds["setting"]) == set(run.EXPERIMENT.settings) and len(seeds) == 9


def test_the_rule_of_early_beats():
    run = module_of("ecg_beats")
    times = [0.0, 1.0, 2.0, 3.0, 3.7, 5.0, 6.0]  # the fifth comes 0.7 s after the fourth
    assert run.shortness(times).round(3).tolist() == [0, 0, 0, 0, 0.3, 0, 0]
    assert run.early_by_rule(times, 0.2).tolist() == [3.7]
    assert run.shortness([]).tolist() == [] and run.shortness([1.0]).tolist() == [0]
    beats = make_beat_train(300, seed=1)
    marked = run.times_of(beats, "A")
    assert run.early_by_rule([t for _, t in beats.events], 0.15).tolist() == marked and len(marked) > 1


def test_label_efficiency(record, monkeypatch):
    run = module_of("label_efficiency")
    easy = {"num_events": 2, "snr_db": 12.0, "seq_len": 400, "event_rate": 6.0}
    monkeypatch.setattr(run, "gait", lambda seed: _label_tasks.gait(seed, count=80))
    monkeypatch.setattr(run, "generated", lambda seed: _label_tasks.generated(seed, 60, 20, **easy))
    monkeypatch.setattr(_label_tasks, "load_feet", lambda: {"left": walk(0)})
    table = record(run, "--seeds", "0", "--steps", "1", "--pretraining-steps", "1")
    assert set(table.index) == RECORDED["label_efficiency"]
    assert table.loc["generated, matched filter: F1, 32 labelled", "value"] > 0.8


def test_contrastive_views(record, monkeypatch, tmp_path):
    run = module_of("contrastive_views")
    for name, count in {"WINDOWS": 96, "TESTED": 64, "LABELLED": 96, "QUIET": 8, "FINE_TUNING": 1}.items():
        monkeypatch.setattr(run, name, count)
    table = record(run, "--seeds", "0", "1", "--epochs", "1")
    assert set(table.index) == RECORDED["contrastive_views"]
    seeds = pd.read_csv(tmp_path / "results" / "detail" / "contrastive_views_seeds.csv")
    assert len(seeds) == 2 * len(run.EXPERIMENT.settings)
