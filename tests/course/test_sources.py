"""Numbers in prose: which there are, what counts as their source, and that a made-up one is found."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_lib.course.sources import figures_without_text, prose_numbers, unsourced

HEADER = "measure,value,std,seeds,seconds,device,date,command\n"


def markdown(text, *tags):
    return new_markdown_cell(text, id="prose", metadata={"tags": list(tags)} if tags else {})


def printing(text, source="print(x)"):
    return new_code_cell(source, id="code", outputs=[new_output("stream", text=text)])


def missing(text, printed="", *, source="print(x)", facts=None, tags=(), **where):
    notebook = new_notebook(cells=[printing(printed, source), markdown(text, *tags)])
    if facts:
        notebook.metadata["facts"] = facts
    return [number.text for number in unsourced(notebook, **where)[0]]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("from 3.1 ± 0.4 to .9 steps", ["3.1", "0.4", ".9"]),
        ("25 ± 4 % of the clips, 34 to 36 %", ["25 %", "4 %", "34 %", "36 %"]),
        ("50.0 → 48.8 %, 94.6 % before", ["50.0 %", "48.8 %", "94.6 %"]),
        ("by 2.2 to 2.6 points; 3 points", ["2.2 %", "2.6 %"]),
        ("5 epochs of 100 clips at 44,100 Hz", []),
        ("44,100.5 Hz", ["44,100.5"]),
        ("### Exercise 2.1: keep the length, see section 4.2 and notebook 07", []),
        ("`x = 0.5`, $\\alpha = 0.1$, [a table](https://x.org/1.2)", []),
        ("2.6 million parameters", []),
        ("full stop after 12.5. Then 7.", ["12.5"]),
    ],
)
def test_finds_decimals_and_percentages(text, numbers):
    assert [number.text for number in prose_numbers(markdown(text))] == numbers


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("It reaches 35.6 %.", "accuracy 0.3562"),
        ("It reaches 36 %.", "accuracy 35.6%"),
        ("It reaches .36.", "35.6%"),
        ("It loses 3.7 points.", "difference -3.71"),
        ("It loses 3.7 points, 2.2 to 2.6 points.", "difference -0.0371, -0.0221, -0.0259"),
        ("It takes 0.8 s.", "0.8 s"),
        ("The loss is 0.35.", "loss 3.5e-1"),
        ("It scores 25 ± 4 %.", "mean 0.2475, std 0.0398"),
        ("44 % of them", "share (%): 44"),
    ],
)
def test_an_output_bears_out_what_it_rounds_to(text, printed):
    assert missing(text, printed) == []


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("It reaches 35.7 %.", "accuracy 0.3562"),
        ("It reaches 0.881.", "accuracy 0.88"),  # more digits than were printed
        ("It reaches 37 %.", "35.6%"),
        ("It gains 2.9.", "version 12.9"),
        ("It takes 0.25 s.", ""),
    ],
)
def test_other_numbers_have_no_source(text, printed):
    assert len(missing(text, printed)) == 1


def test_tables_count_in_html_and_hidden_style_and_scripts_do_not():
    html = "<style>td {width: 0.77em}</style><script>x = 0.77;</script><table><td>0.6250</td></table>"
    cell = new_code_cell("table", id="c", outputs=[new_output("display_data", data={"text/html": html})])
    notebook = new_notebook(cells=[cell, markdown("62.5 % and 0.77")])
    assert [number.text for number in unsourced(notebook)[0]] == ["0.77"]


def test_a_recorded_table_counts_where_it_is_read(tmp_path):
    (tmp_path / "runs.csv").write_text(HEADER + "accuracy,0.8808,0.0038,3,431,cpu-2,2026-11-21,run\n", encoding="utf-8")
    text = "It reaches 88.1 ± 0.4 %."
    assert missing(text, source='table = results.read("runs")', results=tmp_path) == []
    assert missing(text, results=tmp_path) == ["88.1 %", "0.4 %"]
    assert missing("It took 431.0 s.", source='results.read("runs")', results=tmp_path) == ["431.0"]


def test_a_setting_counts_as_it_is_written():
    assert missing("with a rate of 0.004", source="fit(model, lr=0.004)") == []
    assert missing("with a rate of 0.04", source="fit(model, lr=0.004)") == ["0.04"]


def test_a_fact_names_its_publication_and_is_said():
    source = "K. J. Piczak, ESC, ACM Multimedia 2015, table 2"
    assert missing("People find 95.7 %.", facts={"95.7 %": source}) == []
    with pytest.raises(ValueError, match="expected the publication"):
        missing("People find 95.7 %.", facts={"95.7 %": "paper"})
    with pytest.raises(ValueError, match="no Markdown cell says this"):
        missing("People find most.", facts={"95.7 %": source})


def test_what_is_said_of_one_data_set_is_checked_on_that_one():
    generated = "400 clips … synthetic soundscape …"
    assert missing("25 % on ESC-10", "ESC-10: 400 clips", tags=["esc10"]) == ["25 %"]
    assert missing("25 % on ESC-10", generated, tags=["esc10"]) == []
    assert missing("19 % here", generated, tags=["generated"]) == ["19 %"]
    assert missing("19 % here", "ESC-10: 400 clips", tags=["generated"]) == []


def test_a_figure_without_text_is_found():
    def figure(metadata):
        return new_output("display_data", data={"image/png": "aGk="}, metadata=metadata)

    cells = [
        new_code_cell("a", id="with", outputs=[figure({"image/png": {"alt": "One line."}})]),
        new_code_cell("b", id="without", outputs=[figure({})]),
    ]
    assert figures_without_text(nbformat.v4.new_notebook(cells=cells)) == ["without"]
