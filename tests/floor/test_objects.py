"""Objects speak: a line in a REPL, a table in a notebook, a refused ``==``, a file that is read back to the bit."""

import pickle

import numpy as np
import pytest

from pessimism import _objects
from pessimism.bandits import Bandit, BanditData, behavior
from pessimism.bilevel import hypergradient, minimize_bilevel
from pessimism.bilevel.problems import Cosh, HyperRepresentation, Ridge
from pessimism.mdp import MDPData, Transitions, generators, plan, vi_lcb
from pessimism.mdp import behavior as mdp_behavior
from pessimism.tasks import LinearTasks, TaskPool, instances, min_l1

pytestmark = pytest.mark.filterwarnings("ignore::pessimism.mdp.ImitationWarning")


def made():
    """One object a class, large enough that its arrays cannot be printed."""
    bandit = Bandit(means=np.linspace(0.1, 0.9, 40).reshape(2, 4, 5))
    yield bandit
    yield bandit.sample(behavior.uniform(bandit), n=1_000, size=30, rng=0)
    mdp = generators.garnet(8, 3, 2, discount=0.9, rng=0)
    law = mdp_behavior.prescribe(mdp, cstar=1.5)
    yield mdp
    yield mdp.sample(law, n=500, size=2, rng=0)
    game = generators.gamblers_problem(10, horizon=5)
    yield game.sample_episodes(game.best_policy, n=20, rng=0)
    yield Transitions(np.arange(20), np.zeros(20, int), np.ones(20), np.arange(1, 21))
    tasks = instances.spike_and_pairs(5, dimension=6)
    yield tasks
    yield tasks.sample_target(50, size=3, rng=0)


def spoken():
    yield from made()
    mdp = generators.garnet(8, 3, 2, discount=0.9, rng=0)
    yield plan(mdp, tolerance=1e-6)
    yield vi_lcb(mdp.sample(mdp_behavior.prescribe(mdp, cstar=1.5), n=500, size=40, rng=0), discount=0.9)
    tasks = instances.spike_and_pairs(20, dimension=6)
    yield min_l1(tasks.heads, tasks.target)
    yield from (Cosh.random(3, 4, rng=0), Ridge.random(rng=0), HyperRepresentation.random(rng=0))
    cosh = Cosh.random(3, 4, rng=0)
    yield minimize_bilevel(cosh, np.ones(3), method="soba", step=0.01, budget=500, rng=0)
    yield hypergradient(cosh, np.ones(3))


def test_a_repr_is_short_and_says_what_it_is():
    for thing in spoken():
        text = repr(thing)
        assert text.startswith(f"{type(thing).__name__}(")
        assert "\n" not in text
        assert len(text) < 600, text
        assert "array(" not in text, text
        assert type(thing).__name__ in thing._repr_html_()


def test_a_pool_says_what_is_left():
    pool = TaskPool([np.ones((20, 3)), np.ones((9, 3))], [np.ones(20), np.ones(9)])
    pool.sample([5, 2], rng=0)
    assert repr(pool) == "TaskPool(tasks=2, dimension=3, rows_left=22 of 29)"


def test_a_repr_tells_what_matters():
    bandit = Bandit([[0.6, 0.5, 0.4]])
    data = bandit.sample([[0.5, 0.5, 0.0]], n=1_000, size=7, rng=0)
    for part in ("batch=(7)", "contexts=1", "arms=3", "n=1,000", "pairs_seen=2 of 3"):
        assert part in repr(data), part
    mdp = generators.garnet(8, 3, 2, discount=0.9, rng=0)
    learnt = vi_lcb(mdp.sample(mdp_behavior.prescribe(mdp, cstar=1.5), n=500, size=40, rng=0), discount=0.9)
    assert "40 NO_UPDATE" in repr(learnt)


def test_a_file_gives_back_every_field_to_the_bit(tmp_path):
    for thing in made():
        again = type(thing).load(thing.save(tmp_path / "kept"))
        for name in _objects.fields(thing):
            old, new = getattr(thing, name), getattr(again, name)
            assert np.array_equal(old, new) if isinstance(old, np.ndarray) else old == new, name
        assert type(pickle.loads(pickle.dumps(thing))) is type(thing)


def test_an_infinite_range_survives_a_file(tmp_path):
    data = BanditData([[1, 2]], [[-3.0, 5.0]], reward_range=(-np.inf, np.inf))
    assert BanditData.load(data.save(tmp_path / "gaussian.npz")).reward_range == (-np.inf, np.inf)


def test_another_file_is_refused_with_its_name(tmp_path):
    kept = Bandit([[0.6, 0.5]]).save(tmp_path / "kept")
    with pytest.raises(ValueError, match=r"kept.npz holds an object Bandit, not LinearTasks"):
        LinearTasks.load(kept)
    np.savez(tmp_path / "other.npz", counts=[[1]])
    (tmp_path / "torn.npz").write_bytes(kept.read_bytes()[:100])
    (tmp_path / "text.npz").write_text("counts")
    for name in ("other.npz", "torn.npz", "text.npz"):
        with pytest.raises(ValueError, match=f"path must be a file that MDPData.save wrote, got .*{name}"):
            MDPData.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        MDPData.load(tmp_path / "absent.npz")


def test_a_file_of_a_later_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_objects, "FORMAT", 2)
    later = Bandit([[0.6, 0.5]]).save(tmp_path / "later")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="which is newer"):
        Bandit.load(later)


def test_objects_refuse_to_be_compared_but_for_themselves():
    one, other = Bandit([[0.6, 0.5]]), Bandit([[0.6, 0.5]])
    assert one == one
    assert one in [one]
    assert one != 3
    assert len({one, other}) == 2
    with pytest.raises(TypeError, match=r"two objects Bandit do not compare .*np.array_equal\(a.means, b.means\)"):
        _ = one == other


def test_a_report_shows_itself():
    report = BanditData([[3, 1]], [[2.0, 1.0]]).describe()
    assert repr(report) == str(report)
    assert report._repr_html_().startswith("<pre>")
