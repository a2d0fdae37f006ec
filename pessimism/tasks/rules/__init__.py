r"""Rules: they buy rows of the source tasks, fit them, and decide on coefficients for the target.

Every rule takes a source and the target's rows, and returns an `ActiveRun`. A source is anything with `n_tasks` and
``sample(n, rng=) -> TaskData``: a `LinearTasks`, a `TaskPool` of real rows, or an object of your own; its attribute
`caps` limits what can be bought, its method `risk` values the decision, if it has them. The target's rows are a
`TaskData` of one task; its batch is the batch of runs.

Active rules buy in phases. To the rows bought so far they fit the representation (least squares summed over rows), and
to the target's rows its head on it; these estimate the relevance :math:`\hat\nu` with
:math:`\hat W\hat\nu \approx \hat w`, by which the next budget is divided:

===================  ==============================  =============================================
file, function       relevance                       rows of the next phase
===================  ==============================  =============================================
`a_mtrl`             minimum norm (or given)         :math:`\propto \hat\nu_m^2`, with a floor
`l1_a_mtrl`          Lasso (or given)                :math:`\propto |\hat\nu_m|`, with a floor
`top_s`              Lasso, its s largest entries    :math:`\propto |\hat\nu_m|`, the floor elsewhere
===================  ==============================  =============================================

The others decide what to buy without looking at any row:

===================  ==========================================================================
file, function       what it buys and fits
===================  ==========================================================================
`passive`            equal numbers of every task; least squares (P-MTRL)
`random_s`           the floor, and equal numbers of s tasks drawn at random; least squares
`fixed`              given numbers, by an optimal design for instance; least squares
`method_moments`     given numbers; fourth moments of raw rows
`target_only`        nothing: ridge regression on the target's rows
===================  ==========================================================================
"""
