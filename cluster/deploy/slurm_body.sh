
# Below this line nothing depends on the job. The head runs in the batch step, on the first host;
# one srun starts a daemon on each host, which works for it. What counts is in $home, and so
# whatever ends an attempt, the next one goes on where it was, on any hosts.
set -uo pipefail
umask 077
trouped=$(dirname "$troupe")/trouped
attempt=${SLURM_RESTART_COUNT:-0}
logs=$home/logs/attempt-$attempt
signalled=
head_pid='' nodes_pid='' watch_pid=''

say() { echo "[attempt $attempt, $(date '+%F %T')] $*"; }
is_alive() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }
# Ends a child: SIGTERM, and after so many seconds SIGKILL.
end() {
  local until=$((SECONDS + $2))
  is_alive "$1" || return 0
  kill -TERM "$1"
  while is_alive "$1" && [ $SECONDS -lt $until ]; do sleep 0.2; done
  is_alive "$1" && kill -KILL "$1"
  wait "$1" 2>/dev/null
}
# The head first: it stops after the step under way, for which it needs the others.
end_all() {
  trap '' TERM INT
  [ -z "$watch_pid" ] || end "$watch_pid" 5
  [ -z "$head_pid" ] || end "$head_pid" $((grace * 3 / 4))
  [ -z "$nodes_pid" ] || end "$nodes_pid" $((grace / 6))
  [ -z "${door:-}" ] || rm -rf "$door"
}
leave() {  # CODE WHY...
  local code=$1
  shift
  say "$*"
  end_all
  exit "$code"
}
# Another attempt, unless Slurm has ended this one for good or there were too many.
again() {
  say "$*"
  end_all
  if [ "$attempt" -ge "$attempts_max" ]; then
    say "that was attempt $attempt of $attempts_max; the same script goes on from here"
    exit 1
  fi
  # A job that was cancelled, or that Slurm queues again by itself, has another state by now.
  local state
  state=$(scontrol show job "$SLURM_JOB_ID" 2>/dev/null | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p')
  if [ "$state" != RUNNING ]; then
    say "Slurm says that this job is $state: not queued again"
    exit 3
  fi
  scontrol requeue "$SLURM_JOB_ID" || exit 1
  say "queued again"
  # Slurm ends what is left of this attempt.
  sleep 60
  exit 1
}
trap 'signalled=1' TERM INT

mkdir -p "$logs" "$home/nodes" || leave 1 "cannot write to $home, which all hosts have to see"
ln -sfn "attempt-$attempt" "$home/logs/latest"
mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
say "job $SLURM_JOB_ID on ${#hosts[@]} hosts: ${hosts[*]}; logs in $logs"

# ---- Keys, made once for each host that was ever part of it.

key_name() { tr 'A-Z_.' 'a-z--' <<<"$1"; }
[ -e "$home/keys/head.key" ] || "$troupe" keys init --keys "$home/keys" >/dev/null ||
  leave 2 "no keys in $home/keys"
for host in "${hosts[@]}"; do
  name=$(key_name "$host")
  [ -e "$home/nodes/$name.key" ] && continue
  # An attempt that ended in between has let in a key that nobody has.
  "$troupe" keys revoke "$name" --keys "$home/keys" >/dev/null 2>&1
  "$troupe" keys node "$name" --keys "$home/keys" --out "$home/nodes/$name.key" >/dev/null ||
    leave 2 "no key for $host"
done

# ---- The head. Its ports are any that are free.

door=$(mktemp -d "${TMPDIR:-/tmp}/troupe-door.XXXXXX") || leave 1 "no folder for the door"
log=$logs/head.log
wait_until=$((SECONDS + head_patience))
while :; do
  "$trouped" --head --home "$home/head" --server "$door" --keys "$home/keys" --slots 0 \
    --listen 0.0.0.0:0 --listen-nodes 0.0.0.0:0 >>"$log" 2>&1 &
  head_pid=$!
  port=
  while [ -z "$port" ] && is_alive "$head_pid" && [ -z "$signalled" ]; do
    sleep 0.1
    port=$(sed -n 's/^trouped: nodes join at .*:\([0-9]*\)$/\1/p' "$log" | tail -n 1)
  done
  [ -n "$signalled" ] && again "told to stop"
  is_alive "$head_pid" && break
  # An earlier attempt, on a host that Slurm does not reach, may still have the store.
  [ $SECONDS -lt $wait_until ] || leave 1 "the head does not begin: $(tail -n 1 "$log")"
  say "the head does not begin, trying again: $(tail -n 1 "$log")"
  : >"$log"
  sleep 5
done
address=${TROUPE_HEAD_ADDRESS:-$(scontrol show node "${hosts[0]}" |
  sed -n 's/.*NodeAddr=\([^ ]*\).*/\1/p')}
say "the head is at ${address:=${hosts[0]}}:$port"

# ---- A daemon on each host.

export trouped home logs node_home slots
join=$address:$port
export join
# shellcheck disable=SC2016  # Expanded there.
srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 \
  --kill-on-bad-exit=1 --export=ALL \
  ${SLURM_CPUS_PER_TASK:+--cpus-per-task="$SLURM_CPUS_PER_TASK"} bash -c '
    name=$(tr "A-Z_." "a-z--" <<<"$SLURMD_NODENAME")
    where=${node_home:-${SLURM_TMPDIR:-${TMPDIR:-/tmp}}/troupe-$SLURM_JOB_ID-$name}
    exec >>"$logs/node-$name.log" 2>&1
    # Nothing in that folder outlives an attempt.
    trap "" TERM
    "$trouped" --join "$join" --key "$home/nodes/$name.key" --home "$where" \
      ${slots:+--slots "$slots"} &
    daemon=$!
    trap "kill -TERM $daemon 2>/dev/null" TERM
    while :; do
      wait "$daemon"
      code=$?
      kill -0 "$daemon" 2>/dev/null || break
    done
    rm -rf "$where"
    exit "$code"' &
nodes_pid=$!

# ---- The job: the first attempt submits it, and others find it.

id=$("$troupe" submit "$job" ${overrides[@]+"${overrides[@]}"} --server "$door" \
  --request-id slurm) || leave 2 "the job is not accepted"
state_of() {
  "$troupe" show "$id" --server "$door" --json 2>/dev/null |
    sed -n 's/.*"state": *"\([a-z]*\)".*/\1/p' | head -n 1
}
case $(state_of) in
  paused | failed) "$troupe" resume "$id" --server "$door" >/dev/null ;;
esac
"$troupe" watch "$id" --server "$door" &
watch_pid=$!

while is_alive "$watch_pid" && is_alive "$head_pid" && is_alive "$nodes_pid" && [ -z "$signalled" ]
do
  wait -n "$watch_pid" "$head_pid" "$nodes_pid"
done
[ -n "$signalled" ] && again "told to stop before the end"
"$troupe" show "$id" --server "$door"
case $(state_of) in
  finished) leave 0 "finished" ;;
  failed) leave 1 "the job failed; $troupe show and $home/head/jobs say why" ;;
  cancelled) leave 3 "the job was cancelled" ;;
  paused) leave 3 "the job was paused; the same script resumes it" ;;
esac
is_alive "$nodes_pid" || again "a host is lost; the last words: $(tail -qn 1 "$logs"/node-*.log)"
is_alive "$head_pid" || again "the head ended: $(tail -n 1 "$log")"
again "the head does not answer"
