"""Planners and offline rules a person would write, each with one mistake, and the message that must name it."""

import math
from functools import partial
from types import SimpleNamespace

import numpy as np

from pessimism.mdp import cql

SWEEPS = 300


def answer(policy, value, **extra):
    return SimpleNamespace(policy=policy, value=value, **extra)


# planners


def q_values(mdp, value, *, gamma=None):
    later = (mdp.probabilities * value[..., mdp.next_states]).sum(axis=-1)
    return mdp.mean_rewards + (mdp.discount if gamma is None else gamma) * later


def zeros(mdp):
    return np.zeros((*mdp.shape, mdp.n_states))


def greedy(q, value=None, **extra):
    return answer(q.argmax(axis=-1), q.max(axis=-1) if value is None else value, **extra)


def policy_iteration(mdp, steps=10**9):
    """The planner that all others meant to be: dense, for any batch."""
    policy = mdp.mean_rewards.argmax(axis=-1) + np.zeros((*mdp.shape, 1), int)
    matrix = np.zeros((*mdp.shape, mdp.n_states, mdp.n_actions, mdp.n_states))
    for s, a, b in np.ndindex(mdp.next_states.shape):
        matrix[..., s, a, mdp.next_states[s, a, b]] += mdp.probabilities[..., s, a, b]
    while True:
        chosen = np.take_along_axis(matrix, policy[..., None, None], axis=-2)[..., 0, :]
        rewards = np.take_along_axis(mdp.mean_rewards + np.zeros((*mdp.shape, 1, 1)), policy[..., None], axis=-1)
        value = np.linalg.solve(np.eye(mdp.n_states) - mdp.discount * chosen, rewards)[..., 0]
        q = q_values(mdp, value)
        own = np.take_along_axis(q, policy[..., None], axis=-1)[..., 0]
        better = q.max(axis=-1) > own + 1e-9 * (1 + np.abs(own))
        if not better.any() or steps == 0:
            return answer(policy, value)
        policy, steps = np.where(better, q.argmax(axis=-1), policy), steps - 1


def improvements(steps):
    return partial(policy_iteration, steps=steps)


def optimum(mdp):
    return policy_iteration(mdp).value


def with_values(change):
    """The optimal policy, with its values changed."""

    def planner(mdp):
        best = policy_iteration(mdp)
        return answer(best.policy, change(best.value, mdp))

    return planner


def greedy_for(change):
    """Values that are changed, and the policy that is greedy for them."""

    def planner(mdp):
        value = change(optimum(mdp), mdp)
        return greedy(q_values(mdp, value), value)

    return planner


def sweeps(count, *, best=np.max, gamma=lambda mdp: mdp.discount):
    """Value iteration from 0."""

    def planner(mdp):
        value = zeros(mdp)
        for _ in range(count):
            q = q_values(mdp, value, gamma=gamma(mdp))
            value = best(q, axis=-1)
        return answer((q.argmin if best is np.min else q.argmax)(axis=-1), value)

    return planner


ten_sweeps = sweeps(10)


def ignores_padding(mdp):
    matrix = np.zeros((*mdp.shape, mdp.n_states, mdp.n_actions, mdp.n_states))
    lists = np.broadcast_to(mdp.next_states, mdp.probabilities.shape)
    np.put_along_axis(matrix, lists, mdp.probabilities, axis=-1)
    value = zeros(mdp)
    for _ in range(SWEEPS):
        q = mdp.mean_rewards + mdp.discount * (matrix * value[..., None, None, :]).sum(axis=-1)
        value = q.max(axis=-1)
    return greedy(q)


def certifies_the_last_change(mdp):
    value = optimum(mdp) + 5e-7
    q = q_values(mdp, value)
    return greedy(q, error_bound=np.abs(q.max(axis=-1) - value).max(axis=-1))


def wrong_batch_axis(mdp):
    value = optimum(mdp)
    return answer(q_values(mdp, value).argmax(axis=1), value)


def looks_at_the_first_model(mdp):
    value, change = zeros(mdp), 1.0
    while change > 1e-9 * (1 - mdp.discount):
        new = q_values(mdp, value).max(axis=-1)
        change = np.abs(new - value).reshape(-1, mdp.n_states)[0].max()
        value = new
    return greedy(q_values(mdp, value), value)


def writes_into_rewards(mdp):
    mdp.rewards[...] = 0.0
    return greedy(q_values(mdp, zeros(mdp)))


def next_reward(mdp):
    return mdp.mean_rewards + np.zeros((*mdp.shape, 1, 1))


WRONG_PLANNERS = {
    "ten sweeps": (ten_sweeps, '"value": it stops too early: its values are those after 10 sweeps from 0'),
    "no discount": (sweeps(100, gamma=lambda mdp: 1.0), '"value": the discount is missing: .* sums over 100 steps'),
    "no discount and no end": (
        sweeps(1001, gamma=lambda mdp: 1.0),
        r'"value": .* none can exceed 8\.3: is the discount',
    ),
    "discount squared": (sweeps(SWEEPS, gamma=lambda mdp: mdp.discount**2), '"value": the discount is applied twice'),
    "discounted reward": (
        with_values(lambda value, mdp: mdp.discount * value),
        '"value": the discount multiplies the rew',
    ),
    "normalised": (with_values(lambda value, mdp: (1 - mdp.discount) * value), '"value": its values are normalised'),
    "doubled": (with_values(lambda value, mdp: 2 * value), '"value": its values are 2 times the optimal ones'),
    "from a constant": (
        with_values(lambda value, mdp: value + 10 * mdp.discount**60),
        '"value": its values are the optimal ones and 0.018 more in every state: does it stop too early',
    ),
    "a discount nearly right": (
        sweeps(1500, gamma=lambda mdp: 0.99 * mdp.discount),
        '"value": its values are those of the discount 0.891, where the model has 0.9',
    ),
    "one step": (lambda mdp: greedy(next_reward(mdp)), '"value": its values are those of one step: what comes'),
    "argmin": (
        lambda mdp: answer(q_values(mdp, optimum(mdp)).argmin(axis=-1), optimum(mdp)),
        '"policy": its policy takes the worst',
    ),
    "greedy for the next reward": (
        lambda mdp: greedy(next_reward(mdp), optimum(mdp)),
        '"policy": its policy is greedy for',
    ),
    "the first that is nearly best": (  # which on three states is that of the highest reward
        lambda mdp: answer((mdp.gaps <= 0.05).argmax(axis=-1), optimum(mdp)),
        r'"policy": in state \d its policy is worth',
    ),
    "min": (sweeps(SWEEPS, best=np.min), '"value": its values are minimal, not maximal: is min used for max'),
    "mean": (sweeps(SWEEPS, best=np.mean), '"value": it averages over actions where it should maximise'),
    "padding": (ignores_padding, '"value": lists of successors are padded and may name a state twice'),
    "last change": (certifies_the_last_change, '"certificate": it certifies an error .* divided by 1 - discount'),
    "batch axis": (wrong_batch_axis, '"batch": on a batch .* as if the best were taken over another axis'),
    "first model": (looks_at_the_first_model, '"batch": in a batch .* has not converged before its last model has'),
    "values from 0": (greedy_for(lambda value, mdp: np.maximum(value, 0.0)), '"shift": .* is 0 taken for the lowest'),
    "rewards up to 1": (
        greedy_for(lambda value, mdp: np.minimum(value, 1 / (1 - mdp.discount))),
        '"scale": .* depend on the unit of the reward',
    ),
    "in place": (writes_into_rewards, r'"mutation": it wrote into mdp\.rewards'),
    "only the policy": (lambda mdp: policy_iteration(mdp).policy, r'"contract": its answer must have \.policy and'),
    "random": (
        with_values(lambda value, mdp: value + 1e-9 * np.random.default_rng().random()),
        '"repeat": asked again',
    ),
    "counts from 1": (
        lambda mdp: answer(policy_iteration(mdp).policy + 1, optimum(mdp)),
        '"contract": it chose action 1, but actions are numbered from 0 to 0',
    ),
    "fixed discount": (
        sweeps(SWEEPS, gamma=lambda mdp: 0.9),
        '"value": the discount of the model makes no difference: it is fixed at 0.9',
    ),
    "two improvements": (improvements(2), '"value": it stops after [123] steps? of policy iteration'),
    "four improvements": (improvements(4), '"value": it stops after [345] steps of policy iteration'),
    "7 digits": (
        with_values(lambda value, mdp: value.astype(np.float32)),
        '"contract": values are float64, its have dtype float32',
    ),
    "7 digits inside": (
        with_values(lambda value, mdp: value.astype(np.float32).astype(float)),
        r'"value": in state \d+ its value is (?P<found>\S+), the optimal one is (?!(?P=found) )',
    ),
    "infinite": (with_values(lambda value, mdp: np.inf * (1 + 0 * value)), '"contract": its value must be finite'),
}


# planners with a horizon


def backward_induction(mdp, *, gamma=None):
    tables = np.broadcast_shapes(mdp.probabilities.shape[:-4], mdp.shape)
    later, values, policies = np.zeros((*tables, mdp.n_states)), [], []
    discount = mdp.discount if gamma is None else gamma
    for h in reversed(range(mdp.horizon)):
        p = mdp.probabilities[..., h % mdp.probabilities.shape[-4], :, :, :]
        r = mdp.mean_rewards[..., h % mdp.mean_rewards.shape[-3], :, :]
        successors = mdp.next_states[h % len(mdp.next_states)]
        q = r + discount * (p * later[..., successors]).sum(axis=-1)
        later = q.max(axis=-1)
        values.append(later)
        policies.append(q.argmax(axis=-1))
    return answer(np.stack(policies[::-1], axis=-2), np.stack(values[::-1], axis=-2))


def steps_run_backwards(mdp):
    plan = backward_induction(mdp)
    return answer(plan.policy, plan.value[..., ::-1, :])


def first_step_only(mdp):
    plan = backward_induction(mdp)
    return answer(plan.policy[..., 0, :], plan.value[..., 0, :])


WRONG_BACKWARD = {
    "backwards": (steps_run_backwards, r'"value": its steps run backwards: value\[h\] is what is left from step h on'),
    "first step": (first_step_only, r'"contract": its policy must have shape \(3, 1\), got \(1,\), no step axis'),
    "no discount": (lambda mdp: backward_induction(mdp, gamma=1.0), '"value": the discount is missing'),
}


# offline rules


def certainty(data, *, discount, gamma=None, gains=None, shares=None, unseen_state=None, sweeps=None):
    """Plug-in planning over logged actions; an unseen state is worth the least."""
    low, _ = data.reward_range
    seen = data.counts > 0
    fallback = low / (1 - discount) if unseen_state is None else unseen_state
    gains = data.mean_rewards if gains is None else gains
    shares = data.transition_shares if shares is None else shares
    value = np.full(data.counts.shape[:-1], fallback)
    for _ in range(sweeps or math.ceil(math.log(1e-7) / math.log(discount))):
        later = (shares * value[..., data.next_states]).sum(axis=-1)
        q = np.where(seen, gains + (discount if gamma is None else gamma) * later, -np.inf)
        value = np.where(seen.any(axis=-1), q.max(axis=-1), fallback)
    return answer(q.argmax(axis=-1), value, q=q)


def widths(data, discount, *, n=None, in_value_units=True, in_reward_units=True):
    low, high = data.reward_range
    total = np.maximum(data.n if n is None else n, 1)[..., None, None]
    level = 0.5 * np.log(2 * data.n_states * data.n_actions * total)
    unit = (high - low if in_reward_units else 1.0) * (1 / (1 - discount) if in_value_units is True else in_value_units)
    return unit * np.sqrt(level / np.maximum(data.counts, 1))


def pessimistic(data, *, discount, unseen_state=None, **options):
    gains = data.mean_rewards - widths(data, discount, **options)
    return certainty(data, discount=discount, gains=gains, unseen_state=unseen_state)


def no_v_max(data, *, discount):
    return pessimistic(data, discount=discount, in_value_units=1.0)


def gaining(extra):
    """Certainty equivalence, with something added to the mean rewards."""
    return lambda data, *, discount: certainty(data, discount=discount, gains=data.mean_rewards + extra(data))


def planned(change):
    """Certainty equivalence, with policy and value changed at the end."""

    def rule(data, *, discount):
        plan = certainty(data, discount=discount)
        return answer(*change(plan, data, discount))

    return rule


def worth_of_unseen_pairs(worth):
    def change(plan, data, discount):
        return np.where(data.counts > 0, plan.q, worth(data) / (1 - discount)).argmax(axis=-1), plan.value

    return planned(change)


def discount_used_twice(data, *, discount):
    return certainty(data, discount=discount, gamma=discount**2, unseen_state=data.reward_range[0] / (1 - discount**2))


def shares_by(visits):
    return lambda data, *, discount: certainty(
        data, discount=discount, shares=data.next_counts / visits(data)[..., None]
    )


def rewards_summed(data, *, discount):
    sums = data.reward_sums.sum(axis=-1) if data.per_successor else data.reward_sums
    return certainty(data, discount=discount, gains=sums)


def relative_rewards(data, *, discount):
    return certainty(data, discount=discount, gains=data.mean_rewards - data.reward_range[0], unseen_state=0.0)


def unseen_states_at_zero(data, *, discount):
    return certainty(data, discount=discount, unseen_state=0.0)


def dense_by_assignment(data, *, discount):
    """Forgets that padding names a state again: later entries overwrite earlier ones."""
    matrix = np.zeros((*data.counts.shape, data.n_states))
    lists = np.broadcast_to(data.next_states, data.next_counts.shape)
    np.put_along_axis(matrix, lists, data.transition_shares, axis=-1)
    shares = np.take_along_axis(matrix, lists, axis=-1)
    first = np.array([[[x in row[:b] for b, x in enumerate(row)] for row in rows] for rows in data.next_states])
    return certainty(data, discount=discount, shares=np.where(first, 0.0, shares))


def writes_into_counts(data, *, discount):
    data.counts[data.counts == 0] = 1
    return certainty(data, discount=discount)


def raises_on_empty_data(data, *, discount):
    if not np.all(data.n):
        raise ValueError("no data")
    return certainty(data, discount=discount)


unseen_pairs_optimistic = worth_of_unseen_pairs(lambda data: data.reward_range[1])
argmax_over_axis_one = planned(lambda plan, data, discount: (plan.q.argmax(axis=1), plan.value))


def adds_the_width(data, *, discount):
    return certainty(data, discount=discount, gains=data.mean_rewards + widths(data, discount))


ONE_STEP = r'"shift": .*to this rule 1: it is the value of one step, or normalised by 1 - discount'

WRONG_OFFLINE = {
    "discount squared": (discount_used_twice, r'"shift": .*to this rule 1\.33333: the discount is applied twice'),
    "shares by the total": (
        shares_by(lambda data: np.maximum(data.n, 1)[..., None, None] + 0 * data.counts),
        '"shift": .*the shares of the successors do not total one. next_counts must be divided by',
    ),
    "sums of rewards": (rewards_summed, '"shift": .*sums of rewards stand where means belong'),
    "one step": (
        lambda data, *, discount: certainty(data, discount=discount, gamma=0.0, unseen_state=data.reward_range[0]),
        ONE_STEP,
    ),
    "normalised": (planned(lambda plan, data, discount: (plan.policy, (1 - discount) * plan.value)), ONE_STEP),
    "relative rewards": (relative_rewards, '"shift": .*taken relative to the lowest one, which has to be put back'),
    "unseen states at 0": (unseen_states_at_zero, '"(shift|highest)": .*(a fixed number such as 0| is 0, and rewards)'),
    "unseen pairs at 0": (worth_of_unseen_pairs(lambda data: 0.0), '"seen": .*never logged there.*0 is optimism when'),
    "optimism": (unseen_pairs_optimistic, '"seen": .*never logged there, though action .*leave it out of the maximum'),
    "falls back to action 0": (
        planned(lambda plan, data, _: (np.where((data.counts > 0).all(axis=-1), plan.policy, 0), plan.value)),
        '"seen": .*never logged there.*It falls back to action 0, whichever that is',
    ),
    "overwritten": (dense_by_assignment, '"lists": with every list of successors .* never overwritten'),
    "in place": (writes_into_counts, r'"mutation": it wrote into data\.counts: work on a copy'),
    "axis 1": (argmax_over_axis_one, r'"batch": in a batch of shape \(2, 3\) its policy .*taken over another axis'),
    "total over the batch": (
        lambda data, *, discount: pessimistic(
            data, discount=discount, n=np.broadcast_to(data.counts.sum(), data.shape)
        ),
        '"batch": within a batch .* a data set\'s totals are data.n',
    ),
    "low actions": (
        gaining(lambda data: -0.05 * np.arange(data.n_actions)),
        '"actions": with the actions .* their numbering',
    ),
    "high states": (
        gaining(lambda data: 0.05 * np.arange(data.n_states)[:, None]),
        '"states": with the states .* their numbering',
    ),
    "unit range": (
        lambda data, *, discount: pessimistic(data, discount=discount, in_reward_units=False),
        '"scale": .*widths are in reward unit',
    ),
    "optimistic width": (adds_the_width, r'"highest": .*is a width added instead of subtracted\?'),
    "random": (
        gaining(lambda data: 1e-3 * np.random.default_rng().random(data.counts.shape)),
        '"repeat": asked again about the same data.*give its generator a fixed seed',
    ),
    "no argmax": (
        planned(lambda plan, data, discount: (np.where(data.counts > 0, plan.q, 0.0), plan.value)),
        '"contract": a float policy holds probabilities of the actions that total 1',
    ),
    "no data": (raises_on_empty_data, '"contract": it raised ValueError: no data'),
    "0/0": (shares_by(lambda data: data.counts), '"contract": it warned of RuntimeWarning: invalid value'),
}


def no_root(data, *, discount):
    return certainty(data, discount=discount, gains=data.mean_rewards - (1 - discount) * widths(data, discount) ** 2)


def unseen_states_in_the_middle(data, *, discount):
    return pessimistic(data, discount=discount, unseen_state=sum(data.reward_range) / 2 / (1 - discount))


def imitation(data, *, discount):
    """Law of the logged actions, and what it is worth where all went on as logged."""
    visits = data.counts.sum(axis=-1, keepdims=True)
    law = np.where(visits > 0, data.counts / np.maximum(visits, 1), 1 / data.n_actions)
    low = data.reward_range[0] / (1 - discount)
    value = np.full(data.counts.shape[:-1], low)
    for _ in range(40):
        q = data.mean_rewards + discount * (data.transition_shares * value[..., data.next_states]).sum(axis=-1)
        value = np.where(visits[..., 0] > 0, (law * q).sum(axis=-1), low)
    return answer(law, value)


def smoothed(prior):
    """Certainty equivalence with `prior` visits more of each pair, to which `prior(...)` is the next value."""

    def rule(data, *, discount):
        low = data.reward_range[0] / (1 - discount)
        seen, value = data.counts > 0, np.full(data.counts.shape[:-1], low)
        for _ in range(40):
            total, more = prior(data, value)
            later = ((data.next_counts * value[..., data.next_states]).sum(axis=-1) + total) / (data.counts + more)
            q = np.where(seen, data.mean_rewards + discount * later, -np.inf)
            value = np.where(seen.any(axis=-1), q.max(axis=-1), low)
        return answer(q.argmax(axis=-1), value)

    return rule


smoothed_over_states = smoothed(lambda data, value: (value.sum(axis=-1)[..., None, None], data.n_states))
smoothed_over_entries = smoothed(
    lambda data, value: (value[..., data.next_states].sum(axis=-1), data.next_counts.shape[-1])
)


def in_single_precision(data, *, discount):
    plan = imitation(data, discount=discount)
    return answer(plan.policy.astype(np.float32), plan.value.astype(np.float32))


def cql_in_its_unit(data, *, discount):
    low, high = data.reward_range
    return cql(data, discount=discount, alpha=0.5 * (high - low))


def random_ties(data, *, discount):
    plan = certainty(data, discount=discount)
    lots = np.random.default_rng().random(plan.q.shape)
    return answer(np.where(plan.q == plan.q.max(axis=-1, keepdims=True), lots, -1).argmax(axis=-1), plan.value)


needs_data = raises_on_empty_data


def all_worst(data, *, discount):
    """Minimal values over logged actions, and the actions that have them."""
    low = data.reward_range[0] / (1 - discount)
    seen, value = data.counts > 0, np.full(data.counts.shape[:-1], low)
    for _ in range(60):
        later = (data.transition_shares * value[..., data.next_states]).sum(axis=-1)
        q = np.where(seen, data.mean_rewards + discount * later, np.inf)
        value = np.where(seen.any(axis=-1), q.min(axis=-1), low)
    return answer(q.argmin(axis=-1), value)


def worst_policy(make):
    """A rule's values, and the logged actions that are worth least."""

    def rule(data, *, discount):
        plan = make(data, discount=discount)
        return answer(np.where(data.counts > 0, plan.q, np.inf).argmin(axis=-1), plan.value)

    return rule


def first_sweeps(count):
    """Values of sweeps from 0."""

    def rule(data, *, discount):
        low = data.reward_range[0] / (1 - discount)
        seen, value = data.counts > 0, np.zeros(data.counts.shape[:-1])
        for _ in range(count):
            later = (data.transition_shares * value[..., data.next_states]).sum(axis=-1)
            q = np.where(seen, data.mean_rewards + discount * later, -np.inf)
            value = np.where(seen.any(axis=-1), q.max(axis=-1), low)
        return answer(q.argmax(axis=-1), value)

    return rule


WRONG_OFFLINE |= {
    "argmin": (worst_policy(certainty), '"value": .*it takes the worst action, argmin may stand where argmax'),
    "argmin and min": (all_worst, '"better": .* the worse one, whichever it is'),
    "greedy for the next reward": (
        planned(
            lambda plan, data, _: (np.where(data.counts > 0, data.mean_rewards, -np.inf).argmax(axis=-1), plan.value)
        ),
        '"value": .*it is greedy for the next reward',
    ),
    "most frequent, value of the best": (
        planned(lambda plan, data, _: (data.counts.argmax(axis=-1), plan.value)),
        '"value": .*it takes the action logged most',
    ),
    "rewards of N + 1": (
        gaining(lambda data: -data.mean_rewards / (data.counts + 1)),
        '"shift": .*its rewards are summed and divided by N.s, a. . 1, not by',
    ),
    "shares of N + 1": (
        shares_by(lambda data: data.counts + 1),
        '"shift": .*the shares of its successors do not total one, but 0.5 after one visit',
    ),
    "rewards cut off at 0": (
        gaining(lambda data: np.maximum(-data.mean_rewards, 0.0)),
        '"shift": .*it takes a fixed number such as 0 for the smallest',
    ),
    "a discount nearly right": (
        lambda data, *, discount: certainty(data, discount=discount, gamma=0.99 * discount),
        '"shift": .*as if the discount were 0.495 in place of 0.5',
    ),
    "penalty in no unit": (cql, '"scale": .*a constant such as a penalty or a temperature'),
    "imitation, value of the best": (
        planned(lambda plan, data, discount: (imitation(data, discount=discount).policy, plan.value)),
        '"value": .*a value is what the probabilities returned with it can earn',
    ),
    "few sweeps": (first_sweeps(5), '"shift": .*it stops too early: its values are those after 5 sweeps from 0'),
    "fixed discount": (
        lambda data, *, discount: certainty(data, discount=0.75),
        '"shift": .*the discount it is called with makes no difference: it is fixed, at 0.75',
    ),
    "discounted rewards": (
        lambda data, *, discount: certainty(data, discount=discount, gains=discount * data.mean_rewards),
        '"shift": .*the discount multiplies the reward too',
    ),
    "smoothed over list entries": (
        smoothed_over_entries,
        '"lists": with 5 entries of count 0 more .* smoothing divide',
    ),
}


def with_widths(change):
    """`pessimistic` with other widths: `change(V_max, level, visits, n, states, actions)`."""

    def rule(data, *, discount):
        n, size = np.maximum(data.n, 1)[..., None, None], (data.n_states, data.n_actions)
        low, high = data.reward_range
        level = 0.5 * np.log(2 * size[0] * size[1] * n)
        b = (high - low) * change(1 / (1 - discount), level, np.maximum(data.counts, 1), n, *size)
        return certainty(data, discount=discount, gains=data.mean_rewards - b)

    return rule


WRONG_WIDTHS = {
    "log10": (
        with_widths(lambda v, level, m, n, s, a: v * np.sqrt(level / np.log(10) / m)),
        '"level": the logarithm has base 10',
    ),
    "no S": (
        with_widths(lambda v, level, m, n, s, a: v * np.sqrt((level - 0.5 * np.log(s)) / m)),
        '"level": S is missing from',
    ),
    "no A": (
        with_widths(lambda v, level, m, n, s, a: v * np.sqrt((level - 0.5 * np.log(a)) / m)),
        '"level": A is missing from',
    ),
    "N + 1": (
        with_widths(lambda v, level, m, n, s, a: v * np.sqrt(level / (m + 1))),
        '"level": .* of N.s, a. . 1 visits',
    ),
    "N - 1": (
        with_widths(lambda v, level, m, n, s, a: v * np.sqrt(level / np.maximum(m - 1, 1))),
        '"level": .*N.s, a. - 1 visits',
    ),
    "sqrt V_max": (
        with_widths(lambda v, level, m, n, s, a: np.sqrt(v * level / m)),
        '"level": .* sqrt.V_max., not with V_max',
    ),
    "no V_max": (with_widths(lambda v, level, m, n, s, a: np.sqrt(level / m)), '"level": V_max is missing'),
    "no root": (with_widths(lambda v, level, m, n, s, a: v * level / m), '"level": the square root is missing'),
    "n": (
        with_widths(lambda v, level, m, n, s, a: v * np.sqrt(level / n)),
        '"level": .* n stands where N.s, a. belongs',
    ),
    "N(s)": (
        with_widths(lambda v, level, m, n, s, a: v * np.sqrt(level / m.sum(axis=-1, keepdims=True))),
        '"level": .* N.s. stands where N.s, a. belongs',
    ),
    "one-sided": (
        with_widths(lambda v, level, m, n, s, a: v * np.sqrt((level - 0.5 * np.log(2)) / m)),
        '"level": a factor 2 is',
    ),
    "twice": (
        with_widths(lambda v, level, m, n, s, a: 2 * v * np.sqrt(level / m)),
        '"level": a constant is off: .* 2 times',
    ),
    "cube root": (
        with_widths(lambda v, level, m, n, s, a: v * np.cbrt(level / m)),
        '"level": .* fall as N.s, a..-1/3, not as N.s, a..-1/2',
    ),
    "n/(SA)": (
        with_widths(lambda v, level, m, n, s, a: v * np.sqrt(level * s * a / n)),
        '"level": .* n/.SA. stands where N.s, a. belongs',
    ),
    "N(s, a) in the logarithm": (
        with_widths(lambda v, level, m, n, s, a: v * np.sqrt((level + 0.5 * np.log(m / n)) / m)),
        '"level": its L changes with N.s, a. greater, n the same by .* in the logarithm',
    ),
    "neither S nor A": (
        with_widths(lambda v, level, m, n, s, a: v * np.sqrt(0.5 * np.log(np.maximum(n, 2)) / m)),
        '"level": its L changes with 8 states in place of 2 by 0, where .* and with 5 actions .* by 0, where',
    ),
    "V_max^(3/2)": (
        with_widths(lambda v, level, m, n, s, a: v**1.5 * np.sqrt(level / m)),
        '"level": its widths grow as V_max.3/2, not as V_max',
    ),
    "discount/(1 - discount)": (
        with_widths(lambda v, level, m, n, s, a: (v - 1) * np.sqrt(level / m)),
        '"level": its widths grow with discount/.1 - discount.',
    ),
    "few sweeps from below": (
        lambda data, *, discount: certainty(
            data, discount=discount, gains=data.mean_rewards - widths(data, discount), sweeps=12
        ),
        '"level": it stops too early: its values are those after 12 sweeps from the smallest value',
    ),
    "none": (certainty, '"level": it does not subtract its widths'),
}

NOISE = '"lower bound": .* Its widths do not cover the noise of the rewards'
WRONG_BOUNDS = {
    "certainty": (certainty, NOISE),
    "no root": (no_root, NOISE),
    "no V_max": (no_v_max, r'"lower bound": .* cover the noise of the rewards\. Its widths .* they grow with V_max'),
    "sqrt V_max": (
        lambda data, *, discount: pessimistic(data, discount=discount, in_value_units=(1 - discount) ** -0.5),
        '"lower bound": .* they grow with V_max',
    ),
    "argmin": (worst_policy(pessimistic), '"(value|better|lower bound)": '),
    "n/S": (
        with_widths(lambda v, level, m, n, s, a: v * np.sqrt(level * s / n)),
        '"lower bound": .* noise of the next states: its widths fall where other pairs are logged more often',
    ),
    "unseen states in the middle": (unseen_states_in_the_middle, '"lower bound": .* A state of which nothing was log'),
}


# offline rules for data with steps


def episodic(data, *, horizon, worth_of_unseen=None):
    """Backward induction over logged actions."""
    low, _ = data.reward_range
    later, values, policies = np.zeros((*data.shape, data.n_states)), [], []
    for h in reversed(range(horizon)):
        counts, shares = data.counts[..., h, :, :], data.transition_shares[..., h, :, :, :]
        successors = data.next_states[h % len(data.next_states)]
        q = data.mean_rewards[..., h, :, :] + (shares * later[..., successors]).sum(axis=-1)
        q = np.where(counts > 0, q, -np.inf)
        fallback = low * (horizon - h) if worth_of_unseen is None else worth_of_unseen * (horizon - h)
        later = np.where(counts.any(axis=-1), q.max(axis=-1), fallback)
        values.append(later)
        policies.append(q.argmax(axis=-1))
    return answer(np.stack(policies[::-1], axis=-2), np.stack(values[::-1], axis=-2))


def one_policy_for_all_steps(data, *, horizon):
    plan = episodic(data, horizon=horizon)
    return answer(plan.policy[..., 0, :], plan.value)


def steps_added_up(data, *, horizon):
    """Counts of all steps together, used at every step."""
    plan = episodic(data, horizon=horizon)
    common = data.counts.sum(axis=-3).argmax(axis=-1)
    return answer(np.broadcast_to(common[..., None, :], plan.policy.shape), plan.value)


WRONG_EPISODIC = {
    "unseen steps at 0": (
        lambda data, *, horizon: episodic(data, horizon=horizon, worth_of_unseen=0.0),
        '"shift": .*it takes a fixed number such as 0 for the smallest possible value',
    ),
    "one policy": (one_policy_for_all_steps, r'"contract": its policy must have shape \(3, 2\).* no step axis'),
    "steps added up": (steps_added_up, r'"seen": in state \d at step \d it chose action'),
}

RIGHT_OFFLINE = {"certainty": certainty, "pessimistic": pessimistic, "no V_max": no_v_max}
