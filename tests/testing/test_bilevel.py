"""Right solvers pass, wrong ones fail with the message meant for them; what the strategy draws."""

import re
from functools import partial
from random import Random

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings

from pessimism.bilevel import minimize_bilevel
from pessimism.bilevel.problems import Cosh, Quadratic, Ridge
from pessimism.testing import SolverError, bilevel_problems, check_solver
from pessimism.testing.bilevel import _promises, solvers
from pessimism.testing.bilevel._recipes import Recipe, recipe
from pessimism.testing.bilevel._solver import Case, SolverSubject, probe_case
from tests.testing import tried
from tests.testing import wrong_solvers as wrong

RATES = {"lower_step": 0.2, "z_step": 0.2}
DOUBLE = {"step": 0.1, "inner_steps": 2, "terms": 3, **RATES}
SHIPPED = {
    "bo-rep": {"step": 0.1, "epochs": 1, "epoch_length": 3, "epoch_step": 0.2, "period": 2, "inner_steps": 2, **RATES},
    "slip": {"step": 0.1, "warm_steps": 2, "warm_step": 0.2, **RATES},
    "soba": {"step": 0.1, "lower_step": 0.2},
    "ma-soba": {"step": 0.1, "lower_step": 0.2},
    "amigo": DOUBLE,
    "stocbio": DOUBLE,
    "bsa": DOUBLE,
    "ttsa": {**DOUBLE, "step": 0.05},
    "f2sa": {"step": 0.05, "inner_steps": 2, "lower_step": 0.1, "w_step": 0.2},
    "accbo": {"step": 0.1, "terms": 2, "warm_steps": 2, "warm_step": 0.2, **RATES},
    "sustain": {"step": 0.1, "terms": 2, **RATES},
    "mrbo": {"step": 0.1, "terms": 2, **RATES},
    "aid-cg": {"step": 0.1, "inner_steps": 2, "lower_step": 0.2, "cg_steps": 2},
    "itd": {"step": 0.1, "inner_steps": 3, "lower_step": 0.2},
}
"""Not saba: it keeps a table with a row for every sample, and a problem that watches its calls shows no rows."""


def shipped(method, record=200):
    def solve(problem, x0, y0, *, budget, rng):
        return minimize_bilevel(
            problem, x0, y0, method=method, budget=budget, rng=rng, record=record, **SHIPPED[method]
        )

    return solve


@pytest.mark.parametrize("method", SHIPPED)
def test_every_shipped_solver_keeps_its_promises(method):
    claims = {}
    if method in ("bo-rep", "slip", "accbo"):
        claims |= {"normalised": True, "step": lambda t: 0.1 / (1 + t) ** 0.5}
    check_solver(shipped(method, record=1), resumable=True, examples=2, **claims)


def test_steps_left_open_are_kept_by_the_result():
    """They are estimated once, and bought once: a run in pieces is one run."""

    def slip(problem, x0, y0, *, budget, rng):
        return minimize_bilevel(problem, x0, y0, method="slip", budget=budget, rng=rng, step=0.1)

    check_solver(slip, normalised=True, resumable=True, examples=1)


@pytest.mark.parametrize(
    ("kind", "claims"),
    [
        (wrong.Right, {"normalised": True, "step": 0.1, "resumable": True}),
        (wrong.MovesXBeforeTheRest, {"normalised": True, "step": 0.1, "resumable": True}),
        (wrong.Unnormalised, {"resumable": True}),
        (wrong.Unnormalised, {"step": 0.02}),
        (wrong.SharesASample, {"normalised": True, "step": 0.1}),
        (wrong.Recursive, {"normalised": True, "step": 0.1}),
        (type("OldFirst", (wrong.Recursive,), {"asks_first": "old"}), {"normalised": True}),
    ],
)
def test_right_solvers_pass(kind, claims):
    check_solver(kind(), examples=5, **claims)


STEPS = {"lower_step": 0.05, "w_step": 0.2}


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("bo-rep", {}),  # what sets it up outlasts short budgets
        ("bo-rep", {"momentum": 0.99, "period": 20, "radius": 0.5, "decay": 0.0}),
        ("slip", {"step": 1.0, "momentum": 0.0, "warm_steps": 200}),
        ("soba", {"decay": 0.0, "lower_step": 0.02}),
        ("ma-soba", {"clip": 0.5, "weight": 0.01}),
        ("amigo", {"terms": 1, "inner_steps": 1, "decay_y": 0.5}),
        ("stocbio", {"terms": 2, "decay": 0.5}),
        ("bsa", {}),  # draws also without samples
        ("ttsa", {"step": 0.05}),
        ("f2sa", {"penalty": 10.0, **STEPS}),
        ("f2sa", {"inner_steps": 1, **STEPS}),
        ("accbo", {"nesterov": 0.0, "averaging": 1.0, "period": 3}),
        ("sustain", {}),
        ("mrbo", {"weight": 0.1, "weight_decay": 0.0}),
        ("aid-cg", {"cg_steps": 1}),
        ("itd", {"inner_steps": 2}),
    ],
)
def test_built_in_methods_pass_with_other_options(method, options):
    check_solver(partial(minimize_bilevel, **{"method": method, "step": 0.1, **options}), examples=1)


def test_all_that_is_broken_is_told():
    """An exception where nothing may be spent hides nothing."""
    with pytest.raises(SolverError) as error:
        check_solver(wrong.CannotDoNothing(), examples=1)
    assert re.search('\n  CannotDoNothing also breaks "descends": it never asks about g', str(error.value))


def test_where_a_gradient_is_exactly_zero_nothing_turns_with_x():
    """Its steps end exactly at 0, in turned coordinates beside it."""

    class Plain(wrong.Right):
        step, momentum = 0.25, 0.0

    drawn = recipe(Cosh, ([[1.0]], [[0.0, 0.0]], [0.0], [0.0]), {})
    case = Case(drawn, np.array([0.25, 0.0]), np.zeros(1), 40, 0, 1, 1.0)
    subject = SolverSubject(Plain(), frozenset(), normalised=True)
    assert _promises.rotation(subject, case, subject.ask(case)) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: {"x": [[1.0], [1.0, 2.0]]}, "its x must hold 1 numbers, got "),
        (lambda r: {"y": None}, "its y must hold 1 numbers, got None"),
        (lambda r: {"cost": None}, "its cost must be a number, got None"),
        (lambda r: {"ncalls": {**r.ncalls, "hessian": 0}}, "ncalls must map kinds of calls"),
        (lambda r: {"ncalls": dict.fromkeys(r.ncalls)}, r"ncalls\['grad_f'\] must be a whole number, got None"),
        (lambda r: {"ncalls": {k: v + 0.4 for k, v in r.ncalls.items()}}, ".* must be a whole number, got 0.4"),
        (lambda r: {"history": None}, "a claimed step needs history"),
        (lambda r: {"history": {"nit": None, "x": None}}, "a claimed step needs history"),
        (lambda r: {"history": {**r.history, "nit": [0]}}, "a claimed step needs history"),
        (lambda r: {"history": {k: v[-1:] for k, v in r.history.items()}}, "history.* must lead from x0 to x"),
    ],
)
def test_a_malformed_result_is_told_so(change, message):
    with pytest.raises(SolverError, match=f'^Returns breaks "(contract|length)": {message}'):
        check_solver(wrong.Returns(change), step=0.1, examples=1)


@pytest.mark.usefixtures("hardly_shrunk")
@pytest.mark.parametrize("name", tried(wrong.WRONG))
def test_a_wrong_solver_is_told_what_it_does_wrong(name):
    kind, claims, message = wrong.WRONG[name]
    with pytest.raises(SolverError) as error:
        check_solver(kind(), examples=1, **claims)
    assert re.match(f"{name} breaks {message}", str(error.value).split("\n")[0])


@pytest.mark.usefixtures("hardly_shrunk")
def test_examples_can_be_pasted():
    """From a fixed run, and from a drawn one: with the budgets of the fixed ones nothing is wrong."""
    fixed = {case.budget for case in solvers._fixed().values()}

    class WrongWhereDrawn(wrong.Right):
        def direction(self, m):
            return super().direction(m) * (1.0 if self.budget in fixed else 2.0)

    for solver in (wrong.WRONG["CountsSteps"][0](), WrongWhereDrawn()):
        with pytest.raises(SolverError) as error:
            check_solver(solver, step=0.1, examples=20)
        lines = [line.strip() for line in str(error.value).split("\n")]
        space = {}
        exec("\n".join(line for line in lines if re.match("import |from |[a-z0-9]+ = ", line)), space)
        result = solver(*(space[name] for name in ("problem", "x0", "y0")), budget=space["budget"], rng=space["rng"])
        assert result.x.shape == (space["problem"].dim_x,)
    assert space["budget"] not in fixed
    assert "fixed example" not in str(error.value)


@pytest.mark.usefixtures("hardly_shrunk")
def test_what_is_waived_is_not_held_against_a_solver():
    promises = {"DividesByZero": "zero", "Ascends": "descends", "TakesSigns": "rotation"}
    for name, promise in promises.items():
        kind = wrong.WRONG[name][0]
        with pytest.raises(SolverError, match=rf'check_solver\(..., waive=\["{promise}"\]\)'):
            check_solver(kind(), examples=1)
        check_solver(kind(), waive=[promise], examples=2)


def test_a_solver_that_never_stops_is_stopped():
    def endless(problem, x0, y0, *, budget, rng):
        while True:
            try:
                problem.grad_f(x0, y0)
            except Exception:
                continue

    with pytest.raises(SolverError, match='endless breaks "budget"'):
        check_solver(endless)


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ((3,), TypeError, "method must be a function of problem, x0 and y0, got 3"),
        ((wrong.Right(), {"step": 0.0}), ValueError, "step must be"),
        ((wrong.Right(), {"step": np.nan}), ValueError, "step must be"),
        ((wrong.Right(), {"waive": "zero"}), TypeError, "waive must be a collection"),
        ((wrong.Right(), {"waive": ["scale"]}), ValueError, "waive must be one of"),
        ((wrong.Right(), {"examples": 0}), ValueError, "examples must be"),
    ],
)
def test_arguments_of_the_check_are_checked(arguments, kind, text):
    with pytest.raises(kind, match=text):
        check_solver(arguments[0], **(arguments[1] if len(arguments) > 1 else {}))


def test_what_can_be_waived_is_promised():
    assert set(SolverSubject.waivable) <= {promise.__name__ for promise in _promises.PROMISES}


# the strategy

OPTIONS = {"database": None, "deadline": None, "phases": [Phase.generate, Phase.shrink]}


@pytest.mark.parametrize(("kinds", "most"), [(("quadratic", "cosh", "ridge"), 3), (("quadratic",), 9)])
def test_drawn_problems_are_what_they_claim(kinds, most):
    rounding = most * np.finfo(float).eps * 4  # of LAPACK's eigenvalues; the bounds are exact for the matrix

    @given(bilevel_problems(max_dim_y=most, kinds=kinds))
    @settings(max_examples=20, **OPTIONS)
    def claimed(problem):
        assert 1 <= problem.dim_x <= 3
        assert 1 <= problem.dim_y <= most
        low, high = problem.curvature(np.zeros(problem.dim_x))
        assert 1 - rounding <= low <= high + rounding <= 4 + 2 * rounding
        if isinstance(problem, Ridge):  # its curvature is e^0 and that of the rows
            assert problem.dim_x in (1, problem.dim_y)
        assert np.isfinite(problem.gradient(np.ones(problem.dim_x))).all()

    claimed()


@pytest.mark.parametrize(
    "wanted",
    [
        lambda p: p.dim_x > p.dim_y,
        lambda p: p.dim_x < p.dim_y,
        lambda p: (p.dim_x, p.dim_y) == (1, 1),
        lambda p: isinstance(p, Cosh) and np.any(p.table),
        lambda p: isinstance(p, Quadratic) and not np.any(p.table),
        lambda p: isinstance(p, Ridge) and p.dim_x > 1,
        lambda p: isinstance(p, Ridge) and p.dim_x == 1 < p.dim_y,
    ],
)
def test_sizes_and_kinds_of_every_sort_are_drawn(wanted):
    find(bilevel_problems(), wanted, settings=settings(max_examples=200, **OPTIONS | {"phases": [Phase.generate]}),
         random=Random(0))  # fmt: skip


def test_problems_shrink_to_one_by_one():
    least = find(bilevel_problems(), lambda p: True, settings=settings(max_examples=10, **OPTIONS), random=Random(0))
    assert isinstance(least, Quadratic)
    assert (least.dim_x, least.dim_y) == (1, 1)


def test_sizes_and_kinds_are_chosen():
    draw = partial(find, condition=lambda p: True, settings=settings(max_examples=2, **OPTIONS), random=Random(1))
    assert isinstance(draw(bilevel_problems(kinds=("cosh",))), Cosh)
    with pytest.raises(ValueError, match="kinds must be one of"):
        bilevel_problems(kinds=("cubic",))
    with pytest.raises(ValueError, match="max_dim_x must be"):
        bilevel_problems(max_dim_x=0)
    silent = bilevel_problems(kinds=("cosh", "quadratic"), noisy=False, max_dim_y=1)

    @given(silent)
    @settings(max_examples=10, **OPTIONS)
    def exact(problem):
        assert not np.any(problem.table)
        assert problem.dim_y == 1

    exact()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_turns_are_orthogonal_and_mix(n):
    problem = Quadratic.random(n, 2, rng=0)
    for angle in (1, 2, 3):
        turn = _promises.turned(probe_case()._replace(recipe=Recipe(problem, ""), angle=angle))
        assert turn @ turn.T == pytest.approx(np.eye(n), abs=1e-15)
        assert np.count_nonzero(turn) == n * n
