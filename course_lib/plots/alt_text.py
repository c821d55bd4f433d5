"""Text for readers who cannot see a figure: what its axes are, their ranges, what is drawn and where it is highest."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.category import StrCategoryLocator
from matplotlib.collections import PathCollection, PolyCollection, QuadMesh
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator

LONGEST = 900  # characters: a screen reader reads all of it
PANELS = 4  # described one by one; of a larger grid, the first stands for all
FEW_LINES = 6
THIN = 0.3  # of a row's height: a bar below is a mark
NAMES = 12


def describe(figure: Figure) -> str:
    """One or a few sentences on `figure`, read off what is drawn on it: at most 900 characters.

    For each panel: title, axes with units and ranges, then lines, dots, bars and images with their highest value and
    where it lies. A grid of more than four panels names all of them and describes the first.
    """
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>" and ax.get_visible()]
    if not panels:
        return "An empty figure."
    title = figure.get_suptitle()
    opening = f"{title}. " if title else ""
    if len(panels) > PANELS:
        names = _listed([ax.get_title() or ax.get_title("left") or f"panel {n}" for n, ax in enumerate(panels, 1)])
        text = f"{opening}{len(panels)} panels: {names}. The first: {_panel(panels[0])}"
    elif len(panels) > 1:
        text = opening + " ".join(f"Panel {number}: {_panel(ax)}" for number, ax in enumerate(panels, 1))
    else:
        text = opening + _panel(panels[0])
    text = text.replace(r"\$", "$").replace("\u200b", "")  # how `inputs.short` keeps matplotlib from reading formulas
    return text if len(text) <= LONGEST else text[: LONGEST - 2].rsplit(" ", 1)[0] + " …"


def alternative_text() -> None:
    """From now on, IPython stores `describe(figure)` with each figure that it shows, as `alt` beside the PNG.

    Outside IPython nothing happens. `style` calls it, so a notebook's figures have their text without another line.
    """
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:  # a script on a machine without IPython
        return
    shell = get_ipython()
    if shell is not None and shell.display_formatter is not None:
        shell.display_formatter.mimebundle_formatter.for_type(Figure, _metadata)


def _metadata(figure: Figure, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """No data of its own, only metadata: the picture still comes from matplotlib's formatter."""
    return {}, {"image/png": {"alt": describe(figure)}}


def _panel(ax: Axes) -> str:
    """Title, axes, and what is drawn, as sentences."""
    drawn = [*_images(ax), *_bars(ax), *_boxes(ax), *_lines(ax), *_dots(ax), *_words(ax)]
    title = (ax.get_title() or ax.get_title("left")).replace("\n", " ")
    parts = [title] if title else []
    parts += [axes] if (axes := _axes(ax)) else []
    return ". ".join([*parts, *(drawn or ["Nothing is drawn"])]) + "."


def _axes(ax: Axes) -> str:
    if not ax.axison:
        return ""
    return "; ".join(text for axis, name in ((ax.xaxis, "x"), (ax.yaxis, "y")) if (text := _axis(axis, name)))


def _axis(axis: Any, name: str) -> str:
    """Its label and range, or the names on its ticks; empty for an axis without either."""
    label, (low, high) = axis.get_label_text(), sorted(axis.get_view_interval())
    names = _tick_names(axis)
    if names:
        return f"{name} axis{f' {label}' if label else ''}: {_listed(list(names.values()))}"
    if not label and not axis.get_ticklocs().size:
        return ""
    scale = ", logarithmic" if axis.get_scale() == "log" else ""
    return f"{name} axis{f' {label}' if label else ''} from {_number(low)} to {_number(high)}{scale}"


def _tick_names(axis: Any) -> dict[float, str]:
    """Position -> text where ticks were given names, as those of classes; empty where they are plain numbers."""
    places = [float(place) for place in axis.get_ticklocs()]
    if not isinstance(axis.get_major_locator(), FixedLocator | StrCategoryLocator):
        return {}
    shared = getattr(axis.axes, f"get_shared_{axis.axis_name}_axes")().get_siblings(axis.axes)  # inner panels have none
    labels = ([label.get_text() for label in getattr(ax, f"{axis.axis_name}axis").get_ticklabels()] for ax in shared)
    names = max(labels, key=lambda texts: sum(map(bool, texts)))
    named = {place: name for place, name in zip(places, names, strict=False) if name}
    return {} if all(_number(place) == name.replace("-", "−") for place, name in named.items()) else named


def _images(ax: Axes) -> list[str]:
    """Pictures, matrices and spectrograms: size, and the cell with the largest value."""
    said = []
    meshes: list[Any] = [*ax.images, *(item for item in ax.collections if isinstance(item, QuadMesh))]
    for mesh in meshes:
        values: np.ndarray = np.ma.filled(np.ma.asarray(mesh.get_array(), dtype=float), np.nan)
        if values.ndim == 1 and isinstance(mesh, QuadMesh):
            values = values.reshape(np.shape(mesh.get_coordinates())[0] - 1, -1)
        if values.ndim != 2 or not np.isfinite(values).any():
            said.append("An image")
            continue
        row, column = np.unravel_index(np.nanargmax(values), values.shape)
        x, y = _cell(mesh, int(row), int(column), values.shape)
        low, high = np.nanmin(values), np.nanmax(values)
        if low == high:
            said.append(f"Colours show {values.shape[0]} × {values.shape[1]} values, all {_number(low)}")
            continue
        said.append(
            f"Colours show {values.shape[0]} × {values.shape[1]} values from {_number(low)} to {_number(high)}, "
            f"highest at {_place(ax.xaxis, x)}, {_place(ax.yaxis, y)}"
        )
    return said


def _cell(mesh: AxesImage | QuadMesh, row: int, column: int, shape: tuple[int, ...]) -> tuple[float, float]:
    """The middle of one cell, in the units of the axes."""
    if isinstance(mesh, QuadMesh):
        corners = np.asarray(mesh.get_coordinates())[row : row + 2, column : column + 2].reshape(-1, 2)
        return float(corners[:, 0].mean()), float(corners[:, 1].mean())
    left, right, bottom, top = mesh.get_extent()
    if mesh.origin == "upper":
        row = shape[0] - 1 - row
    return left + (right - left) * (column + 0.5) / shape[1], bottom + (top - bottom) * (row + 0.5) / shape[0]


def _boxes(ax: Axes) -> list[str]:
    """Rectangles that are no bars: cells of a layout."""
    bars = {id(bar) for container in ax.containers if isinstance(container, BarContainer) for bar in container.patches}
    patches = [patch for patch in ax.patches if isinstance(patch, Rectangle) and id(patch) not in bars]
    boxes = [patch for patch in patches if patch.get_data_transform() == ax.transData]  # no shading across the panel
    hatched = sum(bool(box.get_hatch()) for box in boxes)
    return [_count(len(boxes), "box", "es") + (f", {hatched} of them hatched" if hatched else "")] if boxes else []


def _strips(ax: Axes, singles: list[Any]) -> list[str]:
    """Bars that were drawn one by one along named rows, as the runs of a label: how many a row, and how long.

    Thin ones are marks below their row; of these the whole length is said.
    """
    runs: dict[str, list[float]] = {}
    marks: dict[str, float] = {}
    for bar in singles:
        row, width = _place(ax.yaxis, bar.get_y() + bar.get_height() / 2), float(bar.get_width())
        if bar.get_height() < THIN:
            marks[row] = marks.get(row, 0.0) + width
        else:
            runs.setdefault(row, []).append(width)
    return [
        f"{row}: {_count(len(widths), 'run')}, {_number(min(widths))} to {_number(max(widths))} long"
        + (f", {_number(marks[row])} marked" if row in marks else "")
        for row, widths in runs.items()
    ]


def _bars(ax: Axes) -> list[str]:
    said = []
    drawn = [container for container in ax.containers if isinstance(container, BarContainer)]
    singles = [c.patches[0] for c in drawn if len(c.patches) == 1 and c.orientation == "horizontal"]
    if len(singles) == len(drawn) > 2 and _tick_names(ax.yaxis):
        return _strips(ax, singles)
    for container in drawn:
        across = container.orientation == "horizontal"
        values = np.array([bar.get_width() if across else bar.get_height() for bar in container.patches], float)
        if shown := int(np.isfinite(values).sum()):  # a bar of NaN is not drawn
            best = container.patches[int(np.nanargmax(values))]
            middle = best.get_y() + best.get_height() / 2 if across else best.get_x() + best.get_width() / 2
            where = _place(ax.yaxis if across else ax.xaxis, middle)
            named = f" {name}" if (name := container.get_label()) and not name.startswith("_") else ""
            said.append(
                f"{_count(shown, 'bar')}{named}, from {_number(np.nanmin(values))} to "
                f"{_number(np.nanmax(values))}, longest at {where}"
            )
    return said


def _lines(ax: Axes) -> list[str]:
    """Curves with their names; of a rule across the panel only what its name says; more than six in one sentence."""
    bars = [c for c in ax.containers if isinstance(c, ErrorbarContainer) and c[0] is not None]
    parts = {id(line) for c in bars for line in [c[0], *c[1]]}
    curves = [(str(line.get_label()), line) for line in ax.lines if id(line) not in parts]
    curves = [(label, line) for label, line in curves if len(_xy(line)[0]) > 2 or not label.startswith("_")]
    curves += [(str(c.get_label()), c[0]) for c in bars]
    curves = [(label, line) for label, line in curves if np.isfinite(_xy(line)[1]).any()]
    if len(curves) <= FEW_LINES:
        return [_curve(ax, label, line) for label, line in curves]
    values = np.concatenate([_xy(line)[1] for _, line in curves])
    names = [label for label, _ in curves if not label.startswith("_")]
    listed = f": {_listed(names)}" if names else ""
    return [f"{len(curves)} lines between {_number(np.nanmin(values))} and {_number(np.nanmax(values))}{listed}"]


def _curve(ax: Axes, label: str, line: Line2D) -> str:
    x, y = _xy(line)
    name = "A line" if label.startswith("_") else f"“{label}”"
    if line.get_linestyle() in ("None", "", " "):
        name = "Markers" if label.startswith("_") else f"Markers “{label}”"
    rows = _tick_names(ax.yaxis)
    values, across, axis = (x, y, ax.yaxis) if rows else (y, x, ax.xaxis)
    low, high, best = np.nanmin(values), np.nanmax(values), int(np.nanargmax(values))
    if low == high:
        return f"{name} at {_number(low)}"
    steps = np.diff(values[np.isfinite(values)])
    if not rows and len(values) > 1 and ((steps >= 0).all() or (steps <= 0).all()):
        first, last = values[np.isfinite(values)][[0, -1]]
        return f"{name} {'rises' if last > first else 'falls'} from {_number(first)} to {_number(last)}"
    return f"{name} between {_number(low)} and {_number(high)}, highest at {_place(axis, float(across[best]))}"


def _xy(line: Line2D) -> tuple[np.ndarray, np.ndarray]:
    """What the line goes through, as numbers, also where it was given names."""
    x, y = line.get_data(orig=False)
    return np.asarray(x, dtype=float), np.asarray(y, dtype=float)


def _dots(ax: Axes) -> list[str]:
    clouds = [c for c in ax.collections if isinstance(c, PathCollection) and np.size(c.get_offsets())]
    bands = [c for c in ax.collections if isinstance(c, PolyCollection) and not isinstance(c, QuadMesh)]
    said = []
    offsets = [np.ma.filled(np.ma.asarray(cloud.get_offsets(), dtype=float), np.nan) for cloud in clouds]
    points = np.concatenate([np.zeros((0, 2)), *offsets])
    points = points[np.isfinite(points).all(axis=1)]  # a dot at NaN is not drawn
    if len(points):
        named = bool(_tick_names(ax.yaxis))
        values, rows, axis = points[:, 1 - named], points[:, int(named)], ax.yaxis if named else ax.xaxis
        best = int(np.argmax(values))
        said.append(
            f"{_count(len(points), 'dot')} between {_number(values.min())} and {_number(values.max())}, "
            f"highest at {_place(axis, float(rows[best]))}"
        )
    if bands:
        said.append(_count(len(bands), "shaded band"))
    return said


def _words(ax: Axes) -> list[str]:
    words = [text.get_text().replace("\n", " ") for text in ax.texts if any(map(str.isalpha, text.get_text()))]
    return [f"Labels: {_listed(words)}"] if words else []


def _place(axis: Any, at: float) -> str:
    """A position in words: the tick's name where ticks have names, else the number with the axis' unit."""
    names = _tick_names(axis)
    if names:
        return names[min(names, key=lambda place: abs(place - at))]
    label = axis.get_label_text()
    unit = label[label.rindex("(") + 1 : label.rindex(")")] if "(" in label and ")" in label else ""
    short = unit and " " not in unit
    return f"{axis.axis_name} = {_number(at)}{f' {unit}' if short else ''}"


def _number(value: float) -> str:
    text = f"{float(value):.3g}"
    return (f"{float(value):.0f}" if "e+" in text and abs(value) < 1e6 else text).replace("-", "−")


def _count(number: int, what: str, plural: str = "s") -> str:
    return f"{number} {what}{'' if number == 1 else plural}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:NAMES])
    return shown + (f" and {len(names) - NAMES} more" if len(names) > NAMES else "")
