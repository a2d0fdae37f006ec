r"""TTSA: one step on y, one random term for z, a step on x, on two time scales.

The formulas are those of `pessimism.bilevel.bsa` with one step on y, and with steps that fall as :math:`t^{-2/5}` on y
and, faster, as :math:`t^{-3/5}` on x. Source: Hong, Wai, Wang, Yang (2023).
"""

from pessimism.bilevel._double_loop import ONE_TERM, double_loop

METHOD = double_loop("ttsa", ONE_TERM, inner_steps=1, decay=0.6, decay_y=0.4)
