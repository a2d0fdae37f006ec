"""Figures: what is drawn is what was given; files are reproducible."""

import numpy as np
import pytest

from pessimism import plotting
from pessimism.bilevel.minimize import METHODS


def test_exact_points_have_no_bars_and_monte_carlo_points_do():
    _, (exact, sampled) = plotting.panels(1, 2)
    plotting.curve(exact, [1, 10, 100], [0.1, np.nan, 0.01], rule="lcb")
    (line,) = exact.get_lines()
    assert line.get_xdata().tolist() == [1, 100]
    assert line.get_label() == "LCB"
    plotting.loglog(sampled, x="N", y="loss")
    plotting.curve(sampled, [1, 10, 100], [0.1, 0.0, 0.01], se=[0.01, 0.1, 0.02], rule="greedy", note=" (note)")
    (container,) = sampled.containers
    assert container.get_label() == "greedy (note)"
    (bars,) = container.lines[2]
    low, high = np.array([segment[:, 1] for segment in bars.get_segments()]).T
    assert high == pytest.approx([0.12, 0.05])
    assert low[0] == pytest.approx(0.08)
    assert 0 < low[1] < 0.001  # a bar that would reach below zero ends just above it


def test_zeros_stay_on_linear_axes():
    _, (axes,) = plotting.panels(1, 1)
    plotting.curve(axes, [0, 1], [0.0, 1.0], rule="somebody's own rule")
    assert axes.get_lines()[0].get_xdata().tolist() == [0, 1]
    assert axes.get_lines()[0].get_label() == "somebody's own rule"


def test_columns_of_different_lengths_are_named():
    _, (axes,) = plotting.panels(1, 1)
    with pytest.raises(ValueError, match=r"se must have the shape \(2,\) of x, got \(1,\)"):
        plotting.curve(axes, [1, 2], [1, 2], rule="lcb", se=[0.1])
    with pytest.raises(ValueError, match=r"y must have the shape \(1,\) of x, got \(2,\)"):
        plotting.curve(axes, [1], [1, 2], rule="lcb")


def test_theorems_are_dashed():
    _, (axes,) = plotting.panels(1, 1)
    plotting.theorem(axes, [1, 10], [np.nan, 1.0], label="bound", color="blue")
    (line,) = axes.get_lines()
    assert line.is_dashed()
    assert line.get_color() == plotting.COLORS["blue"]


def test_saving_twice_gives_the_same_files(tmp_path):
    def draw(name):
        with plotting.style():
            figure, (axes,) = plotting.panels(1, 1)
            plotting.curve(axes, [1, 10], [1.0, 0.1], rule="lcb")
            plotting.caption(figure, "Exact.", "Second line.")
            return plotting.save(figure, tmp_path / name)

    first, second = draw("c1.5"), draw("c1.9")
    assert first[0].name == "c1.5.png"
    assert [file.suffix for file in first] == [".png", ".pdf"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_style_is_left_as_it_was():
    import matplotlib

    before = dict(matplotlib.rcParams)
    with plotting.style():
        assert matplotlib.rcParams["axes.grid"]
    assert dict(matplotlib.rcParams) == before


def test_every_rule_of_a_wing_has_its_own_colour_and_marker():
    """And a rule that means the same in another wing looks the same there."""
    bandits = ("lcb", "greedy", "most_played", "bernstein_lcb")
    mdps = ("vi_lcb", "plug_in", "behavior_cloning", "vi_lcb_bernstein", "vi_lcb_split", "vi_lcb_no_stake")
    looks = {rule: look[1:] for rule, look in plotting.RULES.items()}
    tasks = ("l1", "l2", "l2_not_squared", "optimal_design", "uniform", "target_only")
    bilevel = [rule for rule in looks if rule not in (*bandits, *mdps, *tasks)]
    assert {rule.removeprefix("clipped-") for rule in bilevel} <= set(METHODS)
    for wing in (bandits, mdps, tasks, bilevel):
        assert len({looks[rule][0] for rule in wing}) == len({looks[rule][1] for rule in wing}) == len(wing)
    assert [looks[rule] for rule in bandits] == [looks[rule] for rule in mdps[:4]]
    assert all(color in plotting.COLORS for color, _ in looks.values())
