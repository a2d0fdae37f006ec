"""Tests of this folder that are marked ``statement`` are run again with the bound that they name moved."""

from tests.statements import pytest_pyfunc_call as pytest_pyfunc_call
