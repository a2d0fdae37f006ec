"""One file per figure: GRID (profile -> cells), run_cell(cell, rng) -> rows, plot(rows) -> figure."""
