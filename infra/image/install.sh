#!/bin/sh
# Installs what the image needs; its test runs this too, without a container engine:
#   install.sh libraries|flowreel cpu|cuda VENV
# `libraries`: the files that requirements-VARIANT.lock in this folder names, each checked by its hash (`lock.py` writes
# the lock); `flowreel`: the code in this folder.
set -eu
what=$1 variant=$2 venv=$3
pip="$venv/bin/python -m pip install"
case $variant in
  cpu) index="--extra-index-url ${TORCH_CPU_INDEX:-https://download.pytorch.org/whl/cpu}" ;;
  cuda) index= ;;
  *) echo "VARIANT=$variant: must be cpu or cuda" >&2; exit 2 ;;
esac
case $what in
  # shellcheck disable=SC2086
  libraries) $pip $index --require-hashes --requirement "requirements-$variant.lock" ;;
  flowreel) $pip --no-deps --no-build-isolation . ;;
  *) echo "$what: must be libraries or flowreel" >&2; exit 2 ;;
esac
