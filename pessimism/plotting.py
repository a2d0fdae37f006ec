"""Rate plots from rows: measured points with their uncertainty, theorems as dashed lines beside them.

One style: colour-blind safe colours (Okabe and Ito), the same colour and marker for the same rule in every figure,
theorems dashed and grey. This is the only module that imports matplotlib. All functions but `rate_plot`, which
simulates, draw what they are given and compute nothing.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Rng

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

__all__ = [
    "COLORS",
    "OWN",
    "RULES",
    "STYLE",
    "THEOREM",
    "caption",
    "curve",
    "diverging",
    "heatmap",
    "loglog",
    "panels",
    "power_label",
    "rate_plot",
    "save",
    "sequential",
    "style",
    "theorem",
]

COLORS = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "orange": "#E69F00",
    "black": "#000000",
    "wine": "#882255",
    "olive": "#999933",
    "grey": "#999999",
}
RULES = {
    "lcb": ("LCB", "blue", "o"),
    "greedy": ("greedy", "vermillion", "s"),
    "most_played": ("most played (imitation)", "green", "^"),
    "bernstein_lcb": ("Bernstein LCB", "purple", "D"),
    "plug_in": ("plug-in", "vermillion", "s"),
    "behavior_cloning": ("behavior cloning", "green", "^"),
    "vi_lcb": ("VI-LCB, Hoeffding", "blue", "o"),
    "vi_lcb_split": ("VI-LCB, split", "sky", "v"),
    "vi_lcb_bernstein": ("VI-LCB, Bernstein", "purple", "D"),
    "vi_lcb_no_stake": ("VI-LCB, no stake at 0", "wine", "<"),
    "l1": ("L1", "blue", "o"),
    "l2": ("L2", "vermillion", "s"),
    "l2_not_squared": ("L2 not squared", "orange", "D"),
    "optimal_design": ("optimal design", "sky", "v"),
    "uniform": ("uniform", "green", "^"),
    "target_only": ("target only", "black", "P"),
    "bo-rep": ("BO-REP", "blue", "o"),
    "slip": ("SLIP", "sky", "v"),
    "soba": ("SOBA", "vermillion", "s"),
    "ma-soba": ("MA-SOBA", "green", "^"),
    "amigo": ("AmIGO", "purple", "D"),
    "stocbio": ("StocBiO", "orange", "P"),
    "accbo": ("AccBO", "wine", "<"),
    "clipped-ma-soba": ("clipped MA-SOBA", "olive", "p"),
    "saba": ("SABA", "black", "*"),
    "ttsa": ("TTSA", "grey", "X"),
}
OWN = (("black", "v"), ("purple", "D"), ("orange", "P"), ("wine", "<"), ("sky", "X"), ("olive", "p"))
"""Colours and markers of rules that are not in `RULES`, in the order in which a figure meets them."""

MOST_TICKS = 12
MAX_INCHES, MAX_PANELS = 100.0, 100
THEOREM: dict[str, Any] = {"color": "0.35", "linestyle": (0, (5, 2.5)), "linewidth": 1.1, "zorder": 3}

STYLE: Any = {  # Any: matplotlib types the keys of its settings one by one
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 2.2,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "pdf.fonttype": 42,
    "svg.hashsalt": "pessimism",
}


@contextmanager
def style() -> Iterator[None]:
    """Apply the style of this package to everything drawn inside the ``with`` block.

    Yields
    ------
    None
        Matplotlib's settings are restored afterwards.

    Examples
    --------
    >>> with style():
    ...     figure, axes = panels(1, 2)
    >>> len(axes)
    2
    """
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def panels(
    rows: int, columns: int, *, width: float = 7.2, height: float = 2.9, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure with a grid of panels, as a flat list.

    Parameters
    ----------
    rows, columns : int
        Shape of the grid.
    width : float
        Width of the figure, in inches.
    height : float
        Height of one row of panels, in inches.
    sharey : bool
        Whether all panels have the same vertical axis.

    Returns
    -------
    Figure, list of Axes
        Panels row by row. The figure belongs to no window and needs no closing; as the last line of a notebook's cell
        it shows itself.

    Examples
    --------
    >>> figure, axes = panels(2, 2)
    >>> len(axes)
    4
    """
    from matplotlib.figure import Figure

    class Shown(Figure):
        """A figure without a window, which a notebook shows as the value of a cell."""

        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            self.savefig(file, format="png")
            return file.getvalue()

    count = _check.whole("rows", rows, low=1, high=MAX_PANELS), _check.whole("columns", columns, low=1, high=MAX_PANELS)
    size = _check.positive("width", width, MAX_INCHES), _check.positive("height", height, MAX_INCHES) * count[0]
    figure = Shown(figsize=size, layout="constrained")
    grid = figure.subplots(*count, squeeze=False, sharey=_check.flag("sharey", sharey))
    return figure, list(grid.ravel())


def curve(
    axes: Axes,
    x: ArrayLike,
    y: ArrayLike,
    *,
    rule: str,
    se: ArrayLike | None = None,
    label: str | None = None,
    note: str = "",
    color: str | None = None,
    marker: str | None = None,
) -> None:
    """Draw what was measured for one rule: points joined by lines, with bars of two standard errors unless exact.

    Parameters
    ----------
    axes : Axes
        Panel to draw in.
    x, y : (k,) array_like of float
        Points; NaN are left out, and on a logarithmic axis zeros too.
    rule : str
        A key of `RULES`, for name, colour and marker. Any other name gets the next pair of `OWN`, the same in all
        panels of the figure.
    se : (k,) array_like of float, optional
        Standard errors of y. Without them the points are exact. On a logarithmic axis a bar that would reach zero ends
        at a tenth of the smallest point.
    label : str, optional
        Name in the legend. Default: that of the rule.
    note : str
        Added to the label, as in a measured slope.
    color : str, optional
        A key of `COLORS` or any colour of Matplotlib, in place of the rule's.
    marker : str, optional
        A marker of Matplotlib, in place of the rule's.

    Raises
    ------
    ValueError
        If the arrays are not of one shape.

    Examples
    --------
    >>> figure, (axes,) = panels(1, 1)
    >>> curve(axes, [10, 100], [0.1, 0.01], rule="lcb", note=", slope -1.00")
    >>> axes.get_lines()[0].get_label()
    'LCB, slope -1.00'
    """
    _of_matplotlib(axes=axes)
    _texts(rule=rule, note=note, **({} if label is None else {"label": label}))
    name, usual_color, usual_marker = RULES.get(rule) or (rule, *_own_look(axes, rule))
    usual_color = COLORS[usual_color]
    color = usual_color if color is None else _color(color)
    marker = usual_marker if marker is None else _marker(marker)
    position, value = _numbers("x", x), _numbers("y", y)
    errors = np.zeros(position.shape) if se is None else _numbers("se", se)
    for part, array in (("y", value), ("se", errors)):
        _same_shape(part, array, position)
    _check.require("se", errors, ~(errors < 0.0), "at least 0")
    drawn = np.isfinite(value) & ((value > 0) | (axes.get_yscale() == "linear"))
    kind: dict[str, Any] = {"color": color, "marker": marker, "label": (label or name) + note}
    if marker == "s":  # hollow and larger, to be seen around another rule's point
        kind |= {"markerfacecolor": "none", "markersize": 6}
    if se is None:
        axes.plot(position[drawn], value[drawn], **kind)
        return
    middle, error = value[drawn], 2.0 * errors[drawn]
    low = error
    if axes.get_yscale() == "log" and len(middle):
        low = np.minimum(error, np.where(error < middle, error, middle - middle.min() / 10.0))
    axes.errorbar(position[drawn], middle, yerr=[low, error], capsize=2, elinewidth=0.9, **kind)


def _color(color: Any) -> Any:
    """A colour as Matplotlib takes it."""
    from matplotlib.colors import is_color_like

    known = COLORS.get(color, color) if isinstance(color, str) else color
    if not isinstance(known, (str, tuple)) or not is_color_like(known):
        raise ValueError(f"color must be a key of COLORS or a colour of Matplotlib, got {_check.shown(color)}")
    return known


def _marker(marker: str) -> str:
    from matplotlib.markers import MarkerStyle

    _check.instance("marker", marker, str)
    try:
        MarkerStyle(marker)
    except ValueError:
        raise ValueError(f"marker must be a marker of Matplotlib, got {_check.shown(marker)}") from None
    return marker


def _own_look(axes: Axes, rule: str) -> tuple[str, str]:
    """Colour and marker of somebody's own rule, by the order in which the figure met them."""
    figure: Any = axes.figure
    met = figure.__dict__.setdefault("_own_rules", [])
    if rule not in met:
        met.append(rule)
    return OWN[met.index(rule) % len(OWN)]


def theorem(axes: Axes, x: ArrayLike, y: ArrayLike, *, label: str | None = None, color: str | None = None) -> None:
    """Draw a proved or predicted curve, dashed; where it is NaN (the theorem says nothing), it is left out.

    Parameters
    ----------
    axes : Axes
        Panel to draw in.
    x, y : (k,) array_like of float
        Points of the curve.
    label : str, optional
        Name in the legend, with its source.
    color : str, optional
        A key of `COLORS`. Default: grey.

    Examples
    --------
    >>> figure, (axes,) = panels(1, 1)
    >>> theorem(axes, [10, 100], [0.1, 0.01], label="1/N")
    >>> axes.get_lines()[0].get_linestyle()
    '--'
    """
    _of_matplotlib(axes=axes)
    _texts(**({} if label is None else {"label": label}))
    position, value = _numbers("x", x), _numbers("y", y)
    _same_shape("y", value, position)
    look = THEOREM if color is None else {**THEOREM, "color": COLORS[_check.choice("color", color, tuple(COLORS))]}
    axes.plot(position, value, label=label, **look)


def loglog(axes: Axes, *, x: str, y: str, title: str = "") -> None:
    """Make both axes logarithmic and name them, with units.

    Parameters
    ----------
    axes : Axes
        Panel.
    x, y : str
        Names of the axes, with units.
    title : str
        Title of the panel.

    Examples
    --------
    >>> figure, (axes,) = panels(1, 1)
    >>> loglog(axes, x="rounds N", y="loss (reward units)")
    >>> axes.get_xscale()
    'log'
    """
    _of_matplotlib(axes=axes)
    _texts(x=x, y=y, title=title)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, loc="left")


def heatmap(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[float],
    values: ArrayLike,
    *,
    cmap: str | Colormap | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
) -> AxesImage:
    """Draw values over a grid, one cell a point, ticks at some of the points.

    Parameters
    ----------
    axes : Axes
        Panel.
    x, y : sequence of float
        Positions of columns and rows; drawn at equal distances, every second or third with a tick if there are many.
    values : (rows, columns) array_like of float
        One value a cell. NaN has the colour map's colour for no value; infinities have those of its ends.
    cmap : str or Colormap, optional
        Colour map, by default Matplotlib's.
    vmin, vmax : float, optional
        Ends of its scale, by default the smallest and the largest finite value.

    Returns
    -------
    AxesImage
        For a colour bar.

    Examples
    --------
    >>> figure, (axes,) = panels(1, 1)
    >>> heatmap(axes, [1, 10], [0.1, 0.2], [[1.0, 2.0], [3.0, 4.0]]).get_array().shape
    (2, 2)
    """
    _of_matplotlib(axes=axes)
    cells, columns, rows = _numbers("values", values), _check.real_array("x", x), _check.real_array("y", y)
    if columns.ndim != 1 or rows.ndim != 1 or cells.shape != (*rows.shape, *columns.shape) or not cells.size:
        expected = "values must have shape (rows, columns) with an entry for each of y and of x"
        raise ValueError(f"{expected}, got {cells.shape} with {rows.shape} and {columns.shape}")
    finite = cells[np.isfinite(cells)]
    low = _end("vmin", vmin, finite.min() if finite.size else None)
    high = _end("vmax", vmax, finite.max() if finite.size else None)
    if low is not None and high is not None and low > high:
        raise ValueError(f"vmin must be at most vmax = {high:g}, got {low:g}")
    colors = None if cmap is None else _colormap(cmap)
    image = axes.imshow(cells, origin="lower", aspect="auto", interpolation="nearest", cmap=colors, vmin=low, vmax=high)
    for place, set_ticks in ((columns, axes.set_xticks), (rows, axes.set_yticks)):
        ticks = range(0, len(place), math.ceil(len(place) / MOST_TICKS))
        set_ticks(ticks, [power_label(place[tick].item()) for tick in ticks])
    axes.grid(visible=False)
    return image


def _end(name: str, given: float | None, usual: float | None) -> float | None:
    return usual if given is None else float(_check.real_array(name, _check.scalar(name, given)))


def _colormap(cmap: Any) -> Any:
    import matplotlib
    from matplotlib.colors import Colormap

    if isinstance(cmap, Colormap) or (isinstance(cmap, str) and cmap in matplotlib.colormaps):
        return cmap
    raise ValueError(f"cmap must be a colour map of Matplotlib or its name, got {_check.shown(cmap)}")


def power_label(value: float) -> str:
    r"""Tick label: powers of ten as such, other numbers short.

    Parameters
    ----------
    value : float
        Position of the tick.

    Returns
    -------
    str
        In mathtext.

    Examples
    --------
    >>> power_label(1000.0), power_label(0.5)
    ('$10^{3}$', '0.5')
    """
    value = _check.scalar("value", value)
    if 0 < value < math.inf and abs(math.log10(value) - round(math.log10(value))) < 1e-9 and not 0.1 <= value <= 10:
        return f"$10^{{{round(math.log10(value))}}}$"
    return f"{value:.3g}"


def caption(figure: Figure, *lines: str) -> None:
    """Write below the panels what a figure shows, with which uncertainty, and where its theorem comes from.

    Parameters
    ----------
    figure : Figure
        Figure.
    *lines : str
        A sentence or two, each broken where the figure ends.

    Examples
    --------
    >>> figure, axes = panels(1, 1)
    >>> caption(figure, "Exact.")
    """
    _of_matplotlib(figure=figure)
    _texts(**{f"lines[{i}]": line for i, line in enumerate(lines)})
    letters = int(figure.get_figwidth() * 72.0 / (7.5 * 0.56))  # a letter is about half as wide as it is high
    wrapped = [textwrap.fill(line, letters) for line in lines]
    figure.supxlabel("\n".join(wrapped), fontsize=7.5, color="0.3", x=0.01, ha="left")


def save(figure: Figure, path: str | Path) -> list[Path]:
    """Write a figure as PNG and PDF, or in the one format that the name ends with.

    Parameters
    ----------
    figure : Figure
        Figure.
    path : str or Path
        Where; the folder must exist. With the suffix .png, .pdf or .svg one file is written, else a PNG and a PDF.

    Returns
    -------
    list of Path
        What was written. The files hold no dates: equal figures are equal files.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind.
    OSError
        If a file cannot be written there.

    Examples
    --------
    >>> import tempfile
    >>> figure, axes = panels(1, 1)
    >>> [file.suffix for file in save(figure, Path(tempfile.mkdtemp()) / "empty")]
    ['.png', '.pdf']
    """
    import matplotlib

    _of_matplotlib(figure=figure)
    name = _check.path("path", path)
    undated = {".png": "Software", ".pdf": "CreationDate", ".svg": "Date"}
    one = Path(name).suffix in undated
    files = [Path(name)] if one else [Path(f"{name}{suffix}") for suffix in (".png", ".pdf")]
    layout = figure.get_layout_engine()
    with matplotlib.rc_context(STYLE):
        for file in files:
            figure.savefig(file, metadata={undated[file.suffix]: None})
            figure.set_layout_engine("none")  # the layout of the first file, which costs as much as drawing it
    figure.set_layout_engine(layout)
    return files


def sequential() -> Colormap:
    """Colour map for exponents: perceptually uniform and safe for colour-blind readers.

    Returns
    -------
    Colormap
        Matplotlib's cividis, cells without a value in light grey.

    Examples
    --------
    >>> sequential().name
    'cividis'
    """
    import matplotlib

    return matplotlib.colormaps["cividis"].with_extremes(bad="0.9")


def diverging() -> Colormap:
    """Colour map for ratios around 1: blue where the first is smaller, red where it is larger.

    Returns
    -------
    Colormap
        Matplotlib's RdBu reversed, cells without a value in light grey.

    Examples
    --------
    >>> diverging().name
    'RdBu_r'
    """
    import matplotlib

    return matplotlib.colormaps["RdBu_r"].with_extremes(bad="0.9")


def rate_plot(
    rules: Mapping[str, Callable[..., Any]] | Callable[..., Any],
    *,
    cstar: float,
    n: Sequence[int] = (100, 300, 1_000, 3_000, 10_000),
    size: int = 4_000,
    rng: Rng = None,
) -> tuple[Figure, list[dict[str, Any]]]:
    r"""Draw the worst loss of any rules for offline bandits against N, beside the theorem, by one call.

    Parameters
    ----------
    rules : mapping of str to callable, or callable
        ``rule(data) -> policy`` by name, or one rule.
    cstar : float
        :math:`C^*` of the log, at least 1.
    n : sequence of int
        Rounds N, each at least 1.
    size : int
        Data sets a point, at least 4: half of them choose the worst gap, the other half value it.
    rng : Generator, SeedSequence or int, optional
        Source of the data sets; all rules see the same.

    Returns
    -------
    Figure, list of dict
        The plot, and the rows of `rates.worst_rows` that it shows.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or a rule returns no policies.

    Examples
    --------
    >>> from pessimism.bandits import greedy, lcb
    >>> figure, rows = rate_plot({"lcb": lcb, "greedy": greedy}, cstar=4, n=[100, 1_000], size=200, rng=0)
    >>> sorted({row["rule"] for row in rows}), len(rows)
    (['greedy', 'lcb'], 4)
    """
    from pessimism import rates
    from pessimism.bandits import bounds

    named = {getattr(rules, "__name__", "rule"): rules} if callable(rules) else rules
    rows = rates.worst_rows(named, cstar=cstar, n=n, size=size, rng=rng)
    with style():
        figure, (axes,) = panels(1, 1, width=4.5, height=3.2)
        loglog(axes, x="rounds N", y="worst loss (reward units)", title=f"C* = {cstar:g}")
        for rule, points in rates.group(rows, "rule").items():
            sizes, loss, se = (np.array([row[key] for row in points], float) for key in ("n", "loss", "loss_se"))
            curve(axes, sizes, loss, se=se, rule=rule)
        smooth = np.geomspace(min(n), max(n), 60)
        theorem(axes, smooth, bounds.lcb_upper(smooth, cstar, arms=2), label="upper bound for LCB")
        axes.legend()
        caption(figure, "Two arms, means 1/2 ± gap/2, the gap worst for each rule and N. Bars: two standard errors.")
    return figure, rows


def _numbers(name: str, value: ArrayLike) -> Floats:
    """As they are: NaN are left out of a figure."""
    with np.errstate(over="ignore"):  # what only a long double holds is left out too
        return np.asarray(_check.numeric(name, value), np.float64)


def _same_shape(name: str, array: Floats, position: Floats) -> None:
    if position.ndim != 1:
        raise ValueError(f"x must have one axis, got shape {position.shape}")
    if array.shape != position.shape:
        raise ValueError(f"{name} must have the shape {position.shape} of x, got {array.shape}")


def _texts(**texts: str) -> None:
    for name, text in texts.items():
        _check.instance(name, text, str)


def _of_matplotlib(**things: object) -> None:
    """Axes and figures, by their name as an argument."""
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    for name, thing in things.items():
        _check.instance(name, thing, {"axes": Axes, "figure": FigureBase}[name])
