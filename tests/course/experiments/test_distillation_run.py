"""The recorded run of students and pruned teachers, to its end on made-up clips."""

import pytest
import torch

from course_lib.course.experiments import distillation


def test_run_to_its_end(clips, record):
    table = record(distillation, "--epochs", "1", "--only", "fold 1", "fold 2", load=lambda: clips)
    left = table.loc[f"{distillation.STUDENT}: weights", "value"]
    assert left <= 40_000 and left <= table.loc[f"{distillation.PAIR}: weights", "value"] / 15
    assert table.loc[f"{distillation.ZEROS}: weights", "value"] == left
    change = table.loc[f"{distillation.STUDENT}: change from {distillation.PAIR}", "value"]
    scores = [table.loc[f"{name}: accuracy", "value"] for name in (distillation.STUDENT, distillation.PAIR)]
    assert change == pytest.approx(scores[0] - scores[1], abs=1e-3)


def test_channels_that_are_all_kept_are_the_teacher(monkeypatch):
    monkeypatch.setattr(distillation, "WIDTHS", (32, 64, 128, 128))
    monkeypatch.setattr(distillation, "EMBED", 128)
    teacher, x = distillation.AttentiveCNN(10).eval(), torch.randn(2, 64, 17)
    torch.testing.assert_close(distillation.fewer_channels(teacher).eval()(x), teacher(x))


def test_a_student_that_agrees_loses_nothing():
    logits = torch.randn(4, 10, generator=torch.Generator().manual_seed(0))
    assert distillation.distillation_loss(logits, logits + 3, 2.0) == pytest.approx(0, abs=1e-6)
