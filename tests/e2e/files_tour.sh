#!/usr/bin/env bash
# Files between four hosts on this machine that share nothing but a network: a user's, whose data
# travel with a job; a head's; and two nodes', which have neither the data nor the model. Disks that
# are small, and disks that are taken away. Every job ends with the weights that `troupe run` gives
# on one host.
#
#   tests/e2e/files_tour.sh TROUPE
#
# Exit code 0: all of it held; 77: this system lets nobody make networks of their own, so nothing
# was tried.
set -euo pipefail

troupe=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
. "$here/hosts.sh"
have_own_networks "$0" "$troupe"
trouped=$(dirname "$troupe")/trouped
begin_tour

# ---- Hosts, a user's job and data, a model of the head's.

make_hosts a b c u
head=$(address_of a):7733
on u "$troupe" make-data arithmetic --out /root/mine/data --train 200 --cold-start-clean 200 \
  --cold-start-noisy 100 --held-out 20 >"$work/data.log"
job_text() {  # POLICY SFT_STEPS GRPO_STEPS
  cat <<JOB
name = "files"
seed = 1
[policy]
$1
[data]
train = "data/train.jsonl"
cold_start = ["data/cold_start_clean.jsonl", "data/cold_start_noisy.jsonl"]
held_out = "data/held_out.jsonl"
template = "plain"
max_prompt_tokens = 16
[sft]
steps = $2
batch_tokens = 400
learning_rate = 3e-3
[grpo]
steps = $3
prompts_per_round = 4
group_size = 4
kl_coef = 0.01
[rollout]
max_response_tokens = 16
cache_mb = 16
[learner]
microbatch_tokens = 128
balance_bias_rate = 0.01
[rewards]
accuracy = { verifier = "math", weight = 1.0 }
format = { verifier = "r1_format", weight = 0.1 }
[schedule]
checkpoint_every_steps = 4
[eval]
every_steps = 0
problems = 0
JOB
}
job_text 'config = "tiny-moe"' 4 60 | on u bash -c 'cat >/root/mine/long.toml'
job_text 'config = "small-moe"' 1 0 >"$work/seed.toml"
job_text 'model = "/root/models/small"' 1 1 | on u bash -c 'cat >/root/mine/model.toml'

# What one host alone makes of them: the head's, which gets the data for as long as that takes.
on u tar -C /root/mine -c data long.toml model.toml |
  on a bash -c 'mkdir /root/alone && tar -C /root/alone -x'
on a bash -c 'cat >/root/alone/seed.toml' <"$work/seed.toml"
alone() {
  on a "$troupe" run "/root/alone/$1.toml" --home "/root/alone/$1" --json 2>"$work/alone.log"
}
alone seed >"$work/seed.json" || fail "the job that makes a model"
on a bash -c 'mkdir -p /root/models && rm -rf /root/alone/seed/checkpoints/step_1/recovery &&
  cp -r /root/alone/seed/checkpoints/step_1 /root/models/small'
expected_long=$(alone long | json_of 'it["weights_sha256"]') || fail "the job alone"
expected_model=$(alone model | json_of 'it["weights_sha256"]') || fail "the job with a model alone"
on a rm -rf /root/alone
say "alone: ${expected_long:0:12}, with a model ${expected_model:0:12}"

on a "$troupe" keys init >/dev/null
for node in b c; do
  on a "$troupe" keys node $node --out /root/$node.key >/dev/null
  on a cat /root/$node.key | on $node bash -c 'umask 077; cat >/root/node.key'
done
for user in alice olga; do
  role=$([ $user = olga ] && echo --operator || true)
  # shellcheck disable=SC2086
  on a "$troupe" keys user $user --out /root/$user.key $role >/dev/null
  on a cat /root/$user.key | on u bash -c "umask 077; cat >/root/$user.key"
done
head_home=/root/troupe
start_head() {
  start a "$work/head.log" "$trouped" --home $head_home --server /root/door \
    --listen 0.0.0.0:7733 --slots 1 --allow-path /root/models
  head_process=$started
}
node_home=/root/troupe
node_shares=()
start_node() {
  start b "$work/b.log" "$trouped" --join "$(address_of a):7734" --key /root/node.key \
    --home $node_home --slots 2 "${node_shares[@]}"
  node_process=$started
}
workers_of_node() { pgrep --ns "${host_keeper[b]}" --nslist mnt -f '^troupe worker' || true; }
end_node() {
  kill -9 "$node_process" 2>/dev/null || true
  # shellcheck disable=SC2046
  kill -9 $(workers_of_node) 2>/dev/null || true
}
as() {  # USER COMMAND...
  local user=$1
  shift
  on u "$troupe" "$@" --server "$head" --key "/root/$user.key"
}
hosts_up() { as olga nodes --json | json_of 'sum(1 for host in it if host["state"] == "up")'; }
node_is_up() { [ "$(hosts_up)" = "$1" ]; }
show() { as alice show "$1" --json | json_of "it[\"$2\"]"; }
has_steps() { [ "$(show "$1" steps_done)" -ge "$2" ]; }
has_ended() { [ "$(show "$1" state)" = finished ]; }
ends_as() {  # ID WEIGHTS SECONDS
  wait_for "$3" "job $1 ends" has_ended "$1"
  [ "$(show "$1" weights_sha256)" = "$2" ] || fail "job $1 has other weights than alone"
}
# Its id; what it says to people is in $work/said.
submit() { as alice submit "/root/mine/$1.toml" --json 2>"$work/said" | json_of 'it["id"]'; }

start_head
start_node
wait_for 20 "the node joins" node_is_up 2
# All of a job runs on the node, which has nothing of it.
as olga drain head >/dev/null

# ---- Data travel with a job; the head is killed right behind its answer.

first=$(submit long)
kill -9 "$head_process"
grep -q 'sent 4 of 4 files of this host' "$work/said" || fail "not sent: $(cat "$work/said")"
start_head
wait_for 20 "the head is back" has_steps "$first" 0
as olga drain head >/dev/null
wait_for 60 "job $first has begun" has_steps "$first" 12
again=$(submit long)
grep -q 'sent 0 of 4 files of this host, 0 bytes' "$work/said" ||
  fail "sent again: $(cat "$work/said")"
as alice cancel "$again" >/dev/null
say "a job's data travel once: $(cat "$work/said")"

# ---- The node's disk is taken away, with its parts of recovery points.

has_point() { on b bash -c "ls $node_home/jobs/$first/checkpoints" | grep . >/dev/null; }
wait_for 30 "a part of a point is on the node" has_point
end_node
on b rm -rf "$node_home"
before=$(show "$first" steps_done)
start_node
wait_for 60 "job $first goes on from the copy" has_steps "$first" $((before + 4))
say "a disk was taken away at step $before: the job goes on"

# ---- The head's folder lacks what it had of recovery points.

logs_say() { as alice logs "$1" | grep "$2" >/dev/null; }
has_copies() {  # On the node, of all points that the head has.
  local at_head on_node
  at_head=$(on a bash -c "cd /root/troupe/jobs/$1/checkpoints && find . -type f | sort")
  on_node=$(on b bash -c "cd $node_home/jobs/$1/checkpoints && find . -type f | sort")
  [ -n "$at_head" ] && [ "$at_head" = "$on_node" ]
}
lose_on_head() {  # ID WORDS...: while no head is there
  kill -9 "$head_process"
  on a bash -c "$2"
  start_head
  wait_for 20 "the head is back" has_steps "$1" 0
  as olga drain head >/dev/null
}
points=/root/troupe/jobs/$first/checkpoints
wait_for 60 "the node has copies" has_copies "$first"
lose_on_head "$first" "rm -r $points/*"
wait_for 60 "points come back" logs_say "$first" 'recovery point .* came back from host b'
say "$(as alice logs "$first" | grep -o 'recovery point .* came back from host b' | tail -n 1)"
# And from nobody: on the node the newest is gone as well.
on b bash -c "kill -STOP $node_process"
# What was being written when the head was killed is no point yet.
newest="\$(ls -td $points/step_* | grep -v unfinished | head -n 1)"
lose_on_head "$first" "rm $newest/recovery/part_*.safetensors"
on b bash -c "rm -rf $node_home/jobs/$first/checkpoints; kill -CONT $node_process"
ends_as "$first" "$expected_long" 120
logs_say "$first" 'recovery point .* is not used' || fail "nothing is said of it"
say "the newest point lost its parts on both hosts: the weights of one host"

# ---- A model comes to the host that has not got it, once.

bytes_in() { on b awk '$1 == "eth0:" { print $2 }' /proc/net/dev; }
model_bytes=$(on a du -sb /root/models/small | cut -f1)
with_model() {
  local before job
  before=$(bytes_in)
  job=$(submit model)
  ends_as "$job" "$expected_model" 120
  came=$(($(bytes_in) - before))
}
with_model
first_came=$came
with_model
say "a model of $model_bytes bytes: $first_came bytes came for the first job, $came for the second"
# Versions, rounds and heartbeats come too, for both jobs alike.
[ $((first_came - came)) -le $((model_bytes * 105 / 100)) ] || fail "more came than the model"
[ $((first_came - came)) -ge $((model_bytes * 95 / 100)) ] || fail "the model came more than once"

# ---- Another host takes it from the one that has it, and not from the head.

bytes_out_of() { on "$1" awk '$1 == "eth0:" { print $10 }' /proc/net/dev; }
start c "$work/c.log" "$trouped" --join "$(address_of a):7734" --key /root/node.key \
  --home /root/troupe --slots 2
other_node=$started
wait_for 20 "the other node joins" node_is_up 2
as olga drain b >/dev/null
before=$(bytes_out_of b)
of_head=$(bytes_out_of a)
copied=$(submit model)
ends_as "$copied" "$expected_model" 120
gave=$(($(bytes_out_of b) - before))
of_head=$(($(bytes_out_of a) - of_head))
say "another node gave $gave bytes of it to the next, the head $of_head"
[ $gave -ge $((model_bytes * 90 / 100)) ] || fail "the node that has it did not give it"
# Versions and messages come from the head, as for the job before.
[ $of_head -le $((came + model_bytes * 10 / 100)) ] || fail "the head gave it as well"
kill -9 "$other_node"
on c pkill -9 -f '^troupe worker' || true
as olga undrain b >/dev/null

# ---- There is no room for it.

as alice submit /root/mine/model.toml --set policy.model=/etc >"$work/refused" 2>&1 &&
  fail "a user names /etc"
grep -q 'it allows what lies in /root/models' "$work/refused" || fail "$(cat "$work/refused")"
end_node
on b bash -c 'mkdir /root/small && mount -t tmpfs -o size=8m none /root/small'
node_home=/root/small/troupe
start_node
wait_for 60 "the node with a small disk joins" node_is_up 1
waiting=$(submit model)
wait_for 60 "what it waits for is said" \
  logs_say "$waiting" 'waits: node b has .* free at .* needs 2[0-9]\.. MB'
say "$(as alice logs "$waiting" | grep -o 'worker 0 waits: node b has.*')"
on b mount -o remount,size=1g /root/small
ends_as "$waiting" "$expected_model" 120

# ---- A folder that both hosts have, and one that only looks like it.

end_node
kill -9 "$head_process"
mkdir "$work/shared"
head_home=$work/shared
node_home=/root/troupe
start_head
wait_for 20 "a head with a shared home is there" as olga drain head
node_shares=(--shared-home "$work/shared")
start_node
wait_for 20 "the node proves that it shares the head's folder" grep -q 'are not moved' "$work/b.log"
before=$(($(bytes_in) + $(bytes_out_of b)))
shared=$(submit long)
ends_as "$shared" "$expected_long" 120
came=$(($(bytes_in) + $(bytes_out_of b) - before))
written=$(du -sb "$work/shared/jobs/$shared/checkpoints" | cut -f1)
say "a shared folder: $came bytes for messages, and none of the $written bytes of kept points"
[ "$came" -lt $((written / 3)) ] || fail "files were moved all the same"
end_node
on b mount -t tmpfs none "$work/shared"
on b "$trouped" --join "$(address_of a):7734" --key /root/node.key --home $node_home \
  --shared-home "$work/shared" 2>"$work/other.log" && fail "a folder that is not shared is taken"
grep -q 'is not shared: what the node has written there is not seen' "$work/other.log" ||
  fail "it is not said that the folder is not shared"
say "$(grep -o 'the head does not let.*' "$work/other.log")"
say "done"
