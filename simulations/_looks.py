"""How estimators look in figures: name, colour, marker."""

from typing import Any

from pessimism import plotting

LOOKS = {
    "direct": ("direct", "blue", "o"),
    "ips": ("IPS", "vermillion", "^"),
    "snips": ("SNIPS", "orange", "v"),
    "doubly_robust": ("doubly robust", "green", "D"),
    "cross_fit": ("cross-fit", "purple", "s"),
}


def draw(panel: Any, x: Any, y: Any, estimator: str, **more: Any) -> None:
    label, color, marker = LOOKS[estimator]
    plotting.curve(panel, x, y, rule=estimator, **{"label": label, "color": color, "marker": marker} | more)
