#!/usr/bin/env bash
# Installs the Debian packages that building Troupe needs. Silent and instant when nothing is
# missing. As root it calls apt-get, else sudo; where neither works it prints the line to run.
set -euo pipefail

packages=(
  build-essential cmake ninja-build pkg-config
  capnproto libcapnp-dev libssl-dev
  libcaf-dev libzmq3-dev cppzmq-dev librocksdb-dev
  libcli11-dev libtomlplusplus-dev libfmt-dev nlohmann-json3-dev
  libpcre2-dev libutf8proc-dev zlib1g-dev libzstd-dev
  libflint-dev libflint-arb-dev libgmp-dev
  libseccomp-dev libhwloc-dev python3
  libboost-dev libjs-dygraphs
  doctest-dev
)
# Useful, not needed: the build works without them. Tests start Slurm's programs themselves, drive
# the dashboard with Chromium, ask Prometheus' checker and install the package on a clean root.
wanted=(ccache clang-format iproute2 procps slurmctld slurmd slurm-client munge
  chromium chromium-driver prometheus debootstrap)

missing_of() {
  # dpkg-query fails for a package that it has never heard of, which is an answer here.
  { dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null || true; } |
    sed -n 's/^ii *//p' | sort | comm -13 - <(printf '%s\n' "$@" | sort)
}

missing=$(missing_of "${packages[@]}")
extra=$(missing_of "${wanted[@]}")
[ -z "$missing" ] && [ -z "$extra" ] && exit 0
[ -z "$missing" ] && [ "$(id -u)" != 0 ] && exit 0

line="apt-get install -y --no-install-recommends $(echo $missing $extra)"
if [ "$(id -u)" = 0 ]; then
  run=(env DEBIAN_FRONTEND=noninteractive)
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
  run=(sudo env DEBIAN_FRONTEND=noninteractive)
else
  echo "install_dependencies: not root and no sudo that works unasked; please run: sudo $line" >&2
  exit 2
fi

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
# Debian starts a service when its package is installed, unless this program says no.
made_policy=
end() {
  [ -z "$made_policy" ] || "${run[@]}" rm -f "$policy"
  rm -f "$log"
}
trap end EXIT
echo "installing: $(echo $missing $extra)" >&2
services=$(echo "$extra" | grep -x 'slurmctld\|slurmd\|munge\|prometheus' || true)
if [ -n "$services" ] && [ ! -e "$policy" ]; then
  made_policy=yes
  printf '#!/bin/sh\nexit 101\n' | "${run[@]}" tee "$policy" >/dev/null
  "${run[@]}" chmod 755 "$policy"
fi
# Package lists may be old or absent on a fresh machine: refresh them only when needed.
if ! "${run[@]}" $line >"$log" 2>&1; then
  if ! { "${run[@]}" apt-get update && "${run[@]}" $line; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "install_dependencies: apt-get failed; the line was: $line" >&2
    exit 2
  fi
fi
# Nor are they to begin when the machine does.
if [ -n "$services" ] && [ -d /run/systemd/system ]; then
  "${run[@]}" systemctl disable --quiet $services >>"$log" 2>&1 || true
fi
