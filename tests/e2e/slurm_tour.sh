#!/usr/bin/env bash
# A job under Slurm, which has three hosts of this machine, each with an address of its own, and the
# script that `troupe deploy slurm` prints. A daemon is killed, then a whole host with its
# slurmd, then Slurm tells the job to stop; each time it is queued again and goes on, and it ends
# with the weights that `troupe run` gives on one host.
#
#   tests/e2e/slurm_tour.sh TROUPE
#
# Exit code 0: all of it held; 77: Slurm is not installed, or this system lets nobody make networks
# of their own, so nothing was tried.
set -euo pipefail

troupe=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
export PATH=$PATH:/usr/sbin:/sbin
. "$here/hosts.sh"
for program in slurmctld slurmd munged sbatch; do
  if ! command -v $program >/dev/null; then
    echo "slurm_tour: $program is not installed; not tried" >&2
    exit 77
  fi
done
# Slurm's daemons run jobs as their users, which a user namespace cannot give them.
if [ "$(id -u)" != 0 ]; then
  echo "slurm_tour: only root can start Slurm's daemons; not tried" >&2
  exit 77
fi
have_own_networks "$0" "$troupe"
begin_tour
home=$work/shared

fail() {
  echo "slurm_tour: $*" >&2
  on ctl scontrol show job >&2 || true
  for log in "$work"/*.log "$home"/logs/latest/*.log; do
    echo "--- $log" >&2
    grep -v "pmix\|grpo\|sft" "$log" | tail -n 20 >&2
  done
  exit 1
}
# All processes there but the one that keeps the host's network.
kill_all_on() {
  local pid
  for pid in $(pgrep --ns "${host_keeper[$1]}" --nslist net || true); do
    [ "$pid" = "${host_keeper[$1]}" ] || kill -9 "$pid" 2>/dev/null || true
  done
}
# Whatever runs on a host is a child of its Slurm's, or has lost it.
end_slurm() {
  local host
  for host in "${!host_keeper[@]}"; do kill_all_on "$host"; done
  [ ! -s "$work/munged.pid" ] || kill -9 "$(cat "$work/munged.pid")" 2>/dev/null || true
  end_tour
}
trap end_slurm EXIT

# ---- Slurm, with a configuration and a key of its own.

nodes=(n1 n2 n3)
make_hosts ctl "${nodes[@]}"
chmod 755 "$work"
mkdir -p "$work/state" "$home"
dd if=/dev/urandom of="$work/munge.key" bs=256 count=1 status=none
chmod 600 "$work/munge.key"
munged --force --key-file="$work/munge.key" --socket="$work/munge.socket" \
  --pid-file="$work/munged.pid" --log-file="$work/munged.log" --seed-file="$work/munge.seed" \
  2>>"$work/munged.log"
{
  cat <<END
ClusterName=tour
SlurmctldHost=$(hostname)($(address_of ctl))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
CredType=cred/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool-%n
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd-%n.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=8
KillWait=5
SchedulerParameters=batch_sched_delay=0,sched_interval=2
END
  for node in "${nodes[@]}"; do
    echo "NodeName=$node NodeAddr=$(address_of "$node") CPUs=2 State=UNKNOWN"
  done
  echo "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP"
} >"$work/slurm.conf"
printf 'CgroupAutomount=no\n' >"$work/cgroup.conf"
export SLURM_CONF=$work/slurm.conf
start ctl "$work/slurmctld.out.log" slurmctld -D -f "$SLURM_CONF"
start_node() {
  mkdir -p "$work/spool-$1"
  start "$1" "$work/slurmd-$1.out.log" slurmd -D -N "$1" -f "$SLURM_CONF"
}
for node in "${nodes[@]}"; do start_node "$node"; done
are_idle() { [ "$(on ctl sinfo -h -t idle -o %D)" = "$1" ]; }
wait_for 30 "three hosts are idle" are_idle 3
say "Slurm $(slurmd -V | cut -d' ' -f2) with three hosts"

# ---- The job, alone and as a script.

"$troupe" make-data arithmetic --out "$work/data" --train 200 --cold-start-clean 200 \
  --cold-start-noisy 100 --held-out 20 >"$work/data.log"
sed -e "/^\[grpo\]/,/^steps/s/^steps = .*/steps = ${TROUPE_TOUR_STEPS:-300}/" \
  -e 's/^checkpoint_every_steps = .*/checkpoint_every_steps = 4/' \
  "$here/../support/short_job.toml" >"$work/job.toml"
settings=(--set resources.learner=2 --set resources.rollout=3)
expected=$("$troupe" run "$work/job.toml" "${settings[@]}" --home "$work/alone" --json \
  2>"$work/alone.log" | json_of 'it["weights_sha256"]') || fail "the job alone"
say "alone: ${expected:0:12}"

"$troupe" deploy slurm "$work/job.toml" --nodes 2 --home "$home" --slots 2 --grace 20 \
  --sbatch cpus-per-task=2 "${settings[@]}" >"$work/job.sh" || fail "no script"
id=$(on ctl sbatch --parsable --chdir="$work" "$work/job.sh") || fail "sbatch"
log=$work/short-$id.log
field() { on ctl scontrol show job "$id" | tr ' ' '\n' | sed -n "s/^$1=//p"; }
# Slurm waits two minutes before it begins a job again; an operator may say otherwise.
is_in_attempt() {
  [ "$(field Reason)" = BeginTime ] && on ctl scontrol update JobId="$id" StartTime=now
  [ "$(field Restarts)" = "$1" ] && [ "$(field JobState)" = RUNNING ]
}
steps() {
  tail -n 50 "$home"/head/jobs/1/log.txt | sed -n 's/.*grpo \([0-9]*\)\/.*/\1/p' | tail -n 1
}
has_steps() { [ "$(steps)" -ge "$1" ]; }
hosts_of_job() { on ctl scontrol show hostnames "$(field NodeList)"; }
daemon_on() { pgrep --ns "${host_keeper[$1]}" --nslist net -f '^[^ ]*trouped --join' | head -n 1; }

wait_for 60 "the job learns" has_steps 8
say "sbatch: job $id on $(hosts_of_job | tr '\n' ' ')has $(steps) steps"

# ---- A daemon is killed: the attempt ends, and the next goes on.

kill -9 "$(daemon_on "$(hosts_of_job | tail -n 1)")"
wait_for 60 "a second attempt" is_in_attempt 1
at=$(steps)
wait_for 60 "it goes on" has_steps $((at + 4))
say "a daemon was killed at step $at: attempt 1 on $(hosts_of_job | tr '\n' ' ')"

# ---- A host is lost with all that runs there.

lost=$(hosts_of_job | head -n 1)  # The head's.
kill_all_on "$lost"
wait_for 120 "a third attempt" is_in_attempt 2
at=$(steps)
wait_for 60 "it goes on" has_steps $((at + 4))
say "host $lost was lost at step $at: attempt 2 on $(hosts_of_job | tr '\n' ' ')"
start_node "$lost"

# ---- Slurm says that the time is over.

on ctl scancel --batch --signal=TERM "$id"
wait_for 120 "a fourth attempt" is_in_attempt 3
say "told to stop at step $(steps): attempt 3"

# ---- The end.

has_ended() { case $(field JobState) in COMPLETED | FAILED | CANCELLED) ;; *) false ;; esac; }
wait_for 240 "the job ends" has_ended
[ "$(field JobState) $(field ExitCode)" = "COMPLETED 0:0" ] ||
  fail "the job ended as $(field JobState) $(field ExitCode)"
grep -q "$expected" "$log" || fail "the weights are not $expected: $(tail -n 5 "$log")"
for attempt in 0 1 2 3; do
  [ -s "$home/logs/attempt-$attempt/head.log" ] || fail "attempt $attempt has left no log"
done
say "ended after $(field Restarts) requeues with the weights of one host"

# ---- Who cancels it ends it.

"$troupe" deploy slurm "$work/job.toml" --nodes 1 --home "$home-2" --grace 20 \
  --set grpo.steps=100000 >"$work/job2.sh"
id=$(on ctl sbatch --parsable --chdir="$work" "$work/job2.sh")
log=$work/short-$id.log
learns() { grep -q 'grpo' "$home-2/head/jobs/1/log.txt"; }
wait_for 60 "the second job learns" learns
on ctl scancel "$id"
wait_for 60 "it ends" has_ended
[ "$(field JobState) $(field Restarts)" = "CANCELLED 0" ] ||
  fail "cancelled, it is $(field JobState) after $(field Restarts) restarts"
say "a job that is cancelled is not queued again"
