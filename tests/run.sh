#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. Options:
#   --fast           only the tests labelled fast
#   --preset NAME    release (default), dev (ASan+UBSan), tsan
set -euo pipefail
cd "$(dirname "$0")/.."

preset=release
label=()
while [ $# -gt 0 ]; do
  case "$1" in
    --fast) label=(-L fast) ;;
    --preset) preset=$2; shift ;;
    *) echo "usage: tests/run.sh [--fast] [--preset release|dev|tsan]" >&2; exit 2 ;;
  esac
  shift
done

cluster/deploy/install_dependencies.sh
jobs=$(nproc)
folder=build
[ "$preset" = release ] || folder=build-$preset

cmake --preset "$preset" --log-level=WARNING
# Other versions of clang-format lay out differently.
if clang-format --version 2>/dev/null | grep -q ' 14\.'; then
  cmake --build "$folder" --target format_check
fi
cmake --build "$folder" -j "$jobs"
ctest --test-dir "$folder" --output-on-failure -j "$jobs" --no-tests=error "${label[@]}"
