"""The theorem index: a row a statement, from docstrings, the marks of tests and the calls of simulations."""

import ast
import re
from collections import defaultdict
from pathlib import Path
from textwrap import indent
from typing import Any

from sphinx.application import Sphinx

from _extensions import _pages, gallery
from pessimism import _theorems

ROOT = Path(__file__).parents[2]
TITLES = {
    "bandits": "Bandits",
    "mdp": "Offline reinforcement learning",
    "tasks": "Source tasks",
    "bilevel": "Bilevel problems",
}

UNDRAWN = {
    "bandits.imitation_exponent": "The bound that it is the exponent of, `imitation_upper`, is drawn.",
    "bandits.imitation_lower": "For the pair `instances.swapped` and gaps up to 1/4: no simulation has this pair.",
    "bandits.imitation_lower_recalled": "Recalled and not verified, so that no figure should show it as a theorem.",
    "bandits.two_point_exponent": "For the pair `instances.swapped` at a fixed gap: no simulation has this pair.",
    "bandits.two_point_minimax": "`minimax-risk` draws the risk itself, which it equals for most C* below 2.",
    "bandits.one_round_minimax": "Of one round, and `minimax-risk` begins at four; a test has it inside the bracket.",
    "bandits.greedy_failure_loss": "A limit for an instance that no simulation has; a test has the exact loss.",
    "bandits.lcb_normal_gap": "Where a maximum lies: the figures draw the maximum itself, `lcb_normal_prediction`.",
    "bandits.lcb_exponent": "A limit, which N = 10^16 does not reach; for finite N `lcb_normal_prediction` is drawn.",
    "bandits.missing_mass_upper": "A probability, and the figures draw losses.",
    "bandits.missing_mass_published": "A step of a proof, 1.21 times `missing_mass_upper`.",
    "bandits.missing_mass_loss": "`context-map` draws exponents, of a loss that is this one but for a rare event.",
    "bandits.value_missing_mass": "A thousandth of the errors in the figures of estimation: it speaks of smaller logs.",
    "bandits.imitation_equal_marginals": "For one context it is `imitation_upper`, which is drawn.",
    "bandits.lcb_width_bound": "It takes the counts of one log, so that there is no curve over N to draw.",
    "bandits.greedy_width_bound": "It takes the counts of one log, so that there is no curve over N to draw.",
    "mdp.vi_lcb_rate": "A rate without constants: its power of the horizon is drawn as `horizon_exponent`.",
    "mdp.nearly_expert_rate": "Unverified and without constants, so that no figure should show it as a theorem.",
    "mdp.minimax_lower_rate": "Unverified and without constants, so that no figure should show it as a theorem.",
    "mdp.minimax_lower": "On families of its own, which no simulation has: a test compares it with exact losses there.",
    "mdp.missing_mass_loss": "For an instance that no simulation has: a test compares it with the exact loss.",
    "mdp.bernstein_samples": "Some 10^12 transitions, by proof constants not seen in the theorem: beyond all figures.",
    "mdp.subsampled_episodes": "Some 10^10 episodes, by proof constants not seen in the theorem: beyond all figures.",
    "mdp.samples_needed": "A number of transitions, with a constant that we have not seen; the figures draw losses.",
    "mdp.discounted_rate": "A rate without constants: the power of the horizon is drawn as `horizon_exponent`.",
    "mdp.episodic_rate": "A rate without constants, for losses against a finite horizon, which no simulation varies.",
    "mdp.no_update": "The answer is yes or no, for the counts of one log.",
    "mdp.plug_in_failure_loss": "A limit for an instance that no simulation has; a test has the exact loss.",
    "mdp.value_pairs": "About the error of an estimated value from pairs; a test has the delta method.",
    "mdp.vi_lcb_normal_gap": "Where a maximum lies: the figures draw the maximum itself, `vi_lcb_normal_prediction`.",
    "tasks.power_bound": "At q = 1 and 2 it is, in other units, `l1_risk` and `l2_bound`, which are drawn.",
    "tasks.known_noise_risk": "All simulations have equal noise, for which it is `l1_risk`, which is drawn.",
    "tasks.weighted_risk": "All simulations fit rows of equal weight, for which `LinearTasks.predicted_risk` is drawn.",
    "tasks.passive_order": "An order: its parts, `uniform_risk` and `target_term`, are drawn with their constants.",
    "tasks.a_mtrl_order": "Unverified and without constants, so that no figure should show it as a theorem.",
    "tasks.effective_tasks": "Unverified, and a part of `a_mtrl_order`, which is not drawn.",
    "tasks.l1_a_mtrl_order": "An order without constants: the risk with its constant, `l1_risk`, is drawn.",
    "bilevel.calls_lower_rate": "An order, for first-order methods: of the methods in the figures, only F2SA is one.",
    "bilevel.noise_adaptive_rate": "The rate of a method that the package does not have.",
    "bilevel.drift": "About one move of x: a test shows that it is attained, and no figure follows the lower solution.",
    "bilevel.theorem_schedule": "Not a number but options of a solver.",
}
"""Statements that no figure draws, and why."""


MARKS = ("pytest.mark.checks", "checks")
"""The mark of a test, and the name that a file of tests may give it."""


def checking_tests() -> dict[str, list[str]]:
    """Statement -> the tests marked with its name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for name in (name for mark in node.decorator_list for name in checks(mark)):
                    found[name].append(f"{path.relative_to(ROOT).as_posix()}::{node.name}")
    return dict(found)


def checks(mark: ast.expr) -> list[str]:
    """The names in ``@pytest.mark.checks("bandits.lcb_upper", ...)``."""
    if isinstance(mark, ast.Call) and ast.unparse(mark.func) in MARKS:
        return [each.value for each in mark.args if isinstance(each, ast.Constant)]
    return []


def loose_statements() -> dict[str, str]:
    """Statement -> how loose it is, where a test cannot tell it from one a per cent away."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in MARKS:
                loose = [ast.literal_eval(each.value) for each in node.keywords if each.arg == "loose"]
                found.update(dict.fromkeys(checks(node), loose[0]) if loose else {})
    return found


def drawing_simulations() -> dict[str, list[str]]:
    """Statement -> the simulations that call its function."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in gallery.sources():
        for name in gallery.statements(path):
            _, wing, _, function = name.split(".")
            found[f"{wing}.{function}"].append(gallery.name(path))
    return dict(found)


def make(app: Sphinx) -> None:
    tests, figures = checking_tests(), drawing_simulations()
    text = _pages.heading("The theorem index")
    text += (
        "Made from the code: what the notes of a function say of it, the tests that carry its name, the simulations\n"
        "that call it. ``python -m pessimism theorems [WORD]`` prints it in a terminal.\n\n"
    )
    wing, every = "", list(_theorems.statements())
    for each in every:
        if not each.name.startswith(f"{wing}."):
            wing = each.name.split(".")[0]
            text += _pages.heading(TITLES[wing], "-") + f".. py:currentmodule:: pessimism.{wing}.bounds\n\n"
            text += _pages.overview(glance(one) for one in every if one.name.startswith(f"{wing}."))
        text += row(each, tests.get(each.name, []), figures.get(each.name, []))
    _pages.write(Path(app.srcdir) / "claims" / "made", {"theorems.inc": text})


def glance(each: _theorems.Statement) -> tuple[str, str, str]:
    """Name, what is said, and the first word of the status: a row of the table that leads to the cards."""
    function = each.name.split(".")[1]
    return f"`{function} <{target(each)}_>`__", " ".join(each.summary.split()), re.split(r"\W", each.status)[0]


def target(each: _theorems.Statement) -> str:
    return f"statement-{each.name.replace('.', '-').replace('_', '-')}"


def row(each: _theorems.Statement, tests: list[str], figures: list[str]) -> str:
    function = each.name.split(".")[1]
    text = f".. _{target(each)}:\n\n.. card:: {function}\n   :class-card: theorem\n\n"
    text += f"   .. rst-class:: summary\n\n   {each.summary}\n\n"  # bold letters could hold no formula
    text += indent(f"{each.value}\n\n{each.text}", "   ") + "\n\n"
    fields = {
        "Status": each.status,
        "Source": each.source,
        "Function": f"`{each.function}`",
        "Rule": ", ".join(f"`{name}`" for name in each.related if ".rules." in name),
        "Instance": ", ".join(f"`{name}`" for name in each.related if ".instances" in name),
        "Test": ", ".join(f"``{name}``" for name in tests),
        "Figure": ", ".join(f":doc:`{name} </gallery/{name}>`" for name in figures) or f"None. {UNDRAWN[each.name]}",
    }
    text += "".join(f"   :{field}: {value}\n" for field, value in fields.items() if value)
    return text + "\n"


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
