"""The tests as other processors would run them: their BLAS kernels, their vector instructions, their compiled code.

A test that asserts the last bits of what passed through BLAS, LAPACK, libm or a solver holds on the machine of its
author only. ``python -m tests.portable`` finds it before a user does; ``--quick`` runs what is most at risk once.
"""

import argparse
import json
import os
import platform
import subprocess
import sys

DISABLED = "NPY_DISABLE_CPU_FEATURES"
PRESETS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "NUMBA_CPU_NAME", DISABLED)
ALL = "all"  # the features that NumPy found on this machine
SETTINGS = {
    "native": {},
    "Haswell, no vectors": {"OPENBLAS_CORETYPE": "Haswell", DISABLED: ALL},
    "Nehalem": {"OPENBLAS_CORETYPE": "Nehalem"},
    "generic compiled code": {"NUMBA_CPU_NAME": "generic"},
    "Nehalem, no vectors, not compiled": {"OPENBLAS_CORETYPE": "Nehalem", DISABLED: ALL, "NUMBA_DISABLE_JIT": "1"},
}
QUICK = "Haswell, no vectors"
AT_RISK = "lasso or relevance or hypergradient or planning or curvature or target_only"  # files, folders or tests


def probe() -> None:
    """What numerical code this process runs, as JSON."""
    import numba
    import numpy as np
    import scipy.linalg  # noqa: F401  loads its own copy of OpenBLAS
    import threadpoolctl

    libraries = threadpoolctl.threadpool_info()
    blas = [library["architecture"] for library in libraries if library["internal_api"] == "openblas"]
    features = np.show_config("dicts")["SIMD Extensions"].get("found", [])
    print(json.dumps({"blas": blas, "features": features, "cpu": numba.config.CPU_NAME}))


def probed(environment: dict[str, str]) -> dict:
    command = [sys.executable, "-m", "tests.portable", "--probe"]
    return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def environment_of(setting: dict[str, str]) -> dict[str, str]:
    """The caller's environment with the setting in place of its presets; fails if it does not take hold."""
    clean = {key: value for key, value in os.environ.items() if key not in PRESETS}
    features = " ".join(probed(clean)["features"])
    environment = clean | {key: features if value == ALL else value for key, value in setting.items()}
    took = probed(environment)
    # OpenBLAS, of which NumPy and SciPy have a copy each, and NumPy ignore a name they do not know without a word
    core = setting.get("OPENBLAS_CORETYPE")
    right = core is None or (len(took["blas"]) >= 2 and set(took["blas"]) == {core})
    right &= DISABLED not in setting or not took["features"]
    if not right or took["cpu"] != setting.get("NUMBA_CPU_NAME"):
        raise SystemExit(f"{setting} does not take hold: the processes run {took}")
    return environment


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.portable", description="Run the tests as on other machines.")
    parser.add_argument("--quick", action="store_true", help=f"only {QUICK!r}, and of it {AT_RISK!r}")
    parser.add_argument("--probe", action="store_true", help="only say what this process runs")
    options = parser.parse_args()
    if options.probe:
        return probe()
    failed = []
    for name, setting in SETTINGS.items():
        if options.quick and name != QUICK:
            continue
        if "OPENBLAS_CORETYPE" in setting and platform.machine() not in ("x86_64", "AMD64"):
            print(f"== {name}: the kernels of x86 processors only, not run on {platform.machine()}", flush=True)
            continue
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "worksteal"]
        command += ["-q", "-k", AT_RISK] if options.quick else []
        command += ["-m", "kernels"] if "NUMBA_DISABLE_JIT" in setting else []
        if subprocess.run(command, env=environment_of(setting), check=False).returncode:
            failed.append(name)
    sys.exit(f"failed: {'; '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
