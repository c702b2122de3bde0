#!/bin/sh
# Makes .venv with the pinned dependencies and this project in it; does nothing when it is current.
# PYTHON names the Python to use; otherwise the newest suitable one on PATH is taken.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/.installed-from
# The folder's own path counts too: a moved .venv does not work.
inputs="$PWD $(cat requirements.lock pyproject.toml scripts/setup.sh | cksum)"
if [ -x .venv/bin/python ] && [ "$(cat $stamp 2>/dev/null)" = "$inputs" ]; then exit 0; fi

suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; }

python=
for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
    if command -v "$candidate" >/dev/null && suits "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    echo "Python 3.11, 3.12 or 3.13 is needed; found: $(${PYTHON:-python3} --version 2>&1 || true)" >&2
    echo "Install one, or name it: make PYTHON=/path/to/python3.11 up" >&2
    exit 1
fi

if ! { [ -x .venv/bin/python ] && suits .venv/bin/python && .venv/bin/python -m pip --version; } \
    >/dev/null 2>&1; then
    "$python" -m venv --clear .venv || {
        echo "$python cannot make a virtual environment; on Debian: apt install python3-venv" >&2
        exit 1
    }
fi

# pip, rather than a faster installer, because it follows the user's pip configuration.
pip() { PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip --no-input "$@"; }
echo "Installing $(grep -c '==' requirements.lock) pinned packages into .venv; about a minute, once."
pip install --require-hashes -r requirements.lock
pip install --quiet --no-deps --no-build-isolation --editable .
printf '%s\n' "$inputs" >"$stamp"
