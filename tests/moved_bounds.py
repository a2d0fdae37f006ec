"""Every statement moved by one per cent, up and down: the tests that carry its name must fail. ``make deep``.

A statement that is not attained cannot be told from one a per cent away; its mark then says how loose it is:
``@pytest.mark.checks("bandits.lcb_upper", loose="6 to 12 times")``.
"""

import importlib
import os
import subprocess
import sys
from typing import Any

FACTORS = (1.01, 0.99)


def move(setting: str) -> None:
    """Scale one function of `bounds` before anything has imported it: "bandits.lcb_upper:1.01"."""
    name, factor = setting.split(":")
    wing, function = name.split(".")
    bounds = importlib.import_module(f"pessimism.{wing}.bounds")
    stated = getattr(bounds, function)

    def moved(*args: Any, **kwargs: Any) -> Any:
        value = stated(*args, **kwargs)
        if isinstance(value, dict):
            return {key: entry * float(factor) if isinstance(entry, float) else entry for key, entry in value.items()}
        return value * float(factor)

    setattr(bounds, function, moved)


def notices(name: str, tests: list[str], factor: float) -> bool:
    """Whether one of the tests fails when the statement is moved."""
    environment = {**os.environ, "PESSIMISM_MOVED": f"{name}:{factor}"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 1


def main() -> int:
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
    from _extensions import theorems

    unnoticed = 0
    for name, tests in theorems.checking_tests().items():
        for factor in FACTORS:
            if name not in theorems.loose_statements() and not notices(name, tests, factor):
                unnoticed += 1
                print(f"{name} times {factor}: {', '.join(tests)} pass all the same")
    print(f"{unnoticed} moves went unnoticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
