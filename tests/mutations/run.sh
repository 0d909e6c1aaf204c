#!/usr/bin/env bash
# Breaks a copy of the tree in one way after another and says whether the tests notice. Options:
#   NAME...          only the mutations whose file name contains one of these
# Each patch says in its first lines what is broken and which tests must notice; all of them must.
# The copy lies in build-mutations/, its build folder is kept, so each mutation builds what it
# touches. A test that does not end in time has noticed; what cannot be built has shown nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly root=$PWD copy=$PWD/build-mutations/tree log=$PWD/build-mutations/log
readonly test_seconds_max=${TROUPE_MUTATION_SECONDS:-300}
jobs=${TROUPE_MUTATION_JOBS:-$(nproc)}

is_asked_for() {
  local name=$1
  shift
  [ $# -eq 0 ] && return 0
  for one in "$@"; do [[ $name == *"$one"* ]] && return 0; done
  return 1
}

# Contents decide, not times: what an interrupted run left changed is made right, and newer than
# what was built from it.
refresh() {
  local path
  while IFS= read -r -d '' path; do
    [ -f "$root/$path" ] || continue
    cmp -s "$root/$path" "$copy/$path" && continue
    mkdir -p "$copy/$(dirname "$path")"
    cp "$root/$path" "$copy/$path"
  done < <(git -C "$root" ls-files -z --cached --others --exclude-standard)
  while IFS= read -r -d '' path; do
    [ -f "$root/$path" ] || rm -f "$copy/$path"
  done < <(cd "$copy" && find . -path ./build -prune -o -type f -print0)
}

build() {
  nice cmake --build "$copy/build" -j "$jobs" --target "$@" > "$log" 2>&1
}

# The program and the arguments of each test that a patch names.
tests_of() { sed -n 's/^# noticed by: //p' "$1"; }

patches=()
for patch in tests/mutations/*.patch; do
  if is_asked_for "$(basename "$patch" .patch)" "$@"; then patches+=("$root/$patch"); fi
done
[ ${#patches[@]} -gt 0 ] || { echo "no mutation is named like that" >&2; exit 2; }

mkdir -p "$copy"
refresh
cd "$copy"
cmake --preset release --log-level=WARNING > "$log"
mapfile -t programs < <(for one in "${patches[@]}"; do tests_of "$one"; done | cut -d ' ' -f 1 |
  sort -u)
build "${programs[@]}" || { cat "$log" >&2; exit 2; }

# A test that fails already notices nothing.
while IFS= read -r line; do
  read -r -a command <<< "$line"
  if ! timeout "$test_seconds_max" nice "build/tests/${command[0]}" "${command[@]:1}" > "$log" 2>&1
  then
    tail -n 40 "$log" >&2
    echo "fails without any mutation: $line" >&2
    exit 2
  fi
done < <(for one in "${patches[@]}"; do tests_of "$one"; done | sort -u)

caught=0
problems=()
for patch in "${patches[@]}"; do
  name=$(basename "$patch" .patch)
  begun=$SECONDS
  mapfile -t lines < <(tests_of "$patch")
  mapfile -t programs < <(printf '%s\n' "${lines[@]}" | cut -d ' ' -f 1 | sort -u)
  missed=()
  if [ ${#lines[@]} -eq 0 ] || ! patch -s -p1 --dry-run < "$patch" > "$log" 2>&1; then
    verdict="does not apply"
  else
    patch -s -p1 --no-backup-if-mismatch < "$patch"
    if ! build "${programs[@]}"; then
      verdict="does not build: $(grep -m 1 'error' "$log" || true)"
    else
      for line in "${lines[@]}"; do
        read -r -a command <<< "$line"
        # A test that crashes has noticed too; the shell need not say so.
        if {
          timeout "$test_seconds_max" nice "build/tests/${command[0]}" "${command[@]:1}" \
            > "$log" 2>&1
        } 2> /dev/null; then
          missed+=("$line")
        fi
      done
      verdict=caught
      [ ${#missed[@]} -eq 0 ] || verdict="NOT CAUGHT by $(printf '%s; ' "${missed[@]}")"
    fi
    # Newer than what was built from the broken ones.
    while IFS= read -r path; do cp "$root/$path" "$copy/$path"; done \
      < <(sed -n 's#^+++ b/##p' "$patch")
  fi
  if [ "$verdict" = caught ]; then caught=$((caught + 1)); else problems+=("$name: $verdict"); fi
  printf '%-36s %4d s  %s\n' "$name" $((SECONDS - begun)) "$verdict"
done

echo "$caught of ${#patches[@]} caught in $SECONDS s"
[ ${#problems[@]} -eq 0 ] || { printf '  %s\n' "${problems[@]}"; exit 1; }
