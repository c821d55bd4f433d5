"""Outputs of the book: from the cache while nothing changed, from given copies of today's code, else executed."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_lib.course.site import address, vendor
from course_lib.course.site.executed import BookError, executed, key


def notebook(path, *sources, prose="# 77 A title", outputs=()):
    cells = [new_markdown_cell(prose, id="title")]
    cells += [new_code_cell(source, id=f"c{i}", outputs=list(outputs)) for i, source in enumerate(sources)]
    meta = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=meta), path)
    return path


class TestKey:
    def test_prose_does_not_count_and_code_does(self, tmp_path):
        path = tmp_path / "77_x.ipynb"
        first = key(notebook(path, "x = 1"))
        assert key(notebook(path, "x = 1", prose="# Other words")) == first
        assert key(notebook(path, "x = 2")) != first

    def test_the_library_counts_where_the_notebook_reaches_it(self, tmp_path):
        path = notebook(tmp_path / "77_x.ipynb", "from course_lib.layers import one\none.f()")
        layers = tmp_path / "course_lib" / "layers"
        layers.mkdir(parents=True)
        for file in (tmp_path / "course_lib" / "__init__.py", layers / "__init__.py"):
            file.write_text("")
        (layers / "one.py").write_text("def f():\n    return 1\n")
        (layers / "two.py").write_text("def g():\n    return 1\n")
        first = key(path, tmp_path)
        (layers / "two.py").write_text("def g():\n    return 2\n")
        (layers / "one.py").write_text('def f():\n    """Says more."""\n    return 1  # a comment\n')
        assert key(path, tmp_path) == first
        (layers / "one.py").write_text("def f():\n    return 2\n")
        assert key(path, tmp_path) != first

    def test_a_table_that_is_read_counts(self, tmp_path, monkeypatch):
        monkeypatch.setattr("course_lib.course.site.executed.RESULTS", tmp_path)
        path = notebook(tmp_path / "77_x.ipynb", 'table = results.read("mine")')
        (tmp_path / "mine.csv").write_text("1")
        first = key(path)
        (tmp_path / "mine.csv").write_text("2")
        assert key(path) != first


@pytest.mark.slow
def test_executed_once_then_from_the_cache_with_todays_prose(tmp_path):
    path, cache, said = notebook(tmp_path / "77_x.ipynb", "print(6 * 7)"), tmp_path / "cache", []
    first = executed([path], cache, said=said.append)[path]
    assert first.cells[1].outputs[0].text == "42\n"
    notebook(path, "print(6 * 7)", prose="# 77 Said better")
    again = executed([path], cache, said=said.append)[path]
    assert again.cells[0].source == "# 77 Said better" and again.cells[1].outputs[0].text == "42\n"
    assert said[-1] == "1 notebooks have their outputs, 0 are executed"
    assert len(list(cache.iterdir())) == 1


@pytest.mark.slow
def test_a_notebook_that_fails_is_named_and_not_kept(tmp_path):
    path = notebook(tmp_path / "77_x.ipynb", "1 / 0")
    with pytest.raises(BookError, match="77_x: ZeroDivisionError"):
        executed([path], tmp_path / "cache", said=lambda text: None)
    assert not list((tmp_path / "cache").glob("*"))


def test_given_copies_are_taken_only_where_their_code_is_todays_and_ran(tmp_path, monkeypatch):
    given, cache = tmp_path / "given", tmp_path / "cache"
    given.mkdir()
    right = [new_output("stream", name="stdout", text="done\n")]
    wrong = [new_output("error", ename="ValueError", evalue="no", traceback=[])]
    paths = [notebook(tmp_path / f"7{i}_x.ipynb", "run()") for i in range(3)]
    notebook(given / "70_x.ipynb", "run()", outputs=right)
    notebook(given / "71_x.ipynb", "run(2)", outputs=right)
    notebook(given / "72_x.ipynb", "run()", outputs=wrong)
    asked = []

    def stand_in(notebook, folder, environment):
        asked.append(folder)
        raise RuntimeError("stop here")

    monkeypatch.setattr("course_lib.course.site.executed.execute", stand_in)
    with pytest.raises(RuntimeError, match="stop here"):
        executed(paths, cache, given=given, workers=1, said=lambda text: None)
    assert executed(paths[:1], cache, given=given)[paths[0]].cells[1].outputs[0].text == "done\n"
    assert asked


class TestVendor:
    PACKAGE = vendor.Package("toy", "1.0.0", "AAAA", ("a.js",))

    def test_another_sum_is_refused_and_nothing_is_left(self, tmp_path):
        with pytest.raises(vendor.VendorError, match="another SHA-512"):
            vendor.unpack(b"not what was meant", self.PACKAGE, tmp_path / "toy")
        assert not (tmp_path / "toy").exists()

    def test_no_network_says_which_package_and_where_from(self, tmp_path, monkeypatch):
        monkeypatch.setattr(vendor, "REGISTRY", "http://127.0.0.1:9")
        with pytest.raises(vendor.VendorError, match="toy 1.0.0 did not come from http://127.0.0.1:9"):
            vendor.vendored(self.PACKAGE, tmp_path)

    def test_what_is_there_is_not_fetched_again(self, tmp_path, monkeypatch):
        monkeypatch.setattr(vendor, "REGISTRY", "http://127.0.0.1:9")
        (tmp_path / "toy-1.0.0").mkdir()
        (tmp_path / "toy-1.0.0" / "a.js").write_text("1")
        assert (vendor.vendored(self.PACKAGE, tmp_path) / "a.js").read_text() == "1"


class TestAddress:
    @pytest.mark.parametrize(
        "remote",
        [
            "https://github.com/ada/signals.git",
            "https://github.com/ada/signals",
            "https://token@github.com/ada/signals.git",
            "git@github.com:ada/signals.git",
            "ssh://git@github.com/ada/signals.git",
        ],
    )
    def test_every_way_to_write_it(self, remote):
        assert address.parse(remote) == address.Repository("ada", "signals")

    @pytest.mark.parametrize("remote", ["", "/srv/git/signals", "https://gitlab.com/ada/signals.git"])
    def test_elsewhere_there_is_none(self, remote):
        assert address.parse(remote) is None

    def test_pages_of_a_project_and_of_an_owner(self):
        assert address.Repository("Ada", "signals").book == "https://ada.github.io/signals/"
        assert address.Repository("Ada", "ada.github.io").book == "https://ada.github.io/"

    def test_launches_name_the_copy(self):
        home = address.Repository("ada", "signals")
        assert home.colab("05_x").endswith("/ada/signals/blob/colab/05_x.ipynb")
        assert "work/05_x.ipynb" in home.binder("05_x") and home.binder("05_x").startswith(
            "https://mybinder.org/v2/gh/"
        )
