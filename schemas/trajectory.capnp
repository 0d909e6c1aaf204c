@0xa48f9a786190b744;
# One prompt and one response on their way between a rollout worker, a verifier, the replay store
# and a learner.
#
# Evolution: append fields with the next ordinal; a reader that meets an older message sees the
# default. Never renumber, retype or reuse an ordinal or an enumerant, because stored trajectories
# outlive programs.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::wire");

struct Trajectory {
  round @0 :UInt64;
  ordinal @1 :UInt32;
  sample @2 :UInt32;
  # (round, ordinal) is the group, the unit of advantage normalisation.

  promptIndex @3 :UInt64;
  # Row of the training file.

  tokens @4 :List(Int32);
  # Prompt and response.

  lossMask @5 :Data;
  # One byte per token: 1 where the policy chose it, 0 where it was given.

  rolloutLogprobs @6 :List(Float32);
  # Natural log-probability of each token under the sampling policy at the rollout's temperature,
  # before top-p; 0 where lossMask is 0.

  segments @7 :List(Segment);
  # Cover the tokens in order, without gaps.

  versions @8 :List(VersionRange);
  # Cover the tokens with lossMask 1, and no others, in order.

  finishReason @9 :FinishReason;

  verdict @10 :List(VerdictPart);
  # Empty until a verifier has spoken.
}

struct Segment {
  role @0 :SegmentRole;
  begin @1 :UInt32;
  end @2 :UInt32;
}

enum SegmentRole {
  prompt @0;
  policy @1;
  environment @2;
}

struct VersionRange {
  version @0 :UInt64;
  begin @1 :UInt32;
  end @2 :UInt32;
}

enum FinishReason {
  stop @0;       # Sampled a stop token.
  length @1;     # Hit the token budget.
  aborted @2;    # Cut off by a shutdown. Never learned.
}

struct VerdictPart {
  name @0 :Text;
  kind @1 :UInt8;
  # A number of VerdictKind in schemas/verdict.h: its values have gaps, which an enum here cannot.
  value @2 :Float32;
  weight @3 :Float32;
  reason @4 :Text;
}
