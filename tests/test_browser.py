"""JupyterLab in a real browser: open a notebook, run all cells, look at what is on the page."""

import importlib.util
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import psutil
import pytest

from course_lib.course.exercises.learner import BEGIN, END, learner_copy, notebook_path
from course_lib.course.workbook.build import add_cell, build
from course_lib.paths import PROJECT_ROOT

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
# Every cell is in the page, not only those in view.
SETTINGS = {"notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"}}
MINUTES = 5
ERROR = '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]'

# Notebook, its learner's copy or the solved one, and the number of figures that a reader sees in it. All notebooks run
# as a test of their own: these are quick ones, with sounds, figures, tables and blanks.
SHOWN = [("00", "solved", 5), ("13", "solved", 8), ("08", "learner", 5)]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed"),
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    with browser.new_context(viewport={"width": 1100, "height": 1600}) as nobody_was_here:
        yield nobody_was_here.new_page()


@pytest.fixture
def kernel(request):
    return request.config.option.nbmake_kernel or "python3"  # with --warm-kernels, one that need not import


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """`python -m course_lib lab`, as a newcomer has it, on a free port: (address, token, folder of the copies)."""
    tmp_path = tmp_path_factory.mktemp("lab")
    for name, values in SETTINGS.items():
        path = tmp_path / "settings" / "@jupyterlab" / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values))
    folder = tmp_path / "my copies"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    own = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    own |= {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"), "COURSE_WORK": str(folder), "COURSE_CHECK": ""}
    command = [sys.executable, "-m", "course_lib", "lab", "--", "--no-browser", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    command += ["--LabApp.extension_manager=readonly"]
    with open(tmp_path / "server.log", "w") as log:
        environment = os.environ | {"OMP_NUM_THREADS": "1"} | own
        server = subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment, stdout=log, stderr=log)
    try:
        wait_for(lambda: get(f"http://127.0.0.1:{port}/api/status", token), "the server's answer", 60)
        yield f"http://127.0.0.1:{port}", token, folder
    finally:
        family = [*psutil.Process(server.pid).children(recursive=True), server]
        for process in family:
            process.terminate()
        _, alive = psutil.wait_procs(family[:-1], timeout=20)
        for process in [*alive, server]:
            process.kill()
        server.wait()


def get(address: str, token: str):
    try:
        request = urllib.request.Request(address, headers={"Authorization": f"token {token}"})
        return json.load(urllib.request.urlopen(request, timeout=5))
    except OSError:
        return None


def wait_for(condition, what: str, seconds: float):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.5)
    raise TimeoutError(f"waited {seconds} s for {what}")


def press_dialogs(page) -> None:
    for button in page.query_selector_all(".jp-Dialog .jp-mod-accept"):
        button.click()


def run_all(page, address: str, token: str, name: str) -> None:
    """Run all cells of the notebook `name`, which the page shows, and wait for the last one, or for an error."""

    def kernel_is_idle():
        press_dialogs(page)
        sessions = get(f"{address}/api/sessions", token) or []
        idle = [session["path"] for session in sessions if session["kernel"]["execution_state"] == "idle"]
        return name in idle

    wait_for(kernel_is_idle, "an idle kernel", 120)
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=60_000)
    page.click('.lm-MenuBar-item:has-text("Run")')
    page.click('.lm-Menu-item[data-command="runmenu:run-all"]')

    def finished():
        press_dialogs(page)
        last = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].at(-1)?.textContent"
        return (page.evaluate(last) or "").strip("[]: \n").isdigit() or page.query_selector(ERROR)

    wait_for(finished, f"the last cell of {name}", 60 * MINUTES)
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=60_000)


def test_newcomer_sees_the_first_notebook_and_is_asked_nothing(lab, page):
    address, token, folder = lab
    page.goto(f"{address}/?token={token}")
    page.wait_for_selector('.jp-NotebookPanel h1:has-text("Start here")', timeout=60_000)
    wait_for(lambda: get(f"{address}/api/sessions", token), "a kernel for it", 60)
    page.wait_for_timeout(8_000)  # the news would ask about now
    questions = page.query_selector_all(".jp-Dialog, .Toastify__toast")
    assert [question.inner_text() for question in questions] == []
    assert (folder / "00_start_here.ipynb").exists()


@pytest.mark.parametrize(("number", "kind", "figures"), SHOWN, ids=[f"{n}-{kind}" for n, kind, _ in SHOWN])
def test_notebook_runs_in_the_browser(lab, page, kernel, number, kind, figures):
    """All cells and figures of the whole notebook; the learner's copy trains for one epoch where it says more."""
    address, token, folder = lab
    source = notebook_path(number)
    copy = learner_copy(source) if kind == "learner" else nbformat.read(source, as_version=4)
    copy.metadata.kernelspec.name = kernel
    for cell in copy.cells if kind == "learner" else []:
        cell.source = re.sub(r"\b(epochs(: int)? ?= ?)\d+", r"\g<1>1", cell.source)
    nbformat.write(copy, folder / source.name)

    page.goto(f"{address}/doc/tree/{source.name}?token={token}&reset")
    run_all(page, address, token, source.name)
    errors = [element.inner_text() for element in page.query_selector_all(ERROR)]
    images = page.query_selector_all('.jp-OutputArea-output img[src^="data:image/png"]')
    shown = [image for image in images if image.bounding_box()["width"] > 100]
    if os.environ.get("COURSE_SCREENSHOT"):
        page.set_viewport_size({"width": 1100, "height": 7500})
        page.screenshot(path=os.path.join(os.environ["COURSE_SCREENSHOT"], f"{number}_{kind}.png"))
    assert errors == []
    assert len(shown) == figures


def test_a_learner_works_hint_by_hint_and_a_build_is_blamed(lab, page, kernel):
    """A copy in which a blank is tried: hints, a prediction, a counterexample, the recap; then a broken `mine.py`."""
    address, token, folder = lab
    solved = nbformat.read(notebook_path("06"), as_version=4)
    answer = next(cell.source for cell in solved.cells if "def rms_norm(" in cell.source)
    imports = next(cell.source for cell in solved.cells if "import torch\n" in cell.source)
    wrong = re.sub(rf"{BEGIN}.*?{END}", "return x * weight", answer, flags=re.DOTALL)
    asked = 'drift = predict("06", "what comes out", ["more", "less"], answer="less")'
    steps = [
        imports,
        "check.rms_norm.hint()",
        "check.rms_norm.hint()",
        asked,
        wrong,
        'drift.came("more")',
        "predict.recap()",
    ]
    tried = notebook_of(kernel, *steps)
    right = notebook_of(kernel, imports, answer)
    later = notebook_of(kernel, "import torch\n\nimport course_lib.layers as sl", "sl.RMSNorm(6)(torch.randn(2, 5, 6))")
    nbformat.write(tried, folder / "06_normalisation_and_swiglu.ipynb")
    nbformat.write(right, folder / "right.ipynb")
    nbformat.write(later, folder / "07_encoder_and_cls_token.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_WORK", str(folder))
        build([folder / "right.ipynb"])
    mine = folder / "mine.py"
    mine.write_text(mine.read_text(encoding="utf-8").replace("+ eps", "+ eps + 0.5"), encoding="utf-8")
    add_cell(folder / "07_encoder_and_cls_token.ipynb", "07")

    texts = []
    for name in ("06_normalisation_and_swiglu", "07_encoder_and_cls_token"):
        page.goto(f"{address}/doc/tree/{name}.ipynb?token={token}&reset")
        run_all(page, address, token, f"{name}.ipynb")
        texts.append("\n".join(e.inner_text() for e in page.query_selector_all(".jp-OutputArea-output")))
    workbook, built = texts
    assert "hint 1 of" in workbook and "hint 2 of" in workbook
    assert "came more, predicted less" in workbook
    assert re.search(r"rms_norm: .*expected", workbook, re.DOTALL), "a counterexample"
    assert "mine.py" in built and "rms_norm" in built and "check.rms_norm" in built, "who is to blame, and what to run"


def notebook_of(kernel: str, *sources: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in sources],
        metadata={"kernelspec": {"name": kernel, "display_name": "Python 3", "language": "python"}},
    )
