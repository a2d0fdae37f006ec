"""One file per outside world: what lives there becomes our structures, and ours become theirs. Nothing is re-exported:
each file needs its own optional packages, imported when a function is called."""
