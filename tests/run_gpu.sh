#!/usr/bin/env bash
# What only a GPU can show, on a machine with one: its bits are those of the written arithmetic, a
# job runs on it, and nothing reads or writes where it should not. Needs nvcc for the build. Without
# a GPU it says so and exits with 77. Options:
#   --build FOLDER   a build that is there already; default: build, made anew
set -euo pipefail
cd "$(dirname "$0")/.."

build=
while [ $# -gt 0 ]; do
  case "$1" in
    --build) build=${2:?--build wants a folder}; shift ;;
    *) echo "usage: tests/run_gpu.sh [--build FOLDER]" >&2; exit 2 ;;
  esac
  shift
done
if [ -z "$build" ]; then
  build=build
  cmake --preset release --log-level=WARNING
  cmake --build "$build" -j "$(nproc)" --target troupe tests_cuda_backend
fi

# doctor's exit code is about sandboxes.
gpus=$("$build/troupe" doctor --json | python3 -c '
import json, sys
print(len((json.load(sys.stdin).get("gpus") or {}).get("devices") or []))' || echo 0)
if [ "$gpus" -eq 0 ]; then
  echo "run_gpu.sh: this machine has no GPU that its driver tells of: nothing was run"
  exit 77
fi
if [ ! -e "$build/libtroupe_cuda.so" ]; then
  echo "run_gpu.sh: $build has no libtroupe_cuda.so: it was built without nvcc" >&2
  exit 1
fi
export TROUPE_REQUIRE_GPU=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
step() { echo "== $*"; }

step "a million tiles of the tensor cores' formula; operations and steps against the emulation"
"$build/tests/tests_cuda_backend" --source-file='*/model/cuda/*'

if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck initcheck synccheck; do
    step "compute-sanitizer, $tool"
    compute-sanitizer --tool "$tool" --error-exitcode 1 \
      "$build/tests/tests_cuda_backend" --source-file='*operations_test.cpp'
  done
else
  step "compute-sanitizer is not installed: left out"
fi

step "a job on one GPU, twice, and on two where there are two"
"$build/troupe" make-data arithmetic --out "$folder/data" --train 200 --cold-start-clean 200 \
  --cold-start-noisy 100 --held-out 20
cp tests/support/short_job.toml "$folder/job.toml"
weights() {  # NAME, and what is set
  local name=$1
  shift
  (cd "$folder" && "$troupe" run job.toml --json --home "$name" --set resources.device=cuda "$@") |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["weights_sha256"])'
}
troupe=$(readlink -f "$build/troupe")
first=$(weights first --set learner.gradient_lanes=2)
second=$(weights second --set learner.gradient_lanes=2)
echo "weights $first"
[ "$first" = "$second" ] || { echo "run_gpu.sh: the same job gave $second" >&2; exit 1; }
if [ "$gpus" -ge 2 ]; then
  both=$(weights both --set learner.gradient_lanes=2 --set resources.learner=2)
  [ "$first" = "$both" ] || { echo "run_gpu.sh: two ranks gave $both" >&2; exit 1; }
fi

step "tokens per second"
"$build/troupe" bench --device cuda --only decode.bench-moe
"$build/troupe" bench --device cuda --only train.
echo "run_gpu.sh: all of it holds"
