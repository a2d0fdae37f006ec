"""What a method consists of: its options, its loop, its memory and the oracles it needs.

Its options are the fields of a named tuple, each with an `option` as its default, and the loop reads them by their
names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pessimism.bilevel._options import Option

SECOND_ORDER = ("grad_f", "grad_g", "hvp", "cvp")
FIRST_ORDER = ("grad_f", "grad_g", "grad_gx")


def no_memory(problem: Any) -> None:
    """The memory of a method that needs nothing but x, y and z."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method.

    Attributes
    ----------
    tuple_of_options : type
        Named tuple of numbers that the loop reads; its defaults are `Option` objects.
    run : callable
        The loop, ``run(oracles, at, memory, options, start, steps)``, which returns how many steps it completed.
    memory : callable
        From a problem to what the method keeps between steps, at first: a named tuple of arrays, or None. Its vectors
        are put back when a step is undone; a matrix is the loop's own care.
    needs : tuple of str
        Oracles.
    """

    tuple_of_options: type[Any]
    run: Callable[..., int]
    memory: Callable[[Any], Any] = no_memory
    needs: tuple[str, ...] = SECOND_ORDER

    @property
    def options(self) -> dict[str, Option]:
        """Name to option."""
        return dict(self.tuple_of_options._field_defaults)

    def settings(self, name: str, given: Mapping[str, Any]) -> dict[str, float | str]:
        """Given options over the defaults, as a method called `name` has them; names and ranges are checked."""
        known = self.options
        for key in given:
            if key not in known:
                raise TypeError(f"{name} has no option {key!r}; it has {', '.join(known)}")
        chosen = {key: choice.default for key, choice in known.items()}
        return chosen | {key: known[key].allowed.read(key, value) for key, value in given.items()}
