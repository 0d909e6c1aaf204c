# Hosts of a small network on one machine, for tests that are sourced into. Each is a network and a
# mount namespace: an address of its own, and a HOME and folders for temporary files that no other
# sees. To be sourced by a program that was started by `unshare --net --mount` (with `--user
# --map-root-user` where it is not root).
#
#   make_hosts a b c     their addresses: address_of a
#   on b COMMAND...      in the foreground
#   start b LOG COMMAND...  in the background; its process number is in $started
#   cut_link b, mend_link b   its link to all others
#   cut_between b c      and mend_between b c: those two only
#
# And for a tour of such hosts, which says what it has seen and ends at the first thing that is
# not so:
#
#   have_own_networks SCRIPT ARGUMENTS...  the script itself, begun anew so; 77 where that cannot be
#   begin_tour           makes $work, a folder for logs, which goes with all processes at the end
#   say WORDS, fail WORDS, wait_for SECONDS WHAT COMMAND...
#   json_of EXPRESSION   of `it`, the last line of standard input

declare -A host_keeper host_number
bridge=troupe0

address_of() { echo "10.77.0.${host_number[$1]}"; }

make_hosts() {
  mount --make-rprivate /
  ip link set lo up
  ip link add $bridge type bridge
  ip link set $bridge up
  local number=0
  for host in "$@"; do
    number=$((number + 1))
    host_number[$host]=$number
    # Whoever keeps the namespaces of a host alive, and goes with this program.
    unshare --net --mount setpriv --pdeathsig KILL sleep infinity &
    host_keeper[$host]=$!
  done
  for host in "$@"; do
    while [ "$(readlink /proc/${host_keeper[$host]}/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do
      sleep 0.01
    done
    ip link add "v$host" type veth peer name eth0 netns "${host_keeper[$host]}"
    ip link set "v$host" master $bridge up
    on "$host" bash -c "
      set -e
      ip address add $(address_of "$host")/24 dev eth0
      ip link set eth0 up
      ip link set lo up
      mount --make-rprivate /
      mkdir -p /root
      mount -t tmpfs -o mode=700 none /root
      mount -t tmpfs -o mode=1777 none /var/tmp"
  done
}

on() {
  local host=$1
  shift
  nsenter --target "${host_keeper[$host]}" --net --mount env HOME=/root TMPDIR=/var/tmp "$@"
}

start() {
  local host=$1 log=$2
  shift 2
  # Not by a function: the process is to be the command itself.
  nsenter --target "${host_keeper[$host]}" --net --mount env HOME=/root TMPDIR=/var/tmp "$@" \
    >>"$log" 2>&1 &
  started=$!
}

cut_link() { ip link set "v$1" down; }
mend_link() { ip link set "v$1" up; }
cut_between() {
  on "$1" ip route add blackhole "$(address_of "$2")/32"
  on "$2" ip route add blackhole "$(address_of "$1")/32"
}
mend_between() {
  on "$1" ip route del blackhole "$(address_of "$2")/32"
  on "$2" ip route del blackhole "$(address_of "$1")/32"
}

have_own_networks() {
  local name new=(unshare --net --mount)
  name=$(basename "$1" .sh)
  [ -z "${TROUPE_TOUR_INSIDE:-}" ] || return 0
  [ "$(id -u)" = 0 ] || new=(unshare --user --map-root-user --net --mount)
  if ! "${new[@]}" ip link add tour0 type bridge 2>/dev/null; then
    echo "$name: networks of our own cannot be made here; not tried" >&2
    exit 77
  fi
  TROUPE_TOUR_INSIDE=1 exec "${new[@]}" bash "$@"
}

begin_tour() {
  work=$(mktemp -d)
  begun=$SECONDS
  trap end_tour EXIT
}
end_tour() {
  local all
  all=$(jobs -p)
  # shellcheck disable=SC2086
  [ -z "$all" ] || kill -9 $all 2>/dev/null || true
  rm -rf "$work"
}
say() { echo "[$((SECONDS - begun)) s] $*"; }
fail() {
  echo "$(basename "$0" .sh): $*" >&2
  for log in "$work"/*.log; do
    echo "--- $log" >&2
    tail -n 15 "$log" >&2
  done
  echo "--- the newest job" >&2
  on a bash -c 'cd /root/troupe/jobs && cd "$(ls -t | head -n 1)" &&
    grep -v "grpo\|sft" log.txt | tail -n 30' >&2 || true
  exit 1
}
wait_for() {
  local until=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || fail "did not happen: $what"
    sleep 0.1
  done
}
json_of() { python3 -c "import json, sys
it = json.loads(sys.stdin.read().splitlines()[-1])
print($1)"; }
