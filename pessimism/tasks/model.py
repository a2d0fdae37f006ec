r"""Model: linear regression tasks on a shared representation, whose risks are exact.

Source task m = 1, ..., M and one target give outputs

.. math:: y = x^\top B w_m + z, \qquad x \sim N(0, I_d), \quad z \sim N(0, \sigma^2),

with a representation B (d x k, orthonormal columns, `representation`), heads :math:`W = [w_1 \dots w_M]` (`heads`) and
the target's head w (`target`). A learner buys :math:`n_m` rows of every source, fits B, and then the target's head on
few target rows. Its decision is a vector of coefficients :math:`\hat\theta`, whose excess risk is exactly
:math:`\|\hat\theta - Bw\|^2` (`risk`); with the best head a representation has the risk
:math:`\|(I - P_{\hat B}) B w\|^2` (`representation_risk`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._draw import front_axes
from pessimism._objects import Stored
from pessimism._types import Floats, Ints, Rng
from pessimism.tasks._arguments import orthonormal, six_digits
from pessimism.tasks._engine.linear_algebra import fit_variance, least_norm
from pessimism.tasks._engine.sampling import draw_statistics
from pessimism.tasks.data import TaskData

__all__ = ["LinearTasks"]

ORTHONORMAL = 1e-9
"""How far B'B may be from the identity."""


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class LinearTasks(Stored):
    r"""Linear regressions on a shared k-dimensional representation of :math:`R^d`.

    Parameters
    ----------
    representation : (..., d, k) array_like of float
        B, with orthonormal columns.
    heads : (..., k, M) array_like of float
        W, a column for each source task.
    target : (..., k) array_like of float
        Head w of the target task.
    noise : (...) array_like of float
        Standard deviation :math:`\sigma` of the noise of the target's outputs, at least 0, and of those of every source
        task.
    source_noise : (..., M) array_like of float, optional
        Standard deviations :math:`\sigma_m` for each source task, at least 0. Default: `noise`.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, its first bad entry and what was expected, as its methods do.

    Notes
    -----
    Leading axes are a batch of worlds; every method broadcasts over them. Heads need not have full rank: a risk that
    is then infinite is inf, and other functions raise an error.

    Examples
    --------
    >>> tasks = LinearTasks(np.eye(3, 2), heads=[[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], target=[1.0, 1.0])
    >>> tasks.risk([1.0, 0.5, 0.0]).item()
    0.25
    """

    representation: Floats
    heads: Floats
    target: Floats
    noise: Floats
    source_noise: Floats

    def __init__(
        self,
        representation: ArrayLike,
        heads: ArrayLike,
        target: ArrayLike,
        noise: ArrayLike = 1.0,
        source_noise: ArrayLike | None = None,
    ) -> None:
        basis = _check.matrix("representation", representation, "d, k")
        d, k = basis.shape[-2:]
        if k > d:
            raise ValueError(f"representation must have at most as many columns as rows, got shape {basis.shape}")
        apart = np.abs(basis.mT @ basis - np.eye(k)).max(initial=0.0)
        if apart > ORTHONORMAL:
            raise ValueError(
                f"representation must have orthonormal columns: B'B is {apart:.3g} from the identity; "
                "numpy.linalg.qr gives such a basis of the same span (and changes the heads with it)"
            )
        sources = _check.matrix("heads", heads, "k, tasks")
        if sources.shape[-2] != k:
            raise ValueError(f"heads must have {k} rows, one for each column of representation, got {sources.shape}")
        goal = _check.vector("target", target, k, "an entry for each column of representation")
        deviation = _check.real_array("noise", noise, low=0.0)
        tasks = sources.shape[-1]
        if source_noise is None:
            each = np.broadcast_to(deviation[..., None], (*deviation.shape, tasks))
        else:
            each = _check.vector("source_noise", source_noise, tasks, "an entry for each source task", low=0.0)
        batches = {"heads": sources.shape[:-2], "target": goal.shape[:-1], "noise": deviation.shape}
        batches["source_noise"] = each.shape[:-1]
        for name, batch in batches.items():
            _check.broadcast(f"representation and {name}", basis.shape[:-2], batch)
        names = "representation, heads, target and noise" + ", source_noise" * (source_noise is not None)
        _check.broadcast(names, basis.shape[:-2], *batches.values())
        values = {"representation": basis, "heads": sources, "target": goal, "noise": deviation, "source_noise": each}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def shape(self) -> tuple[int, ...]:
        """Batch of worlds."""
        parts = (self.representation.shape[:-2], self.heads.shape[:-2], self.target.shape[:-1], self.noise.shape)
        return np.broadcast_shapes(*parts, self.source_noise.shape[:-1])

    @property
    def dimension(self) -> int:
        """Length d of an input."""
        return int(self.representation.shape[-2])

    @property
    def rank(self) -> int:
        """Number k of columns of the representation."""
        return int(self.representation.shape[-1])

    @property
    def n_tasks(self) -> int:
        """M, the number of source tasks."""
        return int(self.heads.shape[-1])

    @property
    def coefficients(self) -> Floats:
        """(..., M, d) float, B w_m of every source task."""
        return np.asarray((self.representation @ self.heads).mT)

    @property
    def target_coefficients(self) -> Floats:
        """(..., d) float, B w of the target."""
        return np.asarray((self.representation @ self.target[..., None])[..., 0])

    def sample(self, n: ArrayLike, *, size: int | tuple[int, ...] | None = None, rng: Rng = None) -> TaskData:
        r"""Draw the statistics of :math:`n_m` rows of every source task.

        Parameters
        ----------
        n : (..., M) array_like of int
            Rows of each task, from 0; one number for all alike.
        size : int or tuple of int, optional
            Axes of independent data sets, in front of the broadcast shape of world and n.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        TaskData
            Of batch shape ``size + batch``.

        Notes
        -----
        Drawn in law by Bartlett's decomposition: d(d+3)/2 + 1 random numbers a task whatever n is, and a product of
        d x d matrices. With fewer than d rows the factor is trapezoidal.

        Examples
        --------
        >>> tasks = LinearTasks(np.eye(3, 1), heads=[[1.0, 2.0]], target=[1.0])
        >>> tasks.sample([10, 10**9], size=5, rng=0).grams.shape
        (5, 2, 3, 3)
        """
        return self._draw(n, self.coefficients, self.source_noise, size, rng)

    def sample_target(self, n: ArrayLike, *, size: int | tuple[int, ...] | None = None, rng: Rng = None) -> TaskData:
        """Draw the statistics of n rows of the target task.

        Parameters
        ----------
        n : (...) array_like of int
            Target rows, from 0.
        size, rng : as in `sample`
            See there.

        Returns
        -------
        TaskData
            With one task, of batch shape ``size + batch``.

        Examples
        --------
        >>> tasks = LinearTasks(np.eye(3, 1), heads=[[1.0, 2.0]], target=[1.0])
        >>> tasks.sample_target(50, rng=0).moments.shape
        (1, 3)
        """
        rows = _check.whole_array("n", n)
        return self._draw(rows[..., None], self.target_coefficients[..., None, :], self.noise[..., None], size, rng)

    def _draw(
        self, n: ArrayLike, theta: Floats, noise: Floats, size: int | tuple[int, ...] | None, rng: Rng
    ) -> TaskData:
        rows, tasks = _check.whole_array("n", n), theta.shape[-2]
        if rows.ndim and rows.shape[-1] not in (1, tasks):
            raise ValueError(f"n must have shape (..., {tasks}), an entry for each task, got {rows.shape}")
        batch = _check.broadcast("n and the world", (*self.shape, tasks), rows.shape)
        counts: Ints = np.array(np.broadcast_to(rows, front_axes(size) + batch))
        return TaskData.trusted(counts, *draw_statistics(_check.generator(rng), counts, theta, noise))

    def sample_rows(self, n: ArrayLike, *, rng: Rng = None) -> tuple[Floats, Floats, Ints]:
        """Draw raw rows of the source tasks, for estimators that need them and to test the law of `sample`.

        Parameters
        ----------
        n : (M,) array_like of int
            Rows of each task, or one number for all.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        inputs : (sum n, d) float
            Standard normal.
        outputs : (sum n,) float
            With noise.
        tasks : (sum n,) int
            The task of every row, in order. `TaskData.from_arrays` takes the three.

        Examples
        --------
        >>> x, y, task = LinearTasks(np.eye(3, 1), heads=[[1.0, 2.0]], target=[1.0]).sample_rows([2, 1], rng=0)
        >>> x.shape, task.tolist()
        ((3, 3), [0, 0, 1])
        """
        if self.shape != ():
            raise ValueError(f"sample_rows takes one world, this is a batch of shape {self.shape}")
        counts = _check.whole_array("n", n, high=_check.MAX_COUNT)
        if counts.shape not in ((), (1,), (self.n_tasks,)):
            raise ValueError(f"n must have shape ({self.n_tasks},), an entry for each task, got {counts.shape}")
        generator = _check.generator(rng)
        tasks = np.repeat(np.arange(self.n_tasks), np.broadcast_to(counts, self.n_tasks))
        inputs = generator.standard_normal((len(tasks), self.dimension))
        signal = np.einsum("nd,nd->n", inputs, self.coefficients[tasks])
        return inputs, signal + self.source_noise[tasks] * generator.standard_normal(len(tasks)), tasks

    def risk(self, coefficients: ArrayLike) -> Floats:
        r"""Compute the excess risk of a decision on the target, exactly.

        Parameters
        ----------
        coefficients : (..., d) array_like of float
            The decision.

        Returns
        -------
        (...) float
            :math:`\|\hat\theta - Bw\|^2`: the squared error on a new target row beyond the noise.

        Examples
        --------
        >>> LinearTasks(np.eye(3, 1), heads=[[1.0]], target=[1.0]).risk([1.0, 0.0, 0.5]).item()
        0.25
        """
        theta = _check.vector("coefficients", coefficients, self.dimension, "an entry for each input")
        return np.asarray(((theta - self.target_coefficients) ** 2).sum(axis=-1))

    def representation_risk(self, basis: ArrayLike) -> Floats:
        r"""Compute the risk of a representation with the best head, which no number of target rows removes.

        Parameters
        ----------
        basis : (..., d, k') array_like of float
            Any basis of the estimated span, of full column rank.

        Returns
        -------
        (...) float
            :math:`\rho = \|(I - P_{\hat B}) B w\|^2`.

        Notes
        -----
        Only the span of the basis matters.

        Examples
        --------
        >>> tasks = LinearTasks(np.eye(3, 1), heads=[[1.0]], target=[1.0])
        >>> tasks.representation_risk([[1.0], [0.0], [1.0]]).round(12).item()
        0.5
        """
        span = _check.matrix("basis", basis, "d, k")
        if span.shape[-2] != self.dimension:
            raise ValueError(f"basis must have {self.dimension} rows, got shape {span.shape}")
        q = orthonormal("basis", span)
        theta = self.target_coefficients[..., None]
        return np.asarray(((theta - q @ (q.mT @ theta)) ** 2).sum(axis=(-2, -1)))

    def total_risk(self, basis: ArrayLike, n_target: ArrayLike) -> Floats:
        r"""Compute the expected risk of a representation whose head is fitted to fresh target rows, exactly.

        Parameters
        ----------
        basis : (..., d, k') array_like of float
            Any basis of the estimated span, independent of the target rows.
        n_target : (...) array_like of int
            Target rows, at least k' + 2.

        Returns
        -------
        (...) float
            :math:`\rho + (\sigma^2 + \rho)\,k'/(n_T - k' - 1)`.

        Raises
        ------
        ValueError, TypeError
            If there are fewer than k' + 2 target rows, for which the expectation is infinite, or a shape does not fit.

        See Also
        --------
        pessimism.tasks.bounds.target_term : The second term for any number of rows.

        Notes
        -----
        Given the basis, the part of the target outside its span is Gaussian noise independent of the part inside, and
        :math:`E[(X^\top X)^{-1}] = I/(n - k - 1)` for Gaussian rows. Derived by us; holds for every n.

        Examples
        --------
        >>> LinearTasks(np.eye(3, 1), heads=[[1.0]], target=[1.0]).total_risk([[1.0], [0.0], [0.0]], 12).item()
        0.1
        """
        rho = self.representation_risk(basis)
        return self._with_target_rows(rho, np.shape(basis)[-1], n_target)

    def predicted_risk(self, n: ArrayLike, n_target: ArrayLike | None = None) -> Floats:
        r"""Predict the risk of the least-squares representation, to leading order in the samples.

        Parameters
        ----------
        n : (..., M) array_like of float
            Rows of each task; counts, or shares of a budget.
        n_target : (...) array_like of int, optional
            Target rows, at least k + 2. Default: no head to fit, the risk of the representation alone.

        Returns
        -------
        (...) float
            :math:`\rho = \sigma^2 (d-k)\, w^\top (W D W^\top)^{-1} w` with D = diag(n), for noise that differs
            :math:`(d-k) \sum_m \sigma_m^2 \nu_m^2 / n_m` with :math:`\nu = D W^\top (W D W^\top)^{-1} w`; with rows of
            the target
            :math:`\rho + (\sigma^2 + \rho)\,k/(n_T - k - 1)`; inf where the tasks sampled do not span the target,
            unless d = k, where every representation spans all inputs and :math:`\rho = 0`. NaN, with a warning, where
            the tasks sampled in a batch are nearly dependent: see `variance`.

        See Also
        --------
        pessimism.tasks.designs.variance : The quadratic form.
        pessimism.tasks.bounds.l1_risk : Its smallest value for a given budget.

        Notes
        -----
        For the minimiser of the squared error summed over all rows, with x standard normal and all :math:`n_m \gg d`;
        where :math:`n_m` is near d the risk is larger, by a factor of about n/(n - d - 1). First-order perturbation of
        the best rank-k approximation; derived by us. The quadratic form is the least :math:`\sum_m \nu_m^2/n_m` with
        :math:`W\nu = w`, so for equal noise no division of a budget N does better than :math:`\|\nu^1\|_1^2/N`,
        attained at :math:`n \propto |\nu^1|`. Where the noise differs between tasks, the fit takes the same
        :math:`\nu`, since it weighs all rows alike, and the best division is that of `bounds.known_noise_risk`.

        Examples
        --------
        >>> tasks = LinearTasks(np.eye(5, 2), heads=np.eye(2), target=[1.0, 0.0])
        >>> tasks.predicted_risk([300, 1]).round(12).item()
        0.01
        """
        rows = _check.vector("n", n, self.n_tasks, "an entry for each task", low=0.0)
        _check.broadcast("n and the world", self.shape, rows.shape[:-1])
        found, excess = least_norm(self.heads, self.target, rows), self.dimension - self.rank
        form = six_digits(found)
        alike = (self.source_noise == self.source_noise[..., :1]).all(axis=-1)
        factor = self.source_noise[..., 0] ** 2 * excess
        if not alike.all():
            terms = fit_variance(found.weights, rows, self.source_noise) * excess
            factor, form = np.where(alike, factor, 1.0), np.where(alike | ~np.isfinite(form), form, terms)
        reached = ~np.isinf(form)
        rho = np.where(reached, factor * np.where(reached, form, 0.0), np.inf if self.dimension > self.rank else 0.0)
        return rho if n_target is None else self._with_target_rows(rho, self.rank, n_target)

    def _with_target_rows(self, rho: Floats, k: int, n_target: ArrayLike) -> Floats:
        rows = _check.whole_array("n_target", n_target)
        _check.require(
            "n_target", rows, rows >= k + 2, f"at least k + 2 = {k + 2}, below which the expected risk is infinite"
        )
        return np.asarray(rho + (self.noise**2 + rho) * k / (rows - k - 1))
