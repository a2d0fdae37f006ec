"""What figures write into their panels: numbers with a proper minus sign, and lines in the colours of their rules."""

from collections.abc import Sequence
from typing import Any

from pessimism import plotting


def signed(value: float, digits: int = 2) -> str:
    """Rounded, with a minus sign that is not a hyphen, and no minus in front of a zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def tell(panel: Any, notes: Sequence[tuple[float, str, str]], *, step: float = 0.08) -> None:
    """Write (height, text, rule) into the lower left corner, the text of the lowest curve lowest."""
    for line, (_, text, rule) in enumerate(sorted(notes)):
        color = plotting.COLORS[plotting.RULES[rule][1]]
        panel.text(0.05, 0.04 + step * line, text, color=color, transform=panel.transAxes, fontsize=8)


def legend_above(figure: Any, *panels: Any, columns: int = 2, last: Sequence[str] = ()) -> None:
    """One legend above all panels, every label once; those that contain a word of `last` come last."""
    entries: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    labels = sorted(entries, key=lambda label: any(word in label for word in last))
    figure.legend([entries[label] for label in labels], labels, loc="outside upper center", ncols=columns)
