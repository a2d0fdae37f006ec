"""The command line and every simulation: a small grid end to end, resumed, sharded, by every engine the same bytes."""

import csv
import errno
import importlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import matplotlib.figure
import matplotlib.text
import numpy as np
import pytest

from pessimism import plotting, rates, sweep
from pessimism.mdp import generators
from pessimism.tasks import instances
from simulations import __main__ as cli
from simulations import _rows
from tests.faults.cells import rows_in

ROOT = Path(__file__).parent.parent
NAMES = tuple(cli.simulations())
pytestmark = pytest.mark.filterwarnings("ignore::pessimism.mdp.ImitationWarning")  # as where they run


def module(name):
    return importlib.import_module(f"simulations.{name.replace('-', '_')}")


COLUMN = 3.25  # inches
KEPT = {  # cells that give every panel and curve; elsewhere those of the two smallest n
    "context-transition": lambda c: c["n"] in (100, 1000, 10_000) and c["alpha"] in (0, 1),  # its fit needs two decades
    "context-map": lambda c: c["n"] in (32, 64) and c["excess"] < 0.05,
    "bandit-adaptivity": lambda c: c["name"] in ("0", "1", "inf", "default"),
    "gambler": lambda c: c["n"] in (50, 54, 22026),
    "mdp-horizon": lambda c: c["horizon"] in (8, 16) and c["scale"] in (0.125, 0.5, 2, 32),
    "mdp-composition": lambda c: c["n"] in (100, 1000) and c["garnet"] < 2 and c["cstar"] in (1, 4),
    "mdp-rates": lambda c: c["n"] in (100, 1000) and c.get("scale", 1) in (1, 4),
    "bandit-composition": lambda c: c["cstar"] in (1.1, 1.5, 2.0, 6.0),
    "bilevel-robustness": lambda c: c["step"] > 0.05 and c["distance"] in (1, 6),
    "bilevel-bias": lambda c: c["terms"] in (0, 4),
    "bilevel-budget": lambda c: c["method"] in ("bo-rep", "aid-cg"),
    "bilevel-rate": lambda c: True,
    "pessimism-tuning": lambda c: c["cstar"] in (1.1, 4),
    "data-cleaning": lambda c: c["share"] == 0.3,
    "task-dominance": lambda c: c["pairs"] <= 3,
    "task-exploration": lambda c: c["share"] in (0.25, 0.5) and c["n_target"] in (10, 120),
    "task-costs": lambda c: c["n"] < 2 and c["knob"] in (1, 2, 10),
    "task-digits": lambda c: c["corruption"] in ("edges", "stripe"),
    "ope-composition": lambda c: c["cstar"] in (2, 10) and c["n"] > 100,
    "ope-contexts": lambda c: c["contexts"] in (2, 10, 30),
    "ope-coverage": lambda c: c["cstar"] in (2, 8),
    "ope-horizon": lambda c: c["horizon"] in (2, 5),
    "ope-open-bandit": lambda c: c["campaign"] == "men",
    "ope-selection": lambda c: c["n"] in (50, 200) and c["scale"] in (0, 1, 4),
    "frozen-lake": lambda c: c["n"] in (1000, 10_000) and c["weight"] in (0, 0.01, 0.3, 1),
}
SMALLER = {
    "bilevel-budget": {"budget": 160, "per_decade": 1, "tuning": 2, "records": 3, "replicates_per_block": 2},
    "bilevel-rate": {"levels": 1, "ratio": 8, "ratios": 2, "weights": 1, "tuning": 1, "budget": 1000,
                     "replicates_per_block": 2},
    "data-cleaning": {"n": 60, "budget": 16, "tuning": 1, "replicates_per_block": 2},
    "gambler": {"replicates_per_block": 2},
}  # fmt: skip
SHRUNK = {
    "adaptivity-frontier": 4,
    "bandit-adaptivity": 20,
    "bandit-composition": 20,
    "context-map": 4,
    "context-transition": 100,
}
"""By what n is divided: what is exact costs least at a small n."""
CONSTANTS = {
    "gambler": {"STEPS": 20},
    **{name: {"BUDGET": 100} for name in ("bilevel-robustness", "bilevel-bias", "pessimism-tuning")},
    "data-cleaning": {"STEPS": [1, 100]},
    "task-digits": {"COMPONENTS": 6, "CORRUPTIONS": ("identity", "edges", "stripe"), "RANK": 3},
}


def small(name, replicates=50):
    """A part of the quick grid: few and small n, few replicates, but every panel and curve of the figure."""
    grid = module(name).GRID["quick"]
    sizes = sorted({cell["n"] for cell in grid if "n" in cell})[:2]
    cells = []
    for cell in filter(KEPT.get(name, lambda c: c["n"] in sizes), grid):
        changed = cell | {"replicates_per_block": replicates} | SMALLER.get(name, {})
        if cell.get("kind") == "exact":
            changed["n"] = 2 * replicates
        if name in SHRUNK:
            changed["n"] //= SHRUNK[name]
        cells.append({key: changed[key] for key in cell})
    return cells


@pytest.mark.parametrize("name", NAMES)
def test_every_simulation_runs_and_draws(name, tmp_path, monkeypatch):
    simulation = module(name)
    for constant, value in CONSTANTS.get(name, {}).items():
        monkeypatch.setattr(simulation, constant, value)
    learned = name.startswith(("mdp", "task", "bilevel", "pessimism", "data")) or name == "frozen-lake"
    cells = small(name, 4 if learned else 50)
    rows = sweep.run(simulation.run_cell, cells, seed=0, name=name, progress=False)
    with plotting.style():
        figure = simulation.plot([_rows.printed(row) for row in rows])
        assert isinstance(figure, matplotlib.figure.Figure)
        plotting.save(figure, tmp_path / name)
    letters = [text.get_fontsize() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]
    assert min(letters) * COLUMN / figure.get_figwidth() >= 5  # points, where the figure is as wide as a column
    assert set(simulation.GRID) == {"quick", "full"}
    columns = {key for row in rows for key in row}
    assert any(
        column.startswith(("loss", "risk", "cost", "mse", "n_mse", "coverage", "value", "price")) for column in columns
    )


def test_exact_simulations_do_not_touch_their_stream():
    for name in ("bandit-rates", "bandit-composition", "bandit-adaptivity", "context-map"):
        cell, rng = small(name)[0], np.random.default_rng(1)
        state = rng.bit_generator.state
        module(name).run_cell(cell, rng)
        assert rng.bit_generator.state == state


def test_the_health_log_is_the_one_described():
    """Numbers of the published experiment, counted here in another way."""
    from statsmodels.datasets import randhie

    from pessimism.bandits import Bandit, behavior

    simulation = module("health-insurance")
    log = simulation.read_log("visit", 1)
    assert sorted(log.counts[0].tolist(), reverse=True) == [10_997, 4065, 2653, 1401, 1074]
    table = randhie.load_pandas().data
    visits = [float((part["mdvis"] > 0).sum()) for _, part in table.groupby("lncoins")]
    assert log.sums[0].tolist() == visits
    opposite = simulation.read_log("no_visit", 1)
    assert np.array_equal(opposite.sums, log.counts - log.sums)
    assert simulation.read_log("visit", 4).counts.min() >= 100
    cstars = [float(Bandit(d.means).coverage(behavior.from_data(d))) for d in (log, opposite)]
    assert cstars == pytest.approx([1.84, 7.61], abs=5e-3)


def run(*arguments, check=True):
    command = [sys.executable, "-m", "simulations", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=check, timeout=300)


def rows_of(name, cells, store):
    """The files of some cells of a simulation, computed here and serially."""
    simulation = module(name)
    identity = {"seed": 0, "name": name, "version": simulation.VERSION}
    sweep.run(simulation.run_cell, cells, store=store, progress=False, **identity)
    return rows_in(store)


def test_the_list_has_one_line_each():
    lines = run().stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(NAMES)
    assert all(len(line.split()) > 4 for line in lines)
    assert len(NAMES) >= 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bandit-rats"], "no simulation 'bandit-rats'; there are: adaptivity-frontier"),
        (["bandit-rates", "--shard", "3/3"], "must be I/N with 0 <= I < N"),
        (["bandit-rates", "--shard", "x"], "must be I/N"),
        (["bandit-rates", "--workers", "0"], "must be a whole number of at least 1"),
        (["bandit-rates", "--seed", "-1"], "--seed must be at least 0"),
        (["bandit-rates", "--scheduler", "x:1"], "--scheduler goes with --executor dask"),
        (["bandit-rates", "--profile", "slow"], "invalid choice: 'slow'"),
        (["--dry-run"], "NAME is missing"),
    ],
)
def test_a_wrong_argument_is_one_message(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def tiny(monkeypatch):
    """A Monte Carlo simulation with a grid of a few small cells."""
    cells = small("mdp-horizon", replicates=4)
    monkeypatch.setitem(module("mdp-horizon").GRID, "quick", cells)
    return "mdp-horizon"


def test_run_draw_resume(tiny, tmp_path, capsys):
    options = [tiny, "--store", str(tmp_path / "store"), "--out", str(tmp_path / "out"), "--workers", "2"]
    total = len(module(tiny).GRID["quick"])
    cli.main([*options, "--dry-run"])
    assert f"0 of {total} cells done, {total} to do" in capsys.readouterr().out
    assert not (tmp_path / "store").exists()
    assert cli.main(options) == 0
    first = (tmp_path / "out" / f"{tiny}.csv").read_bytes()
    assert (tmp_path / "out" / f"{tiny}.png").exists()
    assert (tmp_path / "out" / f"{tiny}.pdf").exists()
    capsys.readouterr()
    cli.main([*options, "--dry-run"])
    assert f"{total} of {total} cells done, 0 to do" in capsys.readouterr().out
    assert cli.main(options) == 0
    assert (tmp_path / "out" / f"{tiny}.csv").read_bytes() == first
    assert cli.main([*options, "--seed", "1"]) == 0
    assert (tmp_path / "out" / f"{tiny}.csv").read_bytes() != first


def test_shards_collect_to_the_same_rows(tiny, tmp_path, capsys):
    whole = [tiny, "--store", str(tmp_path / "whole"), "--out", str(tmp_path / "a")]
    parts = [tiny, "--store", str(tmp_path / "parts"), "--out", str(tmp_path / "b")]
    assert cli.main(whole) == 0
    for i in range(3):
        assert cli.main([*parts, "--shard", f"{i}/3"]) == 0
        assert not list((tmp_path / "b").iterdir())
    capsys.readouterr()
    cli.main([*parts, "--dry-run"])
    assert ", 0 to do" in capsys.readouterr().out
    assert cli.main(parts) == 0
    assert (tmp_path / "a" / f"{tiny}.csv").read_bytes() == (tmp_path / "b" / f"{tiny}.csv").read_bytes()


def test_every_engine_gives_the_serial_bytes_of_the_quick_grid(tmp_path):
    """The real quick grid of one simulation, through the command line.

    Processes compute half of the cells, dask the other half into the same store, and draws all of them; what threads
    do is tested with every other use of the command.
    """
    name = "health-insurance"
    cells = module(name).GRID["quick"]
    store = tmp_path / "store"
    options = [name, "--workers", 2, "--store", store, "--out", tmp_path]
    run(*options, "--executor", "processes", "--shard", "0/2")
    assert len(rows_in(store)) == (len(cells) + 1) // 2
    out = run(*options, "--executor", "dask")
    assert f"{name}.png" in out.stdout
    assert len(rows_in(store)) == len(cells)
    some = cells[::7]  # from every third
    serial = rows_of(name, some, tmp_path / "serial")
    assert len(serial) == len(some)
    assert serial.items() <= rows_in(store).items()


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_an_interrupted_run_says_how_to_resume_and_resumes(engine, tmp_path):
    """Ctrl-C in mid-grid, sent to the whole group as a terminal does: the rows that are there are the right bytes."""
    name, store = "bandit-composition", tmp_path / "store"
    options = ["--store", str(store), "--out", str(tmp_path), "--executor", engine]
    command, pipe = [sys.executable, "-m", "simulations", name, *options], subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(rows_in(store)) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "The same command continues where this one stopped." in errors
    assert "Traceback" not in errors
    done, cells = rows_in(store), module(name).GRID["quick"]
    assert 3 <= len(done) < len(cells)
    fresh = rows_of(name, cells[:3], tmp_path / "fresh")
    both = fresh.keys() & done.keys()
    assert both
    assert all(fresh[file] == done[file] for file in both)


def test_an_unusable_folder_is_one_sentence(tiny, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert cli.main([tiny, "--out", str(tmp_path / "file"), "--store", str(tmp_path / "s")]) == 1
    assert cli.main([tiny, "--out", str(tmp_path), "--store", str(tmp_path / "file")]) == 1
    errors = capsys.readouterr().err
    assert errors.count(str(tmp_path / "file")) >= 2
    assert f"The sweep's store is {tmp_path / 'file'}." in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("seconds", [-1.0, 1e9], ids=["in the middle", "at the end"])
def test_a_full_disk_says_how_to_resume(tiny, monkeypatch, tmp_path, capsys, seconds):
    monkeypatch.setattr("pessimism._store.SYNC_SECONDS", seconds)

    def full(descriptor):
        if any((tmp_path / "s").glob("rows-*")):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    fsync = os.fsync
    monkeypatch.setattr("pessimism._store.os.fsync", full)
    assert cli.main([tiny, "--out", str(tmp_path), "--store", str(tmp_path / "s")]) == 1
    error = capsys.readouterr().err
    assert re.search(r"No space left on device\n(.*\n)?\d+ of \d+ cells are in .*resume", error), error


def test_a_cell_that_raises_is_named_and_the_exit_code_says_so(tiny, monkeypatch, tmp_path, capsys):
    original = module(tiny).run_cell

    def broken(cell, rng):
        if cell["horizon"] == 16 and cell["scale"] == 2:
            raise ArithmeticError("planted")
        return original(cell, rng)

    monkeypatch.setattr(module(tiny), "run_cell", broken)
    assert cli.main([tiny, "--store", str(tmp_path), "--out", str(tmp_path)]) == 1
    assert "planted" in capsys.readouterr().err


def committed(name):
    """The rows beside a figure, as `plot` gets them."""
    with (ROOT / "figures" / f"{name}.csv").open() as file:
        return [{key: as_number(text) for key, text in row.items()} for row in csv.DictReader(file)]


def as_number(text):
    try:
        return float(text)
    except ValueError:
        return text


def test_committed_rows_are_those_of_the_quick_grid():
    """figures/ holds a picture and rows for every simulation, with one row or more a cell of the grid."""
    for name in NAMES:
        assert (ROOT / "figures" / f"{name}.png").exists()
        keys = list(module(name).GRID["quick"][0])
        cells = {tuple(row[key] for key in keys) for row in committed(name)}
        assert len(cells) == len(module(name).GRID["quick"])


def test_committed_exact_rows_are_recomputed():
    """One cell of each exact simulation, again, against the committed rows."""
    for name in ("bandit-rates", "bandit-composition", "context-transition"):
        cell = module(name).GRID["quick"][0]
        again = module(name).run_cell(cell, np.random.default_rng(0))
        rows = [row for row in committed(name) if cell.items() <= row.items()]
        assert [row["rule"] for row in rows] == [row["rule"] for row in again]
        for old, new in zip(rows, again, strict=True):
            assert old["loss"] == pytest.approx(new["loss"], rel=1e-9, abs=1e-300)


def test_pessimism_is_tuned_on_unbiased_estimates():
    """Two rounds, two arms, every log: importance weights have the means right, a guess for a missed arm does not."""
    simulation = module("pessimism-tuning")
    law, means, logged = np.array([0.9, 0.1]), np.array([0.3, 0.6]), np.array([1.0, 1.0])
    logs = {(2, 0): 0.81, (1, 1): 0.18, (0, 2): 0.01}
    mean = dict.fromkeys(("weighted", "zero", "logged"), 0.0)
    for counts, probability in logs.items():
        found = simulation.estimates(2, law, logged, np.array(counts), np.array(counts) * means)
        mean = {rule: total + probability * found[rule] for rule, total in mean.items()}
    assert mean["weighted"] == pytest.approx(means, rel=1e-12)
    assert mean["zero"] == pytest.approx(means * [0.99, 0.19], rel=1e-12)
    assert mean["logged"] == pytest.approx(means * [0.99, 0.19] + [0.01, 0.81], rel=1e-12)


def test_hindsight_is_never_worse_than_a_learned_level(monkeypatch):
    simulation = module("pessimism-tuning")
    monkeypatch.setattr(simulation, "BUDGET", 60)
    cell = {"cstar": 1.1, "n": 100, "replicates_per_block": 3, "block": 0}
    *rules, level = simulation.run_cell(cell, np.random.default_rng(0))
    assert len(level["log_levels"]) == 3
    assert min(row["loss"] for row in rules) == rules[-1]["loss"]
    assert rules[-1]["rule"] == "hindsight"


def test_the_bias_falls_at_the_rate_drawn_beside_it():
    simulation = module("bilevel-bias")
    assert not any(c["method"] == "amigo" and c["terms"] == 0 for cells in simulation.GRID.values() for c in cells)
    problem = simulation.make()
    low, high = problem.curvature(np.zeros(problem.dim_x))
    ends = [simulation.truncated_minimiser(problem, 1.0 / high, q) for q in (96, 128)]
    first, last = (np.linalg.norm(problem.gradient(end)) for end in ends)
    assert np.log(first / last) / 32 == pytest.approx(-np.log(1.0 - low / high), rel=0.02)


def test_the_caption_counts_who_is_ahead():
    same = {"problem": "cosh", "status": "BUDGET", "step": 1}
    rows = [
        {**same, "method": method, "distance": d, "risk": risk}
        for d, risks in ((1, (1e-3, 1e-5, 1e-4, 1e-9)), (14, (1e-2, 1e-2, 0.8, 1e-9)))
        for method, risk in zip(("BO-REP", "BO-REP, constant step", "MA-SOBA", "clipped MA-SOBA"), risks, strict=True)
    ]
    text = module("bilevel-robustness").ahead(rows)
    assert text == (
        "plain MA-SOBA is below BO-REP at its own from 1 of 2 starts (0 where BO-REP's is constant, as in its paper), "
        "clipped from 2 (2)"
    )


def test_the_lines_without_a_floor_are_the_closed_forms():
    """What `task-dominance` draws thin, and labels (sqrt(M) + 1)/2 and sqrt(M)."""
    for pairs in (1, 10):
        cell = {"pairs": pairs, "replicates_per_block": 2, "block": 0}
        rows = {row["rule"]: row for row in module("task-dominance").run_cell(cell, np.random.default_rng(0))}
        root = np.sqrt(1 + 2 * pairs)
        for rule, power, label in (("l2", 2, (root + 1) / 2), ("uniform", 0, root)):
            ratio = rows[rule]["predicted_without_floor"] / rows["l1"]["predicted_without_floor"]
            assert ratio == pytest.approx(label, rel=1e-9)
            assert ratio == pytest.approx(instances.spike_and_pairs_ratio(pairs, power=power), rel=1e-9)


def test_the_fit_of_the_gambler_is_as_its_text_says():
    """Least squares by another route, its interval by redrawing the means.

    The published slope, of ten repetitions, agrees with that of no stake within the errors of both, at 95 %; with that
    of a stake of 1 it does not. For large N the two readings are one, and steeper than N^(-1/2).
    """
    simulation = module("gambler")
    slopes, halves, large = {}, {}, {}
    for rule in ("vi_lcb_bernstein", "vi_lcb_no_stake"):
        rows = [row for row in committed("gambler") if row["rule"] == rule and row["n"] != 50]
        rows = rates.average_blocks([{key: row[key] for key in row if key != "state_gaps"} for row in rows])
        n, gap, se = (np.array([row[key] for row in rows]) for key in ("n", "loss", "loss_se"))
        assert n.tolist() == simulation.SIZES
        slopes[rule], halves[rule] = simulation.fitted_slope(rows)
        assert slopes[rule] == pytest.approx(np.polyfit(np.log(n), np.log(gap), 1)[0], rel=1e-9)
        large[rule] = gap[n > 1000].tolist()
        redrawn = np.log(gap + se * np.random.default_rng(0).standard_normal((20_000, len(n))))
        assert halves[rule] / 1.96 == pytest.approx(np.polyfit(np.log(n), redrawn.T, 1)[0].std(), rel=0.05)
    assert large["vi_lcb_bernstein"] == large["vi_lcb_no_stake"]
    assert [simulation.fitted_slope(part)[0] for part in (rows[:7], rows[6:])] == pytest.approx(
        [-0.49, -0.63], abs=0.01
    )
    published = halves["vi_lcb_no_stake"] * np.sqrt(rows[0]["replicates"] / simulation.REPETITIONS)
    away = {rule: abs(slope - simulation.PUBLISHED_SLOPE) for rule, slope in slopes.items()}
    assert away["vi_lcb_no_stake"] < np.hypot(halves["vi_lcb_no_stake"], published)
    assert away["vi_lcb_bernstein"] > 3 * np.hypot(halves["vi_lcb_bernstein"], published)


def test_to_stake_nothing_changes_nothing_that_is_optimal():
    game = generators.gamblers_problem(10, horizon=7)
    waiting = module("gambler").with_no_stake(game)
    assert waiting.optimal_values == pytest.approx(game.optimal_values, rel=1e-14)
    assert np.array_equal(waiting.evaluate(game.best_policy), game.evaluate(game.best_policy))
    assert np.all(waiting.evaluate(np.full((7, 11), game.n_actions)) == 0)


def test_the_horizon_exponents_are_those_of_the_theory():
    """Committed rows. Hoeffding or Bernstein, split or not, differ by 1/2: a wrong power of the horizon is seen.

    Within the Monte Carlo interval and 0.1, which is for the finite horizon and the steps of the gap grid; where a
    prediction knows the finite horizon, within 0.03, for the gap grid.
    """
    simulation = module("mdp-horizon")
    rows = committed("mdp-horizon")
    worst = simulation.worst_points(rows)
    horizons = sorted({row["horizon"] for row in rows})
    for rule, points in worst.items():
        assert [point["horizon"] for point in points] == horizons  # every maximum inside its grid, errors enough
        slope, margin = simulation.exponent(points)
        assert margin < 0.1
        assert abs(slope - simulation.EXPONENTS[rule]) < margin + 0.1
    level = 0.5 * np.log(2 * 4 * simulation.N)
    for rule, width_level in (("plug_in", 0.0), ("vi_lcb", level)):
        discount = 1 - 1 / np.array(horizons)
        loss = simulation.bounds.vi_lcb_normal_prediction(simulation.N, simulation.CSTAR, 1, discount, width_level)
        slope, margin = simulation.exponent(worst[rule])
        predicted = np.log(loss[-1] / loss[0]) / np.log(horizons[-1] / horizons[0])
        assert abs(slope - predicted) < margin + 0.03


def test_a_maximum_at_the_edge_of_the_gaps_is_no_point():
    same = {"rule": "r", "block": 0, "loss_se": 0.01, "replicates": 200}
    rows = [
        {**same, "horizon": h, "scale": z, "loss": x, "loss_events": e}
        for h, losses, e in ((1, (1, 2, 1), 100), (2, (1, 2, 3), 100), (3, (1, 2, 1), 99), (4, (3, 2, 1), 100))
        for z, x in enumerate(losses)
    ]
    assert [point["horizon"] for point in module("mdp-horizon").worst_points(rows)["r"]] == [1]
