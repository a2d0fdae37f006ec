"""Rules: from logged transitions to a policy, one rule a file. Import them from `pessimism.mdp`.

Ties go to the lowest action: loops in `_engine` replace an action only for a larger value, other code uses `argmax`.
Where a rule certifies nothing it takes the most frequent action, as its docstring says.
"""
