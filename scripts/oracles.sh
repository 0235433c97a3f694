#!/bin/sh
# Compares the aggregators with numpy, statsmodels and MPyC (installed from PyPI into a folder of their own) and with
# exact fractions. Needs python3 with venv, and PyPI. Exit code 4: they could not be installed.
set -eu
cd "$(dirname "$0")/.."
venv="${TACIT_ORACLES:-target/oracles}"
if ! "$venv/bin/python" -c 'import numpy, statsmodels, mpyc' 2>/dev/null; then
    python3 -m venv "$venv" && "$venv/bin/pip" install --quiet 'numpy==2.*' 'statsmodels==0.*' 'mpyc==0.*' || exit 4
fi
# The whole workspace, so that its dependencies are built with the same features as for the tests.
cargo build --quiet --locked --workspace --example statistics
"$venv/bin/python" scripts/oracles/aggregators.py "${CARGO_TARGET_DIR:-target}/debug/examples/statistics"
