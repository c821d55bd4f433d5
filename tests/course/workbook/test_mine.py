"""The learner's own library: built from what passes, used in the library's place, blamed by name where it fails."""

import importlib
import inspect
import operator
import shutil

import nbformat
import numpy as np
import pytest
import torch
from torch import nn

import course_lib.layers as sl
from course_lib import events as ev
from course_lib.__main__ import main
from course_lib.course import mine
from course_lib.course.cli.execute import execute
from course_lib.course.exercises import exercises
from course_lib.course.exercises.learner import learner_copy, notebook_path, solved_notebooks
from course_lib.course.workbook.build import add_cell, build
from course_lib.course.workbook.counterparts import COUNTERPARTS
from course_lib.layers import attention_functions, rotary
from course_lib.losses import FocalLoss
from course_lib.sequence import ragged
from course_lib.training import optimization


@pytest.mark.parametrize("exercise", COUNTERPARTS)
def test_a_stand_in_can_be_called_as_the_library_is(exercise):
    for target, stand_in in COUNTERPARTS[exercise]:
        module, _, name = target.partition(":")
        library = operator.attrgetter(name)(importlib.import_module(f"course_lib.{module}"))
        taken = inspect.signature(stand_in).parameters
        any_option = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in taken.values())
        wanted = [p.kind for p in inspect.signature(library).parameters.values()]
        assert any_option or len(taken) - 1 >= len(wanted), f"{target} takes more than its stand-in"


@pytest.mark.parametrize("rate", [3, 10, 44.1])
def test_a_right_refractory_filter_is_not_blamed_for_rounding(rate):
    """Seconds times a rate lie one period apart up to rounding, where `<` and the library part ways."""
    (stand_in,) = (stand_in for _, stand_in in COUNTERPARTS["keep_strongest"])
    solution = exercises()["keep_strongest"].function
    times = np.arange(0, 40) * 0.1 * rate
    scores = np.random.default_rng(0).random(40)
    found = ev.Detections(types=np.arange(40) % 3, times=times, scores=scores)
    for period in 0.1 * rate * np.array([1, 3, 6, 9]):
        kept = stand_in(solution, found, period)
        if kept is not NotImplemented:
            assert np.array_equal(kept.times, ev.refractory_filter(found, period).times)
    assert stand_in(solution, found, 0.45 * rate) is not NotImplemented


def a_schedule():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    return optimization.cosine_with_warmup(optimizer, 12, warmup=0.25)


def some(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), requires_grad=True)


# A use of the library in later notebooks for each exercise that has a counterpart.
USES = {
    "scaled_attention": lambda: attention_functions.dot_product_attention(
        some(2, 3, 5, 4), some(2, 3, 7, 4), some(2, 3, 7, 6)
    ),
    "sinusoidal_table": lambda: sl.PositionalEncoding(8)(some(2, 5, 8)),
    "turn_pairs": lambda: rotary.rotary(some(2, 3, 5, 8), torch.arange(5)),
    "rms_norm": lambda: sl.RMSNorm(6)(some(2, 5, 6)),
    "prepend_cls": lambda: sl.CLSToken(6)(some(2, 5, 6)),
    "squeeze_and_excite": lambda: sl.SqueezeExcitation(8)(some(2, 5, 8)),
    "masked_mean_and_max": lambda: (sl.MeanPooling()(some(2, 5, 3)), sl.MaxPooling()(ragged(3, lengths=(7, 4)))),
    "attention_pool": lambda: sl.AttentionPooling(6)(some(2, 5, 6)),
    "focal_loss": lambda: FocalLoss(2.0)(some(5, 3), torch.tensor([0, 2, 1, 1, 0])),
    "warmup_cosine": lambda: [a_schedule().lr_lambdas[0](step) for step in range(12)],
    "stream_loop": lambda: sl.stream(sl.Conv1D(3, 4, 5), sl.Sequence.of(some(2, 9, 3)), 2).values,
    "keep_strongest": lambda: (
        ev.refractory_filter(
            ev.Detections(types=np.array([0, 0, 1]), times=np.array([10.0, 50, 60]), scores=np.array([0.2, 0.9, 0.5])),
            100,
        ).times
    ),
}

SPOILED = """

_right = {answer}


def {answer}(*args):
    return _spoiled(_right(*args))


def _spoiled(value):
    if isinstance(value, tuple):
        return tuple(_spoiled(item) for item in value)
    if hasattr(value, "with_values"):
        return value.with_values(value.values + 1)
    return ~value if "bool" in str(value.dtype) else value + 1
"""


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """A `mine.py` built from solved copies of all notebooks that have a counterpart."""
    folder = tmp_path_factory.mktemp("work")
    numbers = {e.notebook for name, e in mine.exercises().items() if name in COUNTERPARTS}
    for path in solved_notebooks():
        if path.name[:2] in numbers:
            shutil.copy(path, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_WORK", str(folder))
        done = build(sorted(folder.glob("*.ipynb")))
    assert {each.state for each in done} == {"new"}
    return folder


@pytest.fixture
def work(solved, tmp_path, monkeypatch):
    shutil.copy(solved / "mine.py", tmp_path)
    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    yield tmp_path
    mine.leave()


def spoil(work, name, text):
    piece = mine.pieces()[name]
    path = work / "mine.py"
    changed = path.read_text().replace(piece.source, piece.source + text.format(answer=piece.answer))
    path.write_text(changed)
    return piece.answer


def test_every_counterpart_is_tried_here():
    assert set(USES) == set(COUNTERPARTS)


@pytest.mark.parametrize("name", USES)
def test_a_right_answer_does_what_the_library_does(work, name):
    torch.manual_seed(0)
    expected = USES[name]()
    mine.use("99")
    calls = []
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mine, "_compare", lambda *args: calls.append(args[4].exercise))
        came = USES[name]()
    assert name in calls
    assert mine._alike(mine._plain(came), mine._plain(expected))
    mine.use("99")
    USES[name]()  # compared with the library's, and nobody is blamed


@pytest.mark.parametrize("name", USES)
@pytest.mark.parametrize(
    "text", [SPOILED, "\n\n\ndef {answer}(*args):\n    raise KeyError('a slip')\n"], ids=["wrong", "raises"]
)
def test_a_wrong_answer_is_blamed_by_name_with_the_check_to_run(work, name, text):
    answer = spoil(work, name, text)
    mine.use("99", without=[other for other in USES if other != name])
    with pytest.raises(mine.Blamed) as caught:
        USES[name]()
    said = str(caught.value)
    assert said.startswith(f"your {answer}, in the place of the library's ")
    assert f"check.{name}({answer})" in said and f"mine.py, line {mine.pieces()[name].line + 1}." in said
    assert ("KeyError: 'a slip'" in said) == ("slip" in text)
    mine.use("99", without=list(USES))
    USES[name]()


def test_an_answer_without_a_gradient_is_blamed(work):
    spoil(work, "rms_norm", "\n\n_right = {answer}\n\n\ndef {answer}(*args):\n    return _right(*args).detach()\n")
    mine.use("99")
    with pytest.raises(mine.Blamed, match="your rms_norm, .* without a gradient"):
        sl.RMSNorm(6)(some(2, 5, 6))


def test_a_call_that_the_library_refuses_is_no_fault_of_the_learners(work):
    mine.use("99")
    with pytest.raises(ValueError, match="RMSNorm"):
        sl.RMSNorm(6)(some(2, 5, 7))


def test_a_call_that_the_exercise_does_not_cover_is_the_librarys(work):
    q, k, v = some(2, 3, 5, 4), some(2, 3, 7, 4), some(2, 3, 7, 6)
    expected = attention_functions.dot_product_attention(q, k, v, bias=some(5, 7))
    mine.use("99")
    came = attention_functions.dot_product_attention(q, k, v, bias=some(5, 7))
    torch.testing.assert_close(came, expected, rtol=0, atol=0)


def test_only_later_notebooks_use_a_function(work, capsys):
    own = sl.RMSNorm._normalised
    mine.use("06")
    assert sl.RMSNorm._normalised is own and "turn_pairs (for rotate_pairs)" in capsys.readouterr().out
    mine.use("07")
    assert sl.RMSNorm._normalised is not own
    mine.use("03")
    assert sl.RMSNorm._normalised is own and "nothing yet" in capsys.readouterr().out


def test_names_that_were_imported_before_lead_to_the_learners_too(work):
    from course_lib.layers import attention

    own = attention.rotate_pairs
    mine.use("99")
    assert attention.rotate_pairs is rotary.rotate_pairs is not own
    mine.leave()
    assert attention.rotate_pairs is rotary.rotate_pairs is own


def test_a_piece_that_does_not_load_is_blamed(work):
    spoil(work, "rms_norm", "\nrms_norm = missing\n")
    with pytest.raises(mine.Blamed, match="your rms_norm does not load: NameError: name 'missing'"):
        mine.use("99")


def copy_with(folder, bodies):
    """The learner's copy of notebook 00 with functions filled in."""
    copy = learner_copy(notebook_path("00"))
    for cell in copy.cells:
        for name, body in bodies.items():
            if f"def {name}(" in cell.source:
                cell.source = cell.source.replace("raise NotImplementedError", body)
    nbformat.write(copy, folder / "00_start_here.ipynb")
    return folder / "00_start_here.ipynb"


def states(path):
    return {each.exercise: each.state for each in build([path])}


def test_what_passed_stays_as_it_passed(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    right = "return np.sqrt(np.mean(x**2))"
    assert states(copy_with(tmp_path, {})) == {"rms": "not passed yet", "cut": "not passed yet"}
    assert not mine.mine_file().exists()
    assert states(copy_with(tmp_path, {"rms": right}))["rms"] == "new"
    written = mine.mine_file().read_text()
    assert right in written and "cut" not in mine.pieces()
    assert mine.pieces()["rms"].load()(np.array([3.0, -3.0])) == 3
    assert states(copy_with(tmp_path, {"rms": "return 0.0"}))["rms"] == "passes no longer, kept as it passed"
    assert mine.mine_file().read_text() == written
    assert states(copy_with(tmp_path, {"rms": "return np.sqrt((x * x).mean())"}))["rms"] == "changed"
    mine.mine_file().write_text(mine.mine_file().read_text().replace("(x * x)", "(x**2)"))
    edited = mine.mine_file().read_text()
    assert states(copy_with(tmp_path, {"rms": right}))["rms"] == "edited in mine.py, left as it is"
    assert mine.mine_file().read_text() == edited


def test_a_copy_that_is_no_notebook_does_not_stop_the_build(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    (tmp_path / "01_x.ipynb").write_text("{")
    first, *others = build([tmp_path / "01_x.ipynb", copy_with(tmp_path, {})])
    assert first.exercise == "01_x.ipynb" and first.state.startswith("cannot be read") and len(others) == 2


def test_the_file_can_be_imported(work, monkeypatch):
    monkeypatch.syspath_prepend(str(work))
    namespace: dict = {}
    exec("from mine import rms_norm, my_focal_loss, RunningMax", namespace)
    assert namespace["rms_norm"](torch.ones(1, 2, 3), torch.ones(3), 0.0).shape == (1, 2, 3)


def test_the_command_builds_and_the_copy_uses_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    copy_with(tmp_path, {"rms": "return np.sqrt(np.mean(x**2))"})
    assert main(["start", "07", "--build"]) == 0
    out = capsys.readouterr().out
    assert "rms: new" in out and "uses your functions" in out
    copy = nbformat.read(tmp_path / "07_encoder_and_cls_token.ipynb", as_version=4)
    first = next(cell for cell in copy.cells if cell.cell_type == "code")
    assert 'mine.use("07")' in first.source
    nbformat.validate(copy)
    assert add_cell(tmp_path / "07_encoder_and_cls_token.ipynb", "07") is False


@pytest.mark.slow
def test_a_notebook_runs_on_the_learners_functions(work, tmp_path, request):
    """All its cells, with a tenth of its training steps."""
    notebook = nbformat.read(notebook_path("05"), as_version=4)
    notebook.metadata.kernelspec.name = request.config.option.nbmake_kernel or "python3"
    training = next(cell for cell in notebook.cells if "steps: int = 250" in cell.source)
    training.source = training.source.replace("steps: int = 250", "steps: int = 25")
    path = tmp_path / "05.ipynb"
    nbformat.write(notebook, path)
    assert add_cell(path, "05")
    environment = {"COURSE_CHECK": "raise", "COURSE_WORK": str(tmp_path)}
    done = execute(nbformat.read(path, as_version=4), tmp_path, environment=environment)
    assert done.ok, done.error
    said = "".join(o.get("text", "") for cell in done.notebook.cells for o in cell.get("outputs", []))
    assert "sinusoidal_table (for PositionalEncoding._signal)" in said
