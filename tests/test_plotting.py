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


def test_own_rules_have_looks_of_their_own_in_every_panel():
    _, (left, right) = plotting.panels(1, 2)
    plotting.curve(left, [1, 2], [1, 2], rule="mine")
    plotting.curve(left, [1, 2], [2, 3], rule="yours")
    plotting.curve(right, [1, 2], [2, 3], rule="yours")
    mine, yours = left.get_lines()
    assert mine.get_color() != yours.get_color()
    assert mine.get_marker() != yours.get_marker()
    again = right.get_lines()[0]
    assert (again.get_color(), again.get_marker()) == (yours.get_color(), yours.get_marker())


def test_a_look_can_be_chosen():
    _, (axes,) = plotting.panels(1, 1)
    plotting.curve(axes, [1, 2], [1, 2], rule="lcb", color="wine", marker="x", label="mine")
    plotting.curve(axes, [1, 2], [1, 2], rule="lcb", color="#123456")
    first, second = axes.get_lines()
    assert (first.get_color(), first.get_marker(), first.get_label()) == (plotting.COLORS["wine"], "x", "mine")
    assert second.get_color() == "#123456"


def test_a_bar_that_reaches_zero_does_not_stretch_a_logarithmic_axis():
    _, (axes,) = plotting.panels(1, 1)
    plotting.loglog(axes, x="N", y="loss")
    plotting.curve(axes, [1, 10], [1e-2, 1e-5], se=[1e-3, 1e-5], rule="lcb")
    assert axes.get_ylim()[0] > 1e-7


def test_a_figure_shows_itself_in_a_notebook():
    figure, _ = plotting.panels(1, 1)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_figure_is_saved_in_the_format_of_its_name_and_stays_adjustable(tmp_path):
    figure, _ = plotting.panels(1, 1)
    (file,) = plotting.save(figure, tmp_path / "one.pdf")
    assert file.read_bytes().startswith(b"%PDF")
    assert [path.name for path in plotting.save(figure, tmp_path / "c1.5")] == ["c1.5.png", "c1.5.pdf"]
    assert figure.get_layout_engine() is not None


def test_heatmaps_take_infinities_and_label_some_of_many_points():
    _, (axes,) = plotting.panels(1, 1)
    image = plotting.heatmap(axes, range(1, 31), [1, 2], np.r_[np.arange(58.0), np.inf, -np.inf].reshape(2, 30))
    assert image.get_clim() == (0.0, 57.0)
    assert [text.get_text() for text in axes.get_xticklabels()][:3] == ["1", "4", "7"]


def test_a_caption_ends_where_the_figure_does():
    figure, _ = plotting.panels(1, 1, width=3.25)
    plotting.caption(figure, "word " * 60)
    figure.canvas.draw()
    assert figure._supxlabel.get_window_extent().x1 <= figure.bbox.x1


def test_one_call_draws_the_rate_plot_of_any_rule():
    def second(data):
        return np.ones(data.counts.shape[:-1], int)

    figure, rows = plotting.rate_plot(second, cstar=4, n=[100, 400], size=200, rng=0)
    assert [row["n"] for row in rows] == [100, 400]
    assert all(row["rule"] == "second" and row["loss"] == pytest.approx(row["gap"]) for row in rows)
    assert figure.axes[0].get_xlabel() == "rounds N"
