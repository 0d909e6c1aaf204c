@0x909b62615e4274f2;
# What a user asks the daemon at its front door, and the answers.
#
# Evolution: append fields with the next ordinal; a reader that meets an older message sees the
# default. Never renumber, retype or reuse an ordinal or an enumerant.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::wire");

using EvalMetrics = import "metrics.capnp".EvalMetrics;
using Failure = import "result.capnp".Failure;
using HostFacts = import "node.capnp".HostFacts;
using HostReading = import "node.capnp".HostReading;
using JobSpec = import "job.capnp".JobSpec;
using JobState = import "records.capnp".JobState;
using Ledger = import "metrics.capnp".Ledger;
using RunSample = import "metrics.capnp".RunSample;
using StepMetrics = import "metrics.capnp".StepMetrics;
using Trace = import "metrics.capnp".Trace;

struct SubmitJob {
  # The same request id is the same job, however often it is sent.

  requestId @0 :Text;
  job @1 :JobSpec;  # Paths are absolute, or name content that was sent: sha256:DIGEST/NAME.
}

struct ListJobs {
  firstId @0 :UInt64;  # From this id on.
}

struct ShowJob {
  id @0 :UInt64;
}

struct JobLogs {
  # Lines of the job's log from number `firstLine` on.

  id @0 :UInt64;
  firstLine @1 :UInt64;
}

struct WatchJob {
  # What a viewer needs to begin: the events so far, thinned out. Later ones are published.

  id @0 :UInt64;
  firstSequence @1 :UInt64;
}

struct CancelJob {
  id @0 :UInt64;
}

struct PauseJob {
  id @0 :UInt64;
}

struct ResumeJob {
  id @0 :UInt64;
}

struct ShowServer {
  # Who serves, and as whom it knows the one who asks.
}

struct FollowJob {
  # Over the network: events of this job come over this connection for a while, if it is one of the
  # caller's.

  id @0 :UInt64;
}

struct WhyJob {
  # Where a job runs, or why it does not.

  id @0 :UInt64;
}

struct ListHosts {
  # Hosts, and what runs there.
}

struct DrainHost {
  # Operators only. Nothing new goes to the host, and what is there goes elsewhere.

  host @0 :Text;
}

struct UndrainHost {
  host @0 :Text;
}

struct ContentFile {
  # A file of the caller's own, by what is in it.

  sha256 @0 :Text;
  name @1 :Text;  # Without folders.
  bytes @2 :UInt64;
}

struct OfferContent {
  # Which of these files has the daemon not got from the caller?

  files @0 :List(ContentFile);
}

struct SendContent {
  # The next part of a file, in order of offsets.

  file @0 :ContentFile;
  offset @1 :UInt64;
  bytes @2 :Data;
}

struct ExamineHost {
  # Operators only. The host is asked how it is; its link and one of its cores are tried.

  host @0 :Text;
}

struct ControlRequest {
  union {
    submit @0 :SubmitJob;
    list @1 :ListJobs;
    show @2 :ShowJob;
    logs @3 :JobLogs;
    watch @4 :WatchJob;
    cancel @5 :CancelJob;
    pause @6 :PauseJob;
    resume @7 :ResumeJob;
    showServer @8 :ShowServer;
    follow @9 :FollowJob;
    why @10 :WhyJob;
    listHosts @11 :ListHosts;
    drainHost @12 :DrainHost;
    undrainHost @13 :UndrainHost;
    offerContent @14 :OfferContent;
    sendContent @15 :SendContent;
    examineHost @16 :ExamineHost;
  }
}

struct JobSummary {
  id @0 :UInt64;
  name @1 :Text;
  state @2 :JobState;
  message @3 :Text;
  stepsDone @4 :UInt64;
  stepsTotal @5 :UInt64;
  home @6 :Text;
  weightsSha256 @7 :Text;
  money @8 :Float64;
  owner @9 :Text;  # Name of the user's key; empty: whoever may open the daemon's own sockets.
}

struct ServerFacts {
  protocol @0 :UInt32;  # Of envelope.h.
  name @1 :Text;  # Of the key that the caller showed; empty at the daemon's own sockets.
  isOperator @2 :Bool;  # The caller sees and changes everybody's jobs.
}

struct HostTenant {
  # Processes of a job on a host.

  job @0 :UInt64;
  learner @1 :UInt32;  # Ranks, which may generate as well.
  rollout @2 :UInt32;  # That do not learn.
  lent @3 :UInt32;  # Of these, what is taken back when somebody waits for it.
  verifier @4 :UInt32;
}

struct HostSummary {
  name @0 :Text;
  state @1 :Text;  # "up", "away" or "drained"
  awaySeconds @2 :Float64;  # Since when nothing is heard of it.
  slots @3 :UInt32;  # Workers with a device at a time.
  used @4 :UInt32;  # By what jobs require; those of an elastic host may be more.
  lent @5 :UInt32;
  isElastic @6 :Bool;  # Takes any one job while it is empty.
  tenants @7 :List(HostTenant);  # Whose jobs the caller may see.
  diskFreeBytes @8 :UInt64;  # Of its home's file system, when it was last heard.
}

struct HostReport {
  # How a host is, and its link to the head.

  summary @0 :HostSummary;
  address @1 :Text;
  build @2 :Text;
  arithmeticId @3 :Text;
  instructionSet @4 :Text;
  facts @5 :HostFacts;
  reading @6 :HostReading;
  clockAheadSeconds @7 :Float64;  # Of the head's, give or take ...
  clockUncertaintySeconds @8 :Float64;
  roundTripSeconds @9 :Float64;  # The shortest of several.
  bytesPerSecondThere @10 :Float64;
  bytesPerSecondBack @11 :Float64;
  failure @12 :Text;  # Why the rest is not known.
}

struct ControlReply {
  error @0 :Failure;  # Null: done.
  jobs @1 :List(JobSummary);  # submit: the one; jobs; show and the three changes: the one.
  lines @2 :List(Text);  # logs; why: the one.
  events @3 :List(Data);  # watch: encoded RunEvents.
  next @4 :UInt64;  # logs, watch, sendContent: where to go on. jobs: the next firstId, or 0.
  server @5 :ServerFacts;  # showServer; null elsewhere.
  hosts @6 :List(HostSummary);  # listHosts; drain and undrain: the one.
  lacking @7 :List(Text);  # offerContent: digests.
  report @8 :HostReport;  # examineHost; null elsewhere.
}

struct RunStarted {
  job @0 :JobSpec;
  weightsSha256 @1 :Text;
  numParameters @2 :Int64;
}

struct Progressed {
  activity @0 :Text;
  done @1 :Int64;
  total @2 :Int64;
}

struct Evaluated {
  metrics @0 :EvalMetrics;
  traces @1 :List(Trace);
}

struct Noted {
  line @0 :Text;
}

struct RunEnded {
  ledger @0 :Ledger;
  state @1 :Text;
  weightsSha256 @2 :Text;
}

struct RunEvent {
  # What a run tells those who watch it.

  job @0 :UInt64;
  sequence @1 :UInt64;  # 1, 2, ... within a job and a run of the daemon.
  seconds @2 :Float64;  # Since the job began to run, on the daemon's clock.

  union {
    started @3 :RunStarted;
    progressed @4 :Progressed;
    stepped @5 :StepMetrics;
    evaluated @6 :Evaluated;
    sampled @7 :RunSample;
    noted @8 :Noted;
    ended @9 :RunEnded;
  }
}
