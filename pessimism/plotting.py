"""Rate plots from rows: measured points with their uncertainty, theorems as dashed lines beside them.

One style: colour-blind safe colours (Okabe and Ito), the same colour and marker for the same rule in every figure,
theorems dashed and grey. This is the only module that imports matplotlib; it draws what it is given and computes
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

__all__ = [
    "COLORS",
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
        Panels row by row. The figure belongs to no window and needs no closing.

    Examples
    --------
    >>> figure, axes = panels(2, 2)
    >>> len(axes)
    4
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=sharey)
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
) -> None:
    """Draw what was measured for one rule: points joined by lines, with bars of two standard errors unless exact.

    Parameters
    ----------
    axes : Axes
        Panel to draw in.
    x, y : (k,) array_like of float
        Points; NaN are left out, and on a logarithmic axis zeros too.
    rule : str
        A key of `RULES`, for name, colour and marker; any other name gets black.
    se : (k,) array_like of float, optional
        Standard errors of y. Without them the points are exact.
    label : str, optional
        Name in the legend. Default: that of the rule.
    note : str
        Added to the label, as in a measured slope.

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
    name, color, marker = RULES.get(rule, (rule, "black", "v"))
    position, value = np.asarray(x, float), np.asarray(y, float)
    for part, array in (("y", y), ("se", se)):
        if array is not None and np.shape(array) != position.shape:
            raise ValueError(f"{part} must have the shape {position.shape} of x, got {np.shape(array)}")
    drawn = np.isfinite(value) & ((value > 0) | (axes.get_yscale() == "linear"))
    kind: dict[str, Any] = {"color": COLORS[color], "marker": marker, "label": (label or name) + note}
    if marker == "s":  # hollow and larger, to be seen around another rule's point
        kind |= {"markerfacecolor": "none", "markersize": 6}
    if se is None:
        axes.plot(position[drawn], value[drawn], **kind)
        return
    # a bar that would reach zero ends just above it, so that a logarithmic axis can hold it
    error = 2.0 * np.asarray(se, float)[drawn]
    low = np.minimum(error, value[drawn] * (1 - 1e-3))
    axes.errorbar(position[drawn], value[drawn], yerr=[low, error], capsize=2, elinewidth=0.9, **kind)


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
    look: dict[str, Any] = THEOREM if color is None else {**THEOREM, "color": COLORS[color]}
    axes.plot(np.asarray(x, float), np.asarray(y, float), label=label, **look)


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
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, loc="left")


def heatmap(axes: Axes, x: Sequence[float], y: Sequence[float], values: ArrayLike, **look: Any) -> AxesImage:
    """Draw values over a grid, one cell a point, ticks at the points.

    Parameters
    ----------
    axes : Axes
        Panel.
    x, y : sequence of float
        Positions of columns and rows; drawn at equal distances.
    values : (rows, columns) array_like of float
        One value a cell; NaN stays white.
    **look : object
        ``cmap``, ``vmin``, ``vmax``.

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
    image = axes.imshow(np.asarray(values, float), origin="lower", aspect="auto", interpolation="nearest", **look)
    axes.set_xticks(range(len(x)), [power_label(v) for v in x])
    axes.set_yticks(range(len(y)), [power_label(v) for v in y])
    axes.grid(visible=False)
    return image


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
    if value > 0 and abs(math.log10(value) - round(math.log10(value))) < 1e-9 and not 0.1 <= value <= 10:
        return f"$10^{{{round(math.log10(value))}}}$"
    return f"{value:.3g}"


def caption(figure: Figure, *lines: str) -> None:
    """Write below the panels what a figure shows, with which uncertainty, and where its theorem comes from.

    Parameters
    ----------
    figure : Figure
        Figure.
    *lines : str
        A line or two.

    Examples
    --------
    >>> figure, axes = panels(1, 1)
    >>> caption(figure, "Exact.")
    """
    figure.supxlabel("\n".join(lines), fontsize=7.5, color="0.3", x=0.01, ha="left")


def save(figure: Figure, path: str | Path) -> list[Path]:
    """Write a figure as PNG and PDF.

    Parameters
    ----------
    figure : Figure
        Figure.
    path : str or Path
        Where, without suffix; the folder must exist.

    Returns
    -------
    list of Path
        The two files. They hold no dates: equal figures are equal files.

    Examples
    --------
    >>> import tempfile
    >>> figure, axes = panels(1, 1)
    >>> [file.suffix for file in save(figure, Path(tempfile.mkdtemp()) / "empty")]
    ['.png', '.pdf']
    """
    import matplotlib

    files = [Path(f"{path}{suffix}") for suffix in (".png", ".pdf")]
    with matplotlib.rc_context(STYLE):
        figure.savefig(files[0], metadata={"Software": None})
        figure.set_layout_engine("none")  # the layout of the first file, which costs as much as drawing it
        figure.savefig(files[1], metadata={"CreationDate": None})
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
