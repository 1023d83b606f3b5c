#!/usr/bin/env bash
# Makes this folder ready to run: system packages, uv in .uv/, the pinned packages in .venv/.
# Does nothing when all is there already.
#
#     ACCELERATOR=cpu|cuda  which build of vLLM; by default cuda where nvidia-smi lists a GPU
#     PYTHON=/path/to/python3.11
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

UV_VERSION=0.13.8
LOG=.setup.log
STAMP=.venv/.longtake-setup

fail() {
    echo "setup: $1" >&2
    exit 1
}

# step WHAT HELP COMMAND...: says what it does; if that fails, says how to help, and where the command's words are.
step() {
    local what=$1 help=$2
    shift 2
    echo "setup: $what"
    "$@" >>"$LOG" 2>&1 </dev/null || fail "$help (details: $PWD/$LOG)"
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3 python}; do
        # The base interpreter, because the candidate may be that of the .venv that is about to be replaced.
        "$candidate" -c 'import sys; assert sys.version_info[:2] == (3, 11); print(sys._base_executable)' \
            2>/dev/null && return
    done
    return 1
}

has_library() {
    "$python" -c 'import sys; from ctypes.util import find_library; sys.exit(not find_library(sys.argv[1]))' "$1"
}

has_python_header() {
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(sysconfig.get_path("include", "posix_prefix") + "/Python.h"))'
}

list_missing_system_packages() {
    { command -v ffmpeg >/dev/null && has_library avcodec; } || echo ffmpeg
    has_library numa || echo libnuma1  # vLLM's CPU kernels link it
    [[ -e /etc/ssl/certs/ca-certificates.crt || -n ${SSL_CERT_FILE:-} ]] || echo ca-certificates
    has_uv || "$python" -c 'import ensurepip' 2>/dev/null || echo python3.11-venv
    if [[ $accelerator == cuda ]]; then  # Triton compiles its launchers when vLLM starts
        command -v gcc >/dev/null || printf '%s\n' gcc libc6-dev
        has_python_header || echo python3.11-dev
    fi
}

install_system_packages() {
    local as_root=()
    if [[ $(id -u) != 0 ]]; then
        sudo -n true || return
        as_root=(sudo -n)
    fi
    # The lists may be old or have never been fetched; one repository out of reach need not matter.
    "${as_root[@]}" apt-get update || true
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

has_uv() {
    [[ $(.uv/bin/uv --version 2>/dev/null) == "uv $UV_VERSION"* ]]
}

install_uv() {
    rm -rf .uv
    "$python" -m venv .uv && .uv/bin/python -m pip install "uv==$UV_VERSION"
}

# uv reads none of pip's settings, so a mirror that this machine has set for pip is handed on.
# pip lists what the environment says first.
use_index_of_pip() {
    local index
    index=$(.uv/bin/python -m pip config list | sed -nE "s/^(global|install|:env:)\.index-url='(.*)'$/\2/p" | head -1)
    if [[ -n $index && -z ${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-} ]]; then
        export UV_DEFAULT_INDEX=$index
    fi
}

accelerator=${ACCELERATOR:-$([[ $(nvidia-smi -L 2>/dev/null) == GPU* ]] && echo cuda || echo cpu)}
[[ $accelerator == cpu || $accelerator == cuda ]] || fail "ACCELERATOR is '$accelerator', but must be cpu or cuda"

state=$({ echo "$accelerator $PWD" && cat requirements/*.txt pyproject.toml tools/setup.sh; } | sha256sum)
if [[ $(cat "$STAMP" 2>/dev/null) == "$state" ]]; then
    exit
fi

: >"$LOG"
python=$(find_python) || \
    fail "no Python 3.11 found; install it (Debian 12: apt-get install python3.11) or name it in PYTHON"

mapfile -t missing < <(list_missing_system_packages)
if ((${#missing[@]})); then
    step "installing ${missing[*]} by apt-get" \
        "this machine lacks ${missing[*]}; as root, run: apt-get install ${missing[*]}" \
        install_system_packages "${missing[@]}"
fi

has_uv || step "installing uv $UV_VERSION in .uv" \
    "could not install uv $UV_VERSION; pip needs a package index that it can reach" install_uv
use_index_of_pip

.venv/bin/python -c 'import sys; assert sys.version_info[:2] == (3, 11)' 2>/dev/null \
    || step "making .venv with $python" "could not make .venv with $python" \
        .uv/bin/uv venv --clear --python "$python" .venv
rm -f "$STAMP"
step "installing the $accelerator packages in .venv (the first time this downloads some GB)" \
    "could not install requirements/$accelerator.txt and dev.txt; uv needs a package index that it can reach" \
    .uv/bin/uv pip sync --python .venv "requirements/$accelerator.txt" requirements/dev.txt
step "installing longtake in .venv" "could not install this folder in .venv" \
    .uv/bin/uv pip install --python .venv --no-deps --no-build-isolation -e .
# `pipeline`, `deployments` and `tools` of this checkout import from any working directory, also in Ray's workers.
site_packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$PWD" >"$site_packages/longtake-checkout.pth"
step "checking that torchcodec loads FFmpeg" "torchcodec cannot load this machine's FFmpeg; it takes versions 4 to 9" \
    .venv/bin/python -c 'import torchcodec; assert torchcodec.ffmpeg_major_version'

echo "$state" >"$STAMP"
echo "setup: ready"
