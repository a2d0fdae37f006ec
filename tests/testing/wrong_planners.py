"""Planners and offline rules a person would write, each with one mistake, and the message that must name it."""

import math
from types import SimpleNamespace

import numpy as np

SWEEPS = 300


# planners


def q_values(mdp, value, *, gamma=None):
    later = (mdp.probabilities * value[..., mdp.next_states]).sum(axis=-1)
    return mdp.mean_rewards + (mdp.discount if gamma is None else gamma) * later


def zeros(mdp):
    return np.zeros((*mdp.shape, mdp.n_states))


def answer(q, value=None, **extra):
    return SimpleNamespace(policy=q.argmax(axis=-1), value=q.max(axis=-1) if value is None else value, **extra)


def policy_iteration(mdp):
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
        if not better.any():
            return SimpleNamespace(policy=policy, value=value)
        policy = np.where(better, q.argmax(axis=-1), policy)


def optimum(mdp):
    return policy_iteration(mdp).value


def sweeps(mdp, count, **options):
    q = q_values(mdp, zeros(mdp), **options)
    for _ in range(count - 1):
        q = q_values(mdp, q.max(axis=-1), **options)
    return q


def ten_sweeps(mdp):
    return answer(sweeps(mdp, 10))


def forgets_the_discount(mdp):
    return answer(sweeps(mdp, 100, gamma=1.0))


def discounts_twice(mdp):
    return answer(sweeps(mdp, SWEEPS, gamma=mdp.discount**2))


def discounts_the_reward(mdp):
    value = optimum(mdp)
    return answer(q_values(mdp, value), mdp.discount * value)


def normalises_values(mdp):
    value = optimum(mdp)
    return answer(q_values(mdp, value), (1 - mdp.discount) * value)


def one_step(mdp):
    return answer(mdp.mean_rewards + np.zeros((*mdp.shape, 1, 1)))


def no_discount_and_no_end(mdp):
    return answer(sweeps(mdp, 1500, gamma=1.0))


def takes_the_worst(mdp):
    value = optimum(mdp)
    return SimpleNamespace(policy=q_values(mdp, value).argmin(axis=-1), value=value)


def greedy_for_the_next_reward(mdp):
    return answer(mdp.mean_rewards + np.zeros((*mdp.shape, 1, 1)), optimum(mdp))


def minimises(mdp):
    value = zeros(mdp)
    for _ in range(SWEEPS):
        value = q_values(mdp, value).min(axis=-1)
    return SimpleNamespace(policy=q_values(mdp, value).argmin(axis=-1), value=value)


def averages(mdp):
    value = zeros(mdp)
    for _ in range(SWEEPS):
        value = q_values(mdp, value).mean(axis=-1)
    return answer(q_values(mdp, value), value)


def ignores_padding(mdp):
    matrix = np.zeros((*mdp.shape, mdp.n_states, mdp.n_actions, mdp.n_states))
    lists = np.broadcast_to(mdp.next_states, mdp.probabilities.shape)
    np.put_along_axis(matrix, lists, mdp.probabilities, axis=-1)
    value = zeros(mdp)
    for _ in range(SWEEPS):
        q = mdp.mean_rewards + mdp.discount * (matrix * value[..., None, None, :]).sum(axis=-1)
        value = q.max(axis=-1)
    return answer(q)


def certifies_the_last_change(mdp):
    value = optimum(mdp) + 5e-7
    q = q_values(mdp, value)
    return answer(q, error_bound=np.abs(q.max(axis=-1) - value).max(axis=-1))


def wrong_batch_axis(mdp):
    value = optimum(mdp)
    return SimpleNamespace(policy=q_values(mdp, value).argmax(axis=1), value=value)


def looks_at_the_first_model(mdp):
    value, change = zeros(mdp), 1.0
    while change > 1e-9 * (1 - mdp.discount):
        new = q_values(mdp, value).max(axis=-1)
        change = np.abs(new - value).reshape(-1, mdp.n_states)[0].max()
        value = new
    return answer(q_values(mdp, value), value)


def values_are_not_negative(mdp):
    value = np.maximum(optimum(mdp), 0.0)
    return answer(q_values(mdp, value), value)


def rewards_are_at_most_one(mdp):
    value = np.minimum(optimum(mdp), 1 / (1 - mdp.discount))
    return answer(q_values(mdp, value), value)


def writes_into_rewards(mdp):
    mdp.rewards[...] = 0.0
    return answer(q_values(mdp, zeros(mdp)))


def returns_the_policy(mdp):
    return policy_iteration(mdp).policy


def is_random(mdp):
    return SimpleNamespace(
        policy=policy_iteration(mdp).policy, value=optimum(mdp) + 1e-9 * np.random.default_rng().random()
    )


def counts_actions_from_one(mdp):
    return SimpleNamespace(policy=policy_iteration(mdp).policy + 1, value=optimum(mdp))


def infinite_values(mdp):
    return SimpleNamespace(policy=policy_iteration(mdp).policy, value=np.inf * (1 + zeros(mdp)))


WRONG_PLANNERS = {
    ten_sweeps: r'"value": it stops too early: its values are those after 10 sweeps from 0',
    forgets_the_discount: r'"value": the discount is missing: its values are undiscounted sums over 100 steps',
    no_discount_and_no_end: r'"value": .* none can exceed 8\.3: is the discount missing\?',
    discounts_twice: r'"value": the discount is applied twice a step',
    discounts_the_reward: r'"value": the discount multiplies the reward too',
    normalises_values: r'"value": its values are normalised: they are 1 - discount times',
    one_step: r'"value": its values are those of one step: what comes after is missing',
    takes_the_worst: r'"policy": its policy takes the worst action: is argmin used for argmax\?',
    greedy_for_the_next_reward: r'"policy": its policy is greedy for the next reward',
    minimises: r'"value": its values are minimal, not maximal: is min used for max\?',
    averages: r'"value": it averages over actions where it should maximise',
    ignores_padding: r'"value": lists of successors are padded and may name a state twice',
    certifies_the_last_change: r'"certificate": it certifies an error of at most .* divided by 1 - discount',
    wrong_batch_axis: r'"batch": on a batch .* as if the best were taken over another axis',
    looks_at_the_first_model: r'"batch": in a batch .* has not converged before its last model has',
    values_are_not_negative: r'"shift": .* is 0 taken for the lowest value',
    rewards_are_at_most_one: r'"scale": .* depend on the unit of the reward',
    writes_into_rewards: r'"mutation": it wrote into mdp\.rewards',
    returns_the_policy: r'"contract": its answer must have \.policy and \.value, as a Plan has, got ndarray',
    is_random: r'"repeat": asked again about the same model',
    counts_actions_from_one: r'"contract": it chose action 1, but actions are numbered from 0 to 0',
    infinite_values: r'"contract": its value must be finite',
}


# planners with a horizon


def backward(mdp, *, gamma=None):
    """Optimal values and policy of every step."""
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
    order = slice(None, None, -1)
    return np.stack(policies[order], axis=-2), np.stack(values[order], axis=-2)


def backward_induction(mdp):
    policy, value = backward(mdp)
    return SimpleNamespace(policy=policy, value=value)


def steps_run_backwards(mdp):
    policy, value = backward(mdp)
    return SimpleNamespace(policy=policy, value=value[..., ::-1, :])


def first_step_only(mdp):
    policy, value = backward(mdp)
    return SimpleNamespace(policy=policy[..., 0, :], value=value[..., 0, :])


def undiscounted(mdp):
    policy, value = backward(mdp, gamma=1.0)
    return SimpleNamespace(policy=policy, value=value)


WRONG_BACKWARD = {
    steps_run_backwards: r'"value": its steps run backwards: value\[h\] is what is left from step h on',
    first_step_only: r'"contract": its policy must have shape \(3, 1\), got \(1,\), no step axis',
    undiscounted: r'"value": the discount is missing',
}


# offline rules


def certainty(data, *, discount, gamma=None, gains=None, shares=None, unseen_state=None):
    """Plug-in planning over logged actions; an unseen state is worth the least."""
    low, _ = data.reward_range
    seen = data.counts > 0
    fallback = low / (1 - discount) if unseen_state is None else unseen_state
    gains = data.mean_rewards if gains is None else gains
    shares = data.transition_shares if shares is None else shares
    value = np.full(data.counts.shape[:-1], fallback)
    for _ in range(math.ceil(math.log(1e-7) / math.log(discount))):
        later = (shares * value[..., data.next_states]).sum(axis=-1)
        q = np.where(seen, gains + (discount if gamma is None else gamma) * later, -np.inf)
        value = np.where(seen.any(axis=-1), q.max(axis=-1), fallback)
    return SimpleNamespace(policy=q.argmax(axis=-1), value=value, q=q)


def widths(data, discount, *, n=None, in_value_units=True, in_reward_units=True):
    low, high = data.reward_range
    total = np.maximum(data.n if n is None else n, 1)[..., None, None]
    level = 0.5 * np.log(2 * data.n_states * data.n_actions * total)
    unit = (high - low if in_reward_units else 1.0) / (1 - discount if in_value_units else 1.0)
    return unit * np.sqrt(level / np.maximum(data.counts, 1))


def pessimistic(data, *, discount):
    return certainty(data, discount=discount, gains=data.mean_rewards - widths(data, discount))


def discount_used_twice(data, *, discount):
    return certainty(data, discount=discount, gamma=discount**2, unseen_state=data.reward_range[0] / (1 - discount**2))


def next_counts_by_total(data, *, discount):
    n = np.maximum(data.n, 1)[..., None, None, None]
    return certainty(data, discount=discount, shares=data.next_counts / n)


def rewards_summed(data, *, discount):
    sums = data.reward_sums.sum(axis=-1) if data.per_successor else data.reward_sums
    return certainty(data, discount=discount, gains=sums)


def only_the_next_reward(data, *, discount):
    return certainty(data, discount=discount, gamma=0.0, unseen_state=data.reward_range[0])


def normalised(data, *, discount):
    plan = certainty(data, discount=discount)
    return SimpleNamespace(policy=plan.policy, value=(1 - discount) * plan.value)


def relative_rewards(data, *, discount):
    plan = certainty(data, discount=discount, gains=data.mean_rewards - data.reward_range[0], unseen_state=0.0)
    return SimpleNamespace(policy=plan.policy, value=plan.value)


def _with_unseen_pairs(data, discount, worth):
    plan = certainty(data, discount=discount)
    q = np.where(data.counts > 0, plan.q, worth)
    return SimpleNamespace(policy=q.argmax(axis=-1), value=plan.value)


def unseen_pairs_at_zero(data, *, discount):
    return _with_unseen_pairs(data, discount, 0.0)


def unseen_pairs_optimistic(data, *, discount):
    return _with_unseen_pairs(data, discount, data.reward_range[1] / (1 - discount))


def falls_back_to_action_0(data, *, discount):
    plan = certainty(data, discount=discount)
    return SimpleNamespace(policy=np.where((data.counts > 0).all(axis=-1), plan.policy, 0), value=plan.value)


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


def argmax_over_axis_one(data, *, discount):
    plan = certainty(data, discount=discount)
    return SimpleNamespace(policy=plan.q.argmax(axis=1), value=plan.value)


def total_over_batch(data, *, discount):
    n = np.broadcast_to(data.counts.sum(), data.shape)
    return certainty(data, discount=discount, gains=data.mean_rewards - widths(data, discount, n=n))


def prefers_low_actions(data, *, discount):
    return certainty(data, discount=discount, gains=data.mean_rewards - 0.05 * np.arange(data.n_actions))


def prefers_high_states(data, *, discount):
    return certainty(data, discount=discount, gains=data.mean_rewards + 0.05 * np.arange(data.n_states)[:, None])


def unit_range(data, *, discount):
    gains = data.mean_rewards - widths(data, discount, in_reward_units=False)
    return certainty(data, discount=discount, gains=gains)


def adds_the_width(data, *, discount):
    return certainty(data, discount=discount, gains=data.mean_rewards + widths(data, discount))


def draws_lots(data, *, discount):
    lots = 1e-3 * np.random.default_rng().random(data.counts.shape)
    return certainty(data, discount=discount, gains=data.mean_rewards + lots)


def forgets_the_argmax(data, *, discount):
    plan = certainty(data, discount=discount)
    return SimpleNamespace(policy=np.where(data.counts > 0, plan.q, 0.0), value=plan.value)


def raises_on_empty_data(data, *, discount):
    if not np.all(data.n):
        raise ValueError("no data")
    return certainty(data, discount=discount)


def divides_by_zero(data, *, discount):
    return certainty(data, discount=discount, shares=data.next_counts / data.counts[..., None])


WRONG_OFFLINE = {
    discount_used_twice: r'"shift": .*to this rule 1\.33333: the discount is applied twice a step',
    next_counts_by_total: r'"shift": .*the shares of the successors do not total one. next_counts must be divided by',
    rewards_summed: r'"shift": .*sums of rewards stand where means belong',
    only_the_next_reward: r'"shift": .*to this rule 1: it is the value of one step, or normalised by 1 - discount',
    normalised: r'"shift": .*to this rule 1: it is the value of one step, or normalised by 1 - discount',
    relative_rewards: r'"shift": .*taken relative to the lowest one, which has to be put back',
    unseen_states_at_zero: r'"(shift|highest)": .*(it takes a fixed number such as 0| is 0, and rewards)',
    unseen_pairs_at_zero: r'"seen": .*never logged there, though action .*0 is optimism when rewards are negative',
    unseen_pairs_optimistic: r'"seen": .*never logged there, though action .*leave it out of the maximum',
    falls_back_to_action_0: r'"seen": .*never logged there.*It falls back to action 0, whichever that is',
    dense_by_assignment: r'"lists": with every list of successors .* never overwritten',
    writes_into_counts: r'"mutation": it wrote into data\.counts: work on a copy',
    argmax_over_axis_one: r'"batch": in a batch of shape \(2, 3\) its policy .*taken over another axis',
    total_over_batch: r'"batch": within a batch .* a data set\'s totals are data\.n',
    prefers_low_actions: r'"actions": with the actions in the order .*: it depends on their numbering',
    prefers_high_states: r'"states": with the states in the order .*: it depends on their numbering',
    unit_range: r'"scale": .*widths are in reward units',
    adds_the_width: r'"highest": .*is a width added instead of subtracted\?',
    draws_lots: r'"repeat": asked again about the same data.*give its generator a fixed seed',
    forgets_the_argmax: r'"contract": a float policy holds probabilities of the actions that total 1',
    raises_on_empty_data: r'"contract": it raised ValueError: no data',
    divides_by_zero: r'"contract": it warned of RuntimeWarning: invalid value',
}


def no_v_max(data, *, discount):
    gains = data.mean_rewards - widths(data, discount, in_value_units=False)
    return certainty(data, discount=discount, gains=gains)


def no_root(data, *, discount):
    return certainty(data, discount=discount, gains=data.mean_rewards - (1 - discount) * widths(data, discount) ** 2)


def unseen_states_in_the_middle(data, *, discount):
    middle = sum(data.reward_range) / 2 / (1 - discount)
    gains = data.mean_rewards - widths(data, discount)
    return certainty(data, discount=discount, gains=gains, unseen_state=middle)


WRONG_BOUNDS = {
    certainty: r'"lower bound": .* Its widths do not cover the noise of the rewards',
    no_root: r'"lower bound": .* Its widths do not cover the noise of the rewards',
    no_v_max: r'"lower bound": .* cover the noise of the rewards\. Its widths .* they grow with V_max',
    unseen_states_in_the_middle: r'"lower bound": .* A state of which nothing was logged is given a value above',
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
    return SimpleNamespace(policy=np.stack(policies[::-1], axis=-2), value=np.stack(values[::-1], axis=-2))


def unseen_steps_at_zero(data, *, horizon):
    return episodic(data, horizon=horizon, worth_of_unseen=0.0)


def one_policy_for_all_steps(data, *, horizon):
    plan = episodic(data, horizon=horizon)
    return SimpleNamespace(policy=plan.policy[..., 0, :], value=plan.value)


def steps_added_up(data, *, horizon):
    """Counts of all steps together, used at every step."""
    plan = episodic(data, horizon=horizon)
    common = data.counts.sum(axis=-3).argmax(axis=-1)
    return SimpleNamespace(policy=np.broadcast_to(common[..., None, :], plan.policy.shape), value=plan.value)


WRONG_EPISODIC = {
    unseen_steps_at_zero: r'"shift": .*it takes a fixed number such as 0 for the smallest possible value',
    one_policy_for_all_steps: r'"contract": its policy must have shape \(3, 2\), got \(2,\), no step axis',
    steps_added_up: r'"seen": in state \d at step \d it chose action',
}

RIGHT_OFFLINE = {"certainty": certainty, "pessimistic": pessimistic, "no V_max": no_v_max}
