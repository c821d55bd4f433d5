"""Pages of the book: solutions folded, words linked once, outputs as files; sounds; the library's reference."""

import base64
import io
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from course_lib.course.exercises.learner import BEGIN, END
from course_lib.course.site import reference, sounds
from course_lib.course.site.ideas import all_ideas
from course_lib.course.site.pages import Around, download, linked, page

STEMS = {"03": "03_attention", "04": "04_positional_encodings", "05": "05_rotary_embeddings"}
SOLVED = f"def f(x):\n    {BEGIN}\n    return x + 1\n    {END}\n\n\ncheck.f(f)"


def wav(seconds: float, rate: int = 16_000, channels: int = 1) -> bytes:
    file = io.BytesIO()
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)
    soundfile.write(file, np.repeat(tone[:, None], channels, axis=1), rate, format="WAV")
    return file.getvalue()


def player(seconds: float) -> str:
    data = base64.b64encode(wav(seconds)).decode()
    return f'<audio controls><source src="data:audio/wav;base64,{data}" type="audio/wav"/></audio>'


def made(tmp_path: Path, *cells) -> list:
    notebook = new_notebook(cells=[new_markdown_cell("# 05 Rotary"), *cells])
    return page(notebook, "05", "the head", Around(STEMS, all_ideas(), tmp_path)).cells


class TestSolutions:
    def test_the_blank_is_shown_and_the_solution_folded(self, tmp_path):
        *_, shown, folded = made(tmp_path, new_code_cell(SOLVED))
        assert "NotImplementedError" in shown.source and "x + 1" not in shown.source
        assert "x + 1" in folded.source and "hide-input" in folded.metadata.tags
        assert "SOLUTION" not in shown.source + folded.source

    def test_other_code_stays_open(self, tmp_path):
        *_, cell = made(tmp_path, new_code_cell("x = 1"))
        assert cell.source == "x = 1" and "tags" not in cell.metadata

    def test_the_head_stands_below_the_title(self, tmp_path):
        title, head, *_ = made(tmp_path, new_code_cell("x = 1"))
        assert title.source.startswith("# 05") and head.source == "the head"


class TestOutputs:
    def test_a_figure_becomes_a_file_with_its_text_and_size(self, tmp_path):
        file = io.BytesIO()
        picture = Image.effect_noise((30, 20), 90).convert("RGB")
        picture.save(file, "PNG")
        data = {"image/png": base64.b64encode(file.getvalue()).decode()}
        output = new_output("display_data", data, metadata={"image/png": {"alt": 'a "grey" box'}})
        *_, cell = made(tmp_path, new_code_cell("plot()", outputs=[output, output], id="fig"))
        first, second = (output.data["text/html"] for output in cell.outputs)
        assert 'alt="a &quot;grey&quot; box"' in first and 'width="30" height="20"' in first
        assert 'src="../files/05/fig-0.webp"' in first and "fig-1.webp" in second
        kept = Image.open(tmp_path / "05" / "fig-1.webp").convert("RGB")
        assert kept.tobytes() == picture.tobytes()

    def test_each_player_has_its_own_compressed_file(self, tmp_path):
        output = new_output("display_data", {"text/html": player(0.5) + player(1.0)})
        *_, cell = made(tmp_path, new_code_cell("Audio()", outputs=[output], id="ear"))
        assert "data:audio" not in cell.outputs[0].data["text/html"]
        files = sorted((tmp_path / "05").glob("*.mp3"))
        assert [path.name for path in files] == ["ear-0.mp3", "ear-1.mp3"]
        assert all(f"../files/05/{path.name}" in cell.outputs[0].data["text/html"] for path in files)
        assert [round(soundfile.info(path).duration, 1) for path in files] == [0.5, 1.0]

    def test_what_asks_a_server_or_needs_a_kernel_is_left_out(self, tmp_path):
        film = '<link rel="stylesheet" href="https://example.org/icons.css"><p>film</p>'
        slider = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "interactive(…)"}
        bar = new_output("stream", name="stderr", text="50%|#####     | 1/2 [00:01<00:01, 1.0it/s]")
        outputs = [new_output("display_data", {"text/html": film}), new_output("display_data", slider), bar]
        *_, cell = made(tmp_path, new_code_cell("film()", outputs=outputs))
        assert [output.data["text/html"] for output in cell.outputs] == ["<p>film</p>"]

    def test_the_slider_of_a_film_has_a_name(self, tmp_path):
        film = '<input id="_anim" type="range" class="anim-slider" name="points">'
        output = new_output("display_data", {"text/html": film})
        *_, cell = made(tmp_path, new_code_cell("film()", outputs=[output]))
        assert 'type="range" aria-label="picture of the film" class' in cell.outputs[0].data["text/html"]

    def test_a_table_scrolls_in_its_own_box(self, tmp_path):
        output = new_output("execute_result", {"text/html": "<table><tr><td>1</td></tr></table>"}, execution_count=1)
        *_, cell = made(tmp_path, new_code_cell("table", outputs=[output]))
        assert cell.outputs[0].data["text/html"].startswith('<div class="scroll" tabindex="0"')

    def test_the_download_holds_its_sounds_compressed(self):
        output = new_output("display_data", {"text/html": player(2.0)})
        notebook = new_notebook(cells=[new_code_cell("Audio()", outputs=[output])], metadata={"widgets": {}})
        copy = download(notebook)
        assert "data:audio/mpeg" in copy.cells[0].outputs[0].data["text/html"]
        assert len(nbformat.writes(copy)) < len(nbformat.writes(notebook)) / 3
        assert "widgets" in notebook.metadata and "widgets" not in copy.metadata


class TestLinks:
    WORDS = {"rotary": "rotary embedding", "RoPE": "rotary embedding", "mask": "mask"}

    def said(self, *texts: str) -> list[str]:
        words = dict(self.WORDS)
        return [linked(text, words, STEMS, "05") for text in texts]

    def test_the_first_use_of_an_idea_leads_to_the_glossary_and_no_other(self):
        first, second = self.said("A mask, then rotary, RoPE, rotary.", "A mask.")
        assert first == "A {term}`mask <mask>`, then {term}`rotary <rotary embedding>`, RoPE, rotary."
        assert second == "A mask."

    @pytest.mark.parametrize(
        "text",
        [
            "# A mask",
            "`mask`",
            "```\nmask\n```",
            "$mask$",
            "[mask](https://x.org/mask)",
            "masked",
            "un-mask",
            "    mask = 1",
        ],
    )
    def test_code_headings_formulas_and_other_words_are_left_alone(self, text):
        assert self.said(text) == [text]

    def test_a_word_over_two_lines_is_found(self):
        words = {"attention pooling": "attention pooling"}
        assert linked("by attention\npooling.", words, {}, "09") == "by {term}`attention pooling <attention pooling>`."

    def test_notebooks_are_linked_by_their_numbers_but_not_this_one(self):
        (text,) = self.said("Notebooks 03 and 04, notebook 05, notebook 77, exercise 03.")
        linked = "Notebooks [03](03_attention.ipynb) and [04](04_positional_encodings.ipynb)"
        assert text == f"{linked}, notebook 05, notebook 77, exercise 03."


class TestSounds:
    def test_a_long_sound_is_cut_and_faded(self):
        mp3, seconds = sounds.compressed(wav(9.0))
        samples, rate = soundfile.read(io.BytesIO(mp3))
        assert seconds == sounds.LONGEST and rate == 16_000
        assert np.abs(samples[-rate // 100 :]).max() < 0.1 < np.abs(samples[rate : 2 * rate]).max()
        assert len(mp3) < len(wav(9.0)) / 5

    def test_a_rate_that_mp3_does_not_know_is_resampled_and_stereo_mixed(self):
        mp3, seconds = sounds.compressed(wav(1.0, rate=20_000, channels=2))
        samples, rate = soundfile.read(io.BytesIO(mp3))
        assert rate == 22_050 and samples.ndim == 1 and round(seconds, 2) == 1.0
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
        assert abs(spectrum.argmax() * rate / len(samples) - 440) < 3

    def test_what_is_no_sound_says_so(self):
        with pytest.raises(ValueError, match="expected a sound file, got 4 bytes"):
            sounds.compressed(b"what")

    def test_other_players_are_left_alone(self):
        other = '<audio src="bark.ogg"></audio>'
        assert sounds.players(other, lambda mp3: "x") == other


class TestReference:
    def test_every_public_name_of_a_room_stands_there_with_its_signature(self):
        text = reference.room_page("events")
        assert "{py:function} course_lib.events.detections." in text
        assert "{py:class} course_lib.events.refractory.RefractoryPeriodEnforcer(" in text
        assert "(self" not in text and "_private" not in text

    def test_docstrings_keep_code_and_lose_accidental_emphasis(self):
        assert reference.text("x * y, *args, `a * b`, snake_case") == r"x \* y, \*args, `a * b`, snake\_case"
        assert reference.text("Use it::\n\n    x = [1]") == "Use it:\n\n    x = [1]"

    def test_every_room_has_a_page_in_the_overview(self):
        rooms = reference.overview(reference.ROOMS)
        assert all(f"[{room}]({room}.md)" in rooms for room in reference.ROOMS)
