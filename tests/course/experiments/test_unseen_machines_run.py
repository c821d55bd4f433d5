"""The recorded run on faults of unheard machines: what is drawn, and the run to its end on few machines."""

import numpy as np
import pandas as pd

from course_lib.course.experiments import results, unseen_machines


def test_a_fault_is_added_to_a_machine_that_stays_the_same():
    normal, groups, test, faults, machines = unseen_machines.draw(0)
    assert normal.shape == (12 * 24, 1000) and test.shape == (8 * 40, 1000) and (faults != "").sum() == 8 * 20
    assert set(groups) == set(range(12)) and (np.bincount(machines) == 40).all()
    rng = np.random.default_rng(0)
    one = unseen_machines.machine(rng)
    for fault in unseen_machines.FAULTS:
        power = [np.mean([one(kind).var() for _ in range(30)]) for kind in ("", fault)]
        assert 0.8 * power[0] < power[1] < 2 * power[0]


def test_run_writes_both_tables(record, monkeypatch):
    for name, value in {"TRAINING": 6, "UNSEEN": 2, "NORMAL": 12, "TESTED": 6, "EPOCHS": 1}.items():
        monkeypatch.setattr(unseen_machines, name, value)
    table = record(unseen_machines, "--seeds", "0", "1")
    assert len(table) == 5 * 5 and table["value"].between(0, 1).all()
    draws = pd.read_csv(results.RESULTS / "detail" / "unseen_machines_seeds.csv")
    assert draws.groupby("setting")["seed"].nunique().tolist() == [2] * 5
