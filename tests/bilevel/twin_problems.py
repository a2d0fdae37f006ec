"""Plain twins of the bilevel problems: f and g from their formulas row by row, complex numbers welcome.

`levels(problem)` gives f(x, y, rows) and g(x, y, rows) of a built-in problem from its public fields; derivatives are
taken by complex steps, so none of the formulas under test is used.
"""

from fractions import Fraction

import numpy as np

STEP = 1e-30
"""Of a complex step: no cancellation, so the smaller the better."""


def levels(problem):
    name = type(problem).__name__
    return {
        "Quadratic": lower_quadratic,
        "Cosh": lower_quadratic,
        "Quartic": lower_quadratic,
        "Ridge": ridge,
        "HyperCleaning": cleaning,
        "LogisticRidge": logistic_ridge,
        "HyperRepresentation": representation,
        "PessimismTuning": tuning,
    }[name](problem)


def upper(name, problem, x, r):
    bounded = sum(np.sqrt(1 + part**2) - 1 for part in r)
    return {
        "Quadratic": lambda: sum(r**2) / 2 + problem.rho / 2 * sum(x**2),
        "Cosh": lambda: sum(np.cosh(x) - 1) + bounded,
        "Quartic": lambda: sum(x**4) / 4 + bounded,
    }[name]()


def lower_quadratic(problem):
    dy = problem.dim_y

    def f(x, y, rows=None):
        exact = upper(type(problem).__name__, problem, x, y - problem.target)
        if rows is None:
            return exact
        return np.mean([exact + problem.table[i, 1 + dy :] @ np.concatenate([y, x]) for i in rows])

    def g(x, y, rows=None):
        exact = y @ problem.hessian @ y / 2 - y @ (problem.coupling @ x + problem.offset)
        if rows is None:
            return exact
        return np.mean([(1 + problem.table[i, 0]) * exact + problem.table[i, 1 : 1 + dy] @ y for i in rows])

    return f, g


def squared(inputs, outputs, theta, rows):
    every = range(len(outputs)) if rows is None else rows
    return sum((inputs[i] @ theta - outputs[i]) ** 2 for i in every) / (2 * len(every))


def ridge(problem):
    def f(x, y, rows=None):
        return squared(problem.validation_inputs, problem.validation_outputs, y, rows) + problem.rho / 2 * sum(x**2)

    def g(x, y, rows=None):
        penalties = np.exp(x) if len(x) == len(y) else np.exp(x[0]) * np.ones(len(y))
        return squared(problem.inputs, problem.outputs, y, rows) + sum(penalties * y**2) / 2

    return f, g


def representation(problem):
    def f(x, y, rows=None):
        theta = y @ x.reshape(len(y), -1)
        return squared(problem.validation_inputs, problem.validation_outputs, theta, rows) + problem.rho / 2 * sum(x**2)

    def g(x, y, rows=None):
        theta = y @ x.reshape(len(y), -1)
        return squared(problem.inputs, problem.outputs, theta, rows) + problem.damping / 2 * sum(y**2)

    return f, g


def logistic(label, row, y):
    return np.log(1 + np.exp(-label * (row @ y)))


def rows_of(problem, terms, count):
    """Rows of a sample, of which a term may have several."""
    block = getattr(problem, "block", 1)
    return range(count) if terms is None else [int(term) * block + k for term in terms for k in range(block)]


def logistic_upper(problem):
    def f(x, y, rows=None):
        every = rows_of(problem, rows, len(problem.validation_labels))
        losses = [logistic(problem.validation_labels[i], problem.validation_inputs[i], y) for i in every]
        return sum(losses) / len(every) + problem.rho / 2 * sum(x**2)

    return f


def cleaning(problem):
    def g(x, y, rows=None):
        every = range(problem.n_samples) if rows is None else rows
        losses = [logistic(problem.labels[i], problem.inputs[i], y) / (1 + np.exp(-x[i])) for i in every]
        return sum(losses) / len(every) + problem.damping / 2 * sum(y**2)

    return logistic_upper(problem), g


def logistic_ridge(problem):
    def g(x, y, rows=None):
        every = rows_of(problem, rows, len(problem.labels))
        losses = [logistic(problem.labels[i], problem.inputs[i], y) for i in every]
        penalties = np.exp(x) if len(x) == len(y) else np.exp(x[0]) * np.ones(len(y))
        return sum(losses) / len(every) + sum(penalties * y**2) / 2

    return logistic_upper(problem), g


def tuning(problem):
    def f(x, y, rows=None):
        e = np.exp(y / problem.temperature)
        return -sum(e * problem.held_out) / sum(e) + problem.rho / 2 * x[0] ** 2

    def g(x, y, rows=None):
        width = np.exp(x[0]) / np.sqrt(problem.counts)
        return sum((y - problem.means) ** 2) / 2 + width @ y + problem.damping / 2 * sum(y**2)

    return f, g


def slope(function, point):
    """Gradient of an analytic function by complex steps: exact up to rounding."""
    steps = 1j * STEP * np.eye(len(point))
    return np.array([function(point + step).imag / STEP for step in steps])


def derivatives(problem, x, y, s_f=None, s_g=None):
    """f_x, f_y, g_x, g_y, H and C: first derivatives by complex steps, second ones by central differences of those."""
    f, g = levels(problem)
    gx, gy = slope(lambda p: f(p, y, s_f), x), slope(lambda p: f(x, p, s_f), y)

    def below(point, other):
        return slope(lambda p: g(point, p, s_g), other)

    h = 1e-5
    hessian = [(below(x, y + h * e) - below(x, y - h * e)) / (2 * h) for e in np.eye(len(y))]
    mixed = [(below(x + h * e, y) - below(x - h * e, y)) / (2 * h) for e in np.eye(len(x))]
    lower_x = slope(lambda p: g(p, y, s_g), x)
    return gx, gy, lower_x, below(x, y), np.array(hessian).T, np.array(mixed)


def central(function, point, h=1e-5):
    """Gradient by central differences."""
    return np.array([(function(point + h * e) - function(point - h * e)) / (2 * h) for e in np.eye(len(point))])


def solved(matrix, right):
    """Gauss in fractions: no rounding."""
    rows = [[*row, entry] for row, entry in zip(matrix, right, strict=True)]
    for i in range(len(rows)):
        k = next(k for k in range(i, len(rows)) if rows[k][i])
        rows[i], rows[k] = rows[k], rows[i]
        rows[i] = [entry / rows[i][i] for entry in rows[i]]
        for k in range(len(rows)):
            if k != i:
                rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [row[-1] for row in rows]


def ridge_in_fractions(problem, x):
    """y*, F, its gradient and the Hessian of a ridge problem with rho = 0 and one x a coefficient, from the rows."""
    p, weights = range(problem.dim_y), [Fraction(np.exp(t / 2)) ** 2 for t in x]
    (a, b), (av, bv) = (
        ([[Fraction(t) for t in row] for row in rows.tolist()], [Fraction(t) for t in outputs.tolist()])
        for rows, outputs in (
            (problem.inputs, problem.outputs),
            (problem.validation_inputs, problem.validation_outputs),
        )
    )
    hessian = [[sum(r[i] * r[j] for r in a) / len(a) + weights[i] * (i == j) for j in p] for i in p]
    y = solved(hessian, [sum(r[i] * t for r, t in zip(a, b, strict=True)) / len(a) for i in p])
    gaps = [sum(r[i] * y[i] for i in p) - t for r, t in zip(av, bv, strict=True)]
    z = solved(hessian, [sum(r[i] * gap for r, gap in zip(av, gaps, strict=True)) / len(av) for i in p])
    gradient = [-weights[i] * y[i] * z[i] for i in p]
    value = sum(gap**2 for gap in gaps) / (2 * len(av))
    return np.array(y, float), float(value), np.array(gradient, float), hessian
