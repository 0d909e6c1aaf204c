#!/usr/bin/env bash
# A cluster of three hosts on this machine, each with an address, a HOME and folders of its own: two
# users' jobs at once, a learner of two hosts, a link that is cut, hosts and heads that are killed.
# Every job ends with the weights that `troupe run` gives on one host.
#
#   tests/e2e/cluster_tour.sh TROUPE [--short | --full]
#
# --short is a tour of two hosts and less of it. Exit code 0: all of it held; 77: this system lets
# nobody make networks of their own, so nothing was tried.
set -euo pipefail

troupe=$(realpath "$1")
short=${2:-}
here=$(realpath "$(dirname "$0")")
. "$here/hosts.sh"
have_own_networks "$0" "$troupe" "$short"
trouped=$(dirname "$troupe")/trouped
begin_tour
now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }
since_ms() { echo $(($(now_ms) - $1)); }

# ---- The network and the jobs.

if [ "$short" = --short ]; then nodes=(b); else nodes=(b c); fi
make_hosts a "${nodes[@]}" u
head=$(address_of a):7733

# Data lie with the head; other hosts have none of it.
on a "$troupe" make-data arithmetic --out /root/data --train 200 --cold-start-clean 200 \
  --cold-start-noisy 100 --held-out 20 >"$work/data.log"
job_text() {  # NAME SEED GRPO_STEPS
  sed -e "s/^name = .*/name = \"$1\"/" -e "s/^seed = .*/seed = $2/" -e 's|"data/|"/root/data/|g' \
    -e "/^\[grpo\]/,/^steps/s/^steps = .*/steps = $3/" \
    -e 's/^checkpoint_every_steps = .*/checkpoint_every_steps = 4/' \
    "$here/../support/short_job.toml"
}
# Long enough to be met amid their steps.
short_steps=100 long_steps=600 cut_ms=10000
if [ "$short" = --short ]; then short_steps=40 long_steps=120 cut_ms=4000; fi
job_text first 1 $short_steps >"$work/first.toml"
job_text second 2 $short_steps >"$work/second.toml"
job_text long 3 $long_steps >"$work/long.toml"

weights_of() { json_of 'it["weights_sha256"]'; }
declare -A expected
for one in first second long; do
  on a "$troupe" run "$work/$one.toml" --home "/root/alone_$one" --json 2>"$work/alone.log" \
    >"$work/alone.json" || fail "the job alone"
  expected[$one]=$(weights_of <"$work/alone.json")
done
say "alone: ${expected[first]:0:12}, ${expected[second]:0:12}, ${expected[long]:0:12}"

# ---- Keys, a head, nodes.

on a "$troupe" keys init >/dev/null
for node in "${nodes[@]}"; do
  on a "$troupe" keys node "$node" --out "/root/$node.key" >/dev/null
  on a cat "/root/$node.key" | on "$node" bash -c 'umask 077; cat >/root/node.key'
done
for user in alice bob olga; do
  role=$([ $user = olga ] && echo --operator || true)
  # shellcheck disable=SC2086
  on a "$troupe" keys user $user --out /root/$user.key $role >/dev/null
  on a cat /root/$user.key | on u bash -c "umask 077; cat >/root/$user.key"
done
start_head() {
  start a "$work/head.log" "$trouped" --home /root/troupe --server /root/door \
    --listen 0.0.0.0:7733 --slots 1 --allow-path /root/data
  head_process=$started
}
start_node() {  # NAME [PORT]
  start "$1" "$work/$1.log" "$trouped" --join "$(address_of a):${2:-7734}" --key /root/node.key \
    --home /root/troupe --slots 2
  node_process[$1]=$started
}
declare -A node_process
start_head
for node in "${nodes[@]}"; do start_node "$node"; done

as() {  # USER COMMAND...: from a host that is none of the cluster's
  local user=$1
  shift
  on u "$troupe" "$@" --server "$head" --key "/root/$user.key"
}
hosts_say() {  # PYTHON...: holds for `hosts`, by name
  as olga nodes --json | python3 -c "import json, sys
hosts = {host['name']: host for host in json.load(sys.stdin)}
sys.exit(not ($*))"
}
nodes_are_up() { hosts_say "sum(1 for host in hosts.values() if host['state'] == 'up') == $1"; }
wait_for 20 "all hosts join" nodes_are_up $((${#nodes[@]} + 1))
say "joined: $(as olga nodes | tail -n +2 | wc -l) hosts"

state_of() { as "$1" show "$2" --json | python3 -c 'import json, sys
job = json.load(sys.stdin)
print(job["state"], job["steps_done"], job["weights_sha256"])'; }
submit() {  # USER NAME SETTINGS...
  local user=$1 name=$2
  shift 2
  on u bash -c 'cat >/root/job.toml' <"$work/$name.toml"
  as "$user" submit /root/job.toml --json "$@" | python3 -c 'import json, sys
print(json.load(sys.stdin)["id"])'
}
has_state() { [ "$(state_of "$1" "$2" | cut -d' ' -f1)" = "$3" ]; }
has_steps() { [ "$(state_of "$1" "$2" | cut -d' ' -f2)" -ge "$3" ]; }
ends_as() {  # USER ID NAME SECONDS
  wait_for "$4" "job $2 ends" has_state "$1" "$2" finished
  local got
  got=$(state_of "$1" "$2" | cut -d' ' -f3)
  [ "$got" = "${expected[$3]}" ] || fail "job $2 ($3) has weights $got, alone ${expected[$3]}"
}

# ---- Two users' jobs at once, on different slots.

one=$(submit alice first --set resources.rollout=2 --set resources.placement=split)
two=$(submit bob second)
both_run() { has_state alice "$one" running && has_state bob "$two" running; }
[ ${#nodes[@]} = 1 ] || wait_for 30 "both jobs run at once" both_run
as bob show "$one" >/dev/null 2>&1 && fail "bob sees alice's job"
ends_as alice "$one" first 60
ends_as bob "$two" second 60
say "two users' jobs: the weights of one host"

# ---- A learner of several hosts.

ranks=$((2 * ${#nodes[@]} + 1))
[ $ranks = 3 ] && ranks=2 && rollouts=3 || { ranks=4; rollouts=5; }
team=$(submit alice first --set resources.learner=$ranks --set resources.rollout=$rollouts)
ends_as alice "$team" first 60
say "a learner of $ranks ranks on several hosts: the same weights"

# ---- Strangers at every port of every host, while a learner of several hosts works.

if [ "$short" != --short ]; then
  visited=$(submit alice long --set resources.learner=4 --set resources.rollout=5)
  wait_for 60 "the job has begun" has_steps alice "$visited" 4
  ports=()
  for host in a "${nodes[@]}"; do
    # Where only the host itself can come is no port of the network.
    for port in $(on "$host" ss -ltnH |
      awk '$4 !~ /^(127\.|\[::1\])/ { sub(/.*:/, "", $4); print $4 }'); do
      ports+=("$(address_of "$host"):$port")
    done
  done
  # The head's two, each node's for other nodes, and the ranks'.
  [ ${#ports[@]} -ge $((2 + ${#nodes[@]} + 4)) ] || fail "only these ports: ${ports[*]}"
  on u python3 "$here/../support/strangers.py" 10000 "${ports[@]}" >"$work/strangers.json"
  came=$(json_of 'it["connected"]' <"$work/strangers.json")
  # One way in seven ends at a handshake that no port makes.
  [ "$came" -ge 8500 ] || fail "strangers did not get to the ports: $(cat "$work/strangers.json")"
  [ "$(json_of 'it["bytes"]' <"$work/strangers.json")" = 0 ] ||
    fail "strangers got an answer: $(cat "$work/strangers.json")"
  ends_as alice "$visited" long 120
  say "$came strangers at ${#ports[@]} ports, no byte of an answer: the same weights"
fi

# ---- The link of a host is cut, and mended.

steps_of() { state_of alice "$1" | cut -d' ' -f2; }
last=${nodes[-1]}
# More rollouts than the hosts of its learner have room for.
cut_job=$(submit alice long --set resources.rollout=$((2 * ${#nodes[@]})) \
  --set resources.placement=split)
wait_for 60 "the long job has begun" has_steps alice "$cut_job" 8
learns_on() { hosts_say "any(one['learner'] for one in hosts['$1']['tenants'])"; }
# A host that does not learn, where there are enough of them.
if learns_on "$last"; then other=${nodes[0]}; else other=$last; fi
cut_link "$other"
cut_at=$(now_ms)
wait_for 3 "the cut is noticed" hosts_say "hosts['$other']['state'] == 'away'"
noticed=$(since_ms "$cut_at")
elsewhere=
if ! learns_on "$other"; then
  before=$(steps_of "$cut_job")
  wait_for 3 "the job goes on without the host" has_steps alice "$cut_job" $((before + 2))
  elsewhere=", its work elsewhere after $(since_ms "$cut_at")"
fi
has_been_cut() { [ "$(since_ms "$cut_at")" -ge "$cut_ms" ]; }
wait_for 60 "the time of the cut" has_been_cut
at_step=$(steps_of "$cut_job")
mend_link "$other"
mended_at=$(now_ms)
wait_for 3 "the host is back" hosts_say "hosts['$other']['state'] == 'up'"
back=$(since_ms "$mended_at")
ends_as alice "$cut_job" long 120
say "a link that was cut for $cut_ms ms (until step $at_step): noticed after $noticed" \
  "ms$elsewhere, back after $back; the same weights"

# ---- Two nodes are cut from each other only.

if [ "$short" != --short ]; then
  apart=$(submit alice first --set resources.learner=4 --set resources.rollout=5)
  wait_for 60 "the job has begun" has_steps alice "$apart" 4
  cut_between b c
  both_named() {
    on a grep -E 'at 10.77.0.(2 is gone.*at 10.77.0.3|3 is gone.*at 10.77.0.2)' \
      "/root/troupe/jobs/$apart/log.txt"
  }
  wait_for 15 "both ends of the cut are named" both_named
  mend_between b c
  ends_as alice "$apart" first 120
  say "two nodes cut from each other: both named, the same weights"
fi

# ---- The head is killed amid steps; what nodes run goes on.

workers_of_nodes() {
  local node
  for node in "${nodes[@]}"; do
    pgrep --ns "${host_keeper[$node]}" --nslist mnt -f '^troupe worker' || true
  done | sort | tr '\n' ' '
}
kills=$([ "$short" = --short ] && echo 2 || echo "${TROUPE_TOUR_HEAD_KILLS:-5}")
killed=$(submit alice long --set resources.rollout=2 --set resources.placement=split)
longest=0
for round in $(seq "$kills"); do
  wait_for 60 "job $killed goes on" has_steps alice "$killed" $((4 + 8 * round))
  before=$(workers_of_nodes)
  [ -n "$before" ] || fail "no worker runs on a node"
  at_step=$(steps_of "$killed")
  kill -9 "$head_process"
  start_head
  wait_for 20 "head $round answers" as olga nodes
  up_at=$(now_ms)
  wait_for 20 "job $killed goes on under head $round" has_steps alice "$killed" $((at_step + 2))
  took=$(since_ms "$up_at")
  [ "$took" -le "$longest" ] || longest=$took
  after=$(workers_of_nodes)
  [ "$before" = "$after" ] || fail "the nodes' workers were $before and are $after"
done
ends_as alice "$killed" long 120
say "$kills heads killed: the same workers, training goes on $longest ms after the next one is" \
  "there at the latest; the same weights"

# ---- A node is killed and comes again.

if [ "$short" != --short ]; then
  lost=$(submit alice long)
  wait_for 60 "the long job has begun" has_steps alice "$lost" 8
  kill -9 "${node_process[$last]}"
  start_node "$last"
  ends_as alice "$lost" long 180
  say "a node's daemon that was killed: the same weights"
fi

# ---- A node behind a slow line.

if [ "$short" != --short ]; then
  start a "$work/line.log" python3 "$here/../support/slow_line.py" \
    --listen "$(address_of a):7744" --to "$(address_of a):7734" --mbit 100 --delay-ms 50
  kill "${node_process[$last]}"
  wait_for 20 "node $last leaves" hosts_say "'$last' not in hosts"
  start_node "$last" 7744
  wait_for 20 "node $last joins by the slow line" hosts_say "'$last' in hosts"
  slow=$(submit alice first --set resources.rollout=4 --set resources.placement=split)
  wait_for 60 "the job has begun" has_steps alice "$slow" 4
  hosts_say "hosts['$last']['tenants']" || fail "nothing runs on node $last"
  ends_as alice "$slow" first 180
  say "a node behind 100 Mbit/s and 50 ms each way: the same weights"
fi

# ---- Whose key was taken away is a stranger.

on a "$troupe" keys revoke bob >/dev/null
is_stranger() { ! as bob jobs; }
wait_for 3 "bob is a stranger" is_stranger
say "done"
