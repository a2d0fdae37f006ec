"""Rules: from logged transitions to a policy, one rule a file. Import them from `pessimism.mdp`.

Ties go to the lowest action: loops in `_engine` replace an action only for a larger value, other code uses `argmax`.
Terminal states are worth 0 and have action 0, no width and no part in the number of pairs; an unseen pair is worth the
low end of the range of values, which contains 0 where episodes end. Where a rule certifies nothing it takes the most
frequent action, as its docstring says.
"""
