"""Rules: from logged transitions to a policy, one rule a file. Import them from `pessimism.mdp`."""
