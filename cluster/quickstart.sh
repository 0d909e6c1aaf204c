#!/usr/bin/env bash
# Installs what is missing, builds, and runs the quickstart with a live view.
# Options go to `troupe quickstart`: --seed N, --json, --set table.key=value.
set -euo pipefail
cd "$(dirname "$0")/.."

# With --json, standard output carries JSON only; what a person reads goes to standard error.
{
  cluster/deploy/install_dependencies.sh
  cmake --preset release --log-level=WARNING
  cmake --build build -j "$(nproc)" --target troupe
} >&2
exec build/troupe quickstart "$@"
