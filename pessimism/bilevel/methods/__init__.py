"""Methods of `pessimism.bilevel.minimize_bilevel`, one a file: its formula, its options with their ranges, its loop."""
