#!/bin/sh
# Installs what the image needs; its test runs this too, without a container engine:
#   install.sh libraries|flowreel cpu|cuda VENV
# `libraries`: everything that pyproject.toml in this folder asks for, pinned by constraints.txt; `flowreel`: the code.
set -eu
what=$1 variant=$2 venv=$3
pip="$venv/bin/python -m pip install --constraint constraints.txt"
case $variant in
  cpu) pip="$pip --extra-index-url ${TORCH_CPU_INDEX:-https://download.pytorch.org/whl/cpu}" ;;
  cuda) ;;
  *) echo "VARIANT=$variant: must be cpu or cuda" >&2; exit 2 ;;
esac
case $what in
  libraries)
    "$venv/bin/python" - > requirements.txt <<'END'
import tomllib

project = tomllib.load(open("pyproject.toml", "rb"))["project"]
extras = project["optional-dependencies"]
print("\n".join(project["dependencies"] + extras["cluster"] + extras["s3"] + extras["gcs"]))
END
    $pip --requirement requirements.txt "setuptools>=77" wheel ;;
  flowreel) $pip --no-deps --no-build-isolation . ;;
  *) echo "$what: must be libraries or flowreel" >&2; exit 2 ;;
esac
