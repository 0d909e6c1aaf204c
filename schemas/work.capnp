@0xe4960e4a228b67be;
# What the head and a worker say to each other: each struct that work.h names as a message is the
# payload of an Envelope, and the struct's type id is the envelope's `schema`. Those of a learner's
# team alone are in team.capnp.
#
# Evolution: append fields with the next ordinal; a reader that meets an older message sees the
# default. Never renumber, retype or reuse an ordinal or an enumerant, and never rename a message or
# move it to another file, because that changes its type id.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::wire");

using Failure = import "result.capnp".Failure;
using FinishReason = import "trajectory.capnp".FinishReason;
using GroupId = import "records.capnp".GroupId;
using JobSpec = import "job.capnp".JobSpec;
using PointRecord = import "records.capnp".PointRecord;
using ResponseSegment = import "records.capnp".ResponseSegment;
using StepMetrics = import "metrics.capnp".StepMetrics;
using TeamSeat = import "team.capnp".TeamSeat;
using VerdictPart = import "trajectory.capnp".VerdictPart;
using VersionRange = import "trajectory.capnp".VersionRange;

struct Roles {
  # Roles that a worker plays; several in one process share its weights.

  rollout @0 :Bool;
  learner @1 :Bool;
  verifier @2 :Bool;
}

struct Hello {
  slot @0 :UInt32;
  token @1 :Text;  # Given to the process when it was started.
  pid @2 :UInt64;
  arithmeticId @3 :Text;  # "cpu-1"
  instructionSet @4 :Text;  # "avx512"; another one gives the same bits.
  cores @5 :UInt32;
  holds @6 :List(HeldGroup);  # Of a rollout that has outlived its head.
}

struct HeldGroup {
  id @0 :GroupId;
  purpose @1 :GroupPurpose;
}

struct WorkerReady {
  # The lease is taken and everything that it asks for is in memory.

  version @0 :UInt64;  # Of the learner, or else that the rollout has loaded.
  weightsSha256 @1 :Text;  # Of these weights when published; empty: there are none.
  numParameters @2 :Int64;
}

struct Heartbeat {
  beat @0 :UInt64;  # 1, 2, ... within a lease.
  requestId @1 :UInt64;  # What it works on; 0: nothing.
  sequencesDone @2 :Int64;  # Of the groups that it generates.
  sequencesTotal @3 :Int64;
  waitsFor @4 :Text;  # What it needs to go on, e.g. room on a disk, for people; empty: nothing.
  operation @5 :Text;  # That its team is at; empty: none.
  waitsForRank @6 :Int32 = -1;  # Of the team; -1: nobody.
  teamBytes @7 :UInt64;  # That it has sent to its team.
}

struct SampledResponse {
  tokens @0 :List(Int32);  # The stop token included, when one was sampled.
  logprobs @1 :List(Float32);  # Of each token, at the sampling temperature, before top-p.
  finishReason @2 :FinishReason;
  versions @3 :List(VersionRange);  # Empty: all tokens are by the group's version.
}

enum GroupPurpose {
  train @0;       # id.round is the round.
  evaluate @1;    # id.round is the policy version; another stream of random numbers.
}

struct GeneratedGroup {
  id @0 :GroupId;
  purpose @1 :GroupPurpose;
  version @2 :UInt64;
  responses @3 :List(SampledResponse);
}

struct GroupsGenerated {
  # Some groups of a GenerateGroups; `is_last` ends it.

  groups @0 :List(GeneratedGroup);
  isLast @1 :Bool;
  coreSeconds @2 :Float64;  # Since the request's last message.
  segments @3 :List(ResponseSegment);  # Of groups that are not finished, in order.
}

struct Verdict {
  parts @0 :List(VerdictPart);
}

struct JudgedGroup {
  id @0 :GroupId;
  purpose @1 :GroupPurpose;
  verdicts @2 :List(Verdict);  # One per response.
}

struct GroupsJudged {
  groups @0 :List(JudgedGroup);
  coreSeconds @1 :Float64;
}

struct StepLearned {
  metrics @0 :StepMetrics;  # The learner's fields; `version` is after the step.
  coreSeconds @1 :Float64;
  digest @2 :Text;  # Of the gradient.
}

struct PolicyPublished {
  # A file with the published weights of a version is there, for workers of the same host to map.

  version @0 :UInt64;
  path @1 :Text;
  weightsSha256 @2 :Text;
}

struct PolicyLoaded {
  version @0 :UInt64;
  weightsSha256 @1 :Text;
}

struct WorkFailed {
  # The request cannot be done: a bug or the device, not the model's text. kInvalidArgument and
  # kCorruption fail the job; anything else counts as an attempt.

  error @0 :Failure;
}

struct Lease {
  slot @0 :UInt32;
  roles @1 :Roles;
  rolloutThreads @2 :UInt32 = 1;
  learnerThreads @3 :UInt32 = 1;
  job @4 :JobSpec;
  contextMax @5 :Int64;  # Longest prompt and response together.
  pointPath @6 :Text;  # The learner starts from this recovery point; empty: fresh weights.
  point @7 :PointRecord;  # What the point must be.
  verifierThreads @8 :UInt32 = 1;
  trustedPrograms @9 :List(TrustedProgram);
  seat @10 :TeamSeat;  # Of a learner.
}

struct TrustedProgram {
  # A verifier's program that runs without a sandbox, because whoever runs the head says so.

  name @0 :Text;
  path @1 :Text;
}

struct PromptGroup {
  id @0 :GroupId;
  purpose @1 :GroupPurpose;
  prompt @2 :List(Int32);
  numSamples @3 :UInt32 = 1;
  begun @4 :List(ResponseSegment);  # Goes on from these, at most one for each sample.
}

struct GenerateGroups {
  version @0 :UInt64;
  temperature @1 :Float32 = 1;
  topP @2 :Float32 = 1;
  maxResponseTokens @3 :Int64;
  groups @4 :List(PromptGroup);
  stopTokens @5 :List(Int32);  # Each ends a response.
  segmentTokens @6 :Int64;  # Of a training group, those that are under way are told in such parts.
}

struct HeadChanged {
  # Another head listens: it is to be told who is here.
}

struct CancelGeneration {
  # Generation of this and of every earlier request id is given up; nothing more is sent for it.
}

struct GroupToJudge {
  id @0 :GroupId;
  purpose @1 :GroupPurpose;
  gold @2 :Text;
  responses @3 :List(Text);  # Text, without the end token.
  prompt @4 :Text;  # The question as text.
  numTokens @5 :List(UInt32);  # Of each response, the end token included.
  isTruncated @6 :List(Bool);  # Of each response: it ended by the limit.
}

struct JudgeGroups {
  groups @0 :List(GroupToJudge);
}

struct PublishPolicy {
  version @0 :UInt64;  # Must be the learner's current one.
  path @1 :Text;
}

struct LoadPolicy {
  version @0 :UInt64;
  path @1 :Text;
  weightsSha256 @2 :Text;
}

struct PolicyFile {
  # A file with published weights.

  version @0 :UInt64;
  path @1 :Text;
}

struct SavePoint {
  version @0 :UInt64;  # Must be the learner's current one.
  folder @1 :Text;  # Whoever asked has made it, and renames it.
  policies @2 :List(PolicyFile);  # To be kept in the point.
}
