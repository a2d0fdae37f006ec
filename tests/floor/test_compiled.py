"""The decorator of the kernels: never stale, never stopped by its cache, and plain on demand.

Every test builds a package of its own around a copy of the decorator and runs it in fresh processes.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pessimism._compiled
from pessimism._binomial import overtakes, tails
from pessimism._compiled import plain
from tests.conftest import kernels, with_entry

pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"), reason="compiled_only: needs the compiler"
)

CONSTANTS = "SHIFT = 1.0\n"
HELPERS = """
from parcel._compiled import compiled
from parcel.constants import SHIFT

@compiled
def shifted(x):
    return x + SHIFT
"""
KERNELS = """
from numba import types
from parcel._compiled import compiled
from parcel.helpers import shifted

@compiled
def doubled(x):
    return 2.0 * shifted(x)

@compiled(types.float64(types.float64))
def tripled(x):
    return 3.0 * x
"""
CALL = """
import warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    from parcel.kernels import doubled, tripled
    print(doubled(1.0), tripled(1.0), sum(doubled.stats.cache_hits.values()), sum(tripled.stats.cache_hits.values()))
for warning in said:
    print(warning.category.__name__, warning.message)
"""


@pytest.fixture
def parcel(tmp_path):
    folder = tmp_path / "site" / "parcel"
    folder.mkdir(parents=True)
    for name, text in {"__init__": "", "constants": CONSTANTS, "helpers": HELPERS, "kernels": KERNELS}.items():
        (folder / f"{name}.py").write_text(text)
    shutil.copy(pessimism._compiled.__file__, folder)
    return folder


def start(parcel, code=CALL, **environment):
    """A process that imports the parcel; it has no home and no cache but the ones it is given."""
    inherited = {key: value for key, value in os.environ.items() if key not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    inherited |= {"PYTHONPATH": str(parcel.parent), "HOME": str(parcel.parent / "home")} | environment
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=inherited
    )


def output(process):
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out.splitlines()


def kept(parcel):
    return sorted(parcel.parent.rglob("*.nbc")), sorted(parcel.parent.rglob("*.nbi"))


def test_a_change_in_any_file_is_seen(parcel):
    """The constant stands two files away from the kernel that is called. The second process reads from disk."""
    assert output(start(parcel)) == ["4.0 3.0 0 0"]
    assert output(start(parcel)) == ["4.0 3.0 1 1"]  # a signature given and a call made find the same entry
    (parcel / "constants.py").write_text("SHIFT = 2.0\n")
    assert output(start(parcel)) == ["6.0 3.0 0 0"]


def test_a_change_while_a_process_runs_is_seen(parcel):
    """The constant is edited after the first kernel of the process and before a module that reads it is imported."""
    code = """
import pathlib
from parcel.first import one
one(1.0)
pathlib.Path(one.__code__.co_filename).with_name("constants.py").write_text("SHIFT = 5.0\\n")
from parcel.kernels import doubled
print(doubled(1.0))
"""
    (parcel / "first.py").write_text("from parcel._compiled import compiled\n\n@compiled\ndef one(x):\n    return x\n")
    output(start(parcel))  # with the old constant, so that there is something to load
    assert output(start(parcel, code)) == ["12.0"]


def test_damaged_files_are_replaced(parcel):
    """Emptied and garbled, code and index: right answers, no word about it, and then it is read from disk again."""
    output(start(parcel))
    code, index = kept(parcel)
    assert len(code) == len(index) == 3
    for number, file in enumerate([*code, *index]):
        file.write_bytes(b"" if number % 2 else b"\x80\x05garbled")
    assert output(start(parcel)) == ["4.0 3.0 0 0"]
    assert output(start(parcel)) == ["4.0 3.0 1 1"]


def test_the_code_of_another_signature_is_not_taken(parcel):
    """Two processes that write at once may leave it under the name of this one."""
    both = CALL.replace("doubled(1.0)", "doubled(1.0), doubled(1)")
    output(start(parcel, both))
    first, second = (file for file in kept(parcel)[0] if "doubled" in file.name)
    held = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(held)
    assert output(start(parcel, both)) == ["4.0 4.0 3.0 0 1"]


def test_without_a_writable_folder_one_warning_names_the_way_out(parcel, tmp_path):
    """Files stand where folders would be made, which stops even root."""
    (parcel / "__pycache__").write_text("")
    (parcel.parent / "home").write_text("")
    environment = {"PYTHONDONTWRITEBYTECODE": "1"}
    answer, said = output(start(parcel, **environment))
    assert answer == "4.0 3.0 0 0"
    assert said.startswith("RuntimeWarning")
    assert "NUMBA_CACHE_DIR" in said
    environment |= {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert output(start(parcel, **environment)) == ["4.0 3.0 0 0"]
    assert output(start(parcel, **environment)) == ["4.0 3.0 1 1"]


def test_a_full_disk_costs_one_warning(parcel):
    """A limit on the size of files stands for the disk: the index fits, the code does not."""
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n" + CALL
    answer, said = output(start(parcel, limited, PYTHONDONTWRITEBYTECODE="1"))
    assert answer == "4.0 3.0 0 0"
    assert "NUMBA_CACHE_DIR" in said
    assert output(start(parcel))[0].startswith("4.0 3.0")


def test_processes_that_race_all_get_the_right_answer(parcel):
    """As many as PESSIMISM_RACERS says."""
    racers = [start(parcel) for _ in range(int(os.environ.get("PESSIMISM_RACERS", 3)))]
    assert all(output(racer)[0].startswith("4.0 3.0") for racer in racers)
    assert output(start(parcel))[0].startswith("4.0 3.0")


def test_a_plain_kernel_calls_plain_kernels_of_other_files(parcel):
    code = """
from parcel._compiled import plain
from parcel.kernels import doubled, tripled
function = plain(doubled)
called = function.__globals__["shifted"]
print(function(1.0), plain(tripled)(1.0), hasattr(function, "py_func"), hasattr(called, "py_func"))
print(called.__globals__["SHIFT"], len(doubled.signatures))
"""
    assert output(start(parcel, code)) == ["4.0 3.0 False False", "1.0 0"]


def test_plain_kernels_give_the_same_bits_and_a_plain_function_is_itself():
    assert plain(np.sum) is np.sum
    row, tail, other = np.array([0.25, 0.5, 0.25]), np.empty(4), np.empty(4)
    with_entry(tails)(row, 3, tail)
    plain(tails)(row, 3, other)
    assert np.array_equal(tail, other)
    arguments = (row, 3, -0.5, 1.0, 3, tail, 0.0)
    assert with_entry(overtakes)(*arguments) == plain(overtakes)(*arguments)


def test_the_command_compiles_every_kernel():
    """It makes the calls of users; what they do not reach has no index in the cache."""
    command = subprocess.run([sys.executable, "-m", "pessimism", "compile"], capture_output=True, text=True, check=True)
    assert "The compiled kernels are in" in command.stdout
    missing = [name for name, kernel in kernels().items() if not Path(kernel._cache._cache_file._index_path).exists()]
    assert missing == []


def test_the_command_deletes_folders_of_older_sources_of_this_installation_only(tmp_path, monkeypatch):
    monkeypatch.setattr(pessimism._compiled, "cache_roots", lambda: iter([tmp_path]))
    monkeypatch.setattr(pessimism._compiled, "cache_folder", lambda: tmp_path / "kernels-current")
    for name, owner in {"current": None, "older": None, "other": "/another/installation"}.items():
        (tmp_path / f"kernels-{name}").mkdir()
        (tmp_path / f"kernels-{name}" / "made-for").write_text(owner or pessimism._compiled._owner())
    (tmp_path / "kernels-unknown").mkdir()
    assert pessimism._compiled.stale_folders() == [tmp_path / "kernels-older"]


def test_the_package_keeps_its_kernels_in_a_folder_of_its_digest():
    folder = pessimism._compiled.cache_folder()
    assert folder is not None
    assert folder.name.startswith("kernels-")
    assert Path(overtakes.stats.cache_path).parent == folder
