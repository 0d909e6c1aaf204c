@0xb1d4a7c35e0f9826;
# What the head and the ranks of a learner's team say to each other; each struct that team.h names
# as a message is the payload of an Envelope.
#
# Evolution: append fields with the next ordinal; a reader that meets an older message sees the
# default. Never renumber, retype or reuse an ordinal, and never rename a message or move it to
# another file, because that changes its type id.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::wire");

using GroupId = import "records.capnp".GroupId;
using PointPolicy = import "records.capnp".PointPolicy;
using Stage = import "metrics.capnp".Stage;

struct TeamSeat {
  # A rank's place in its team for as long as that lasts. Secret but for the public keys.

  rank @0 :UInt32;
  epoch @1 :UInt64;  # Of the team.
  address @2 :Text;  # Where it is to be reached: "ipc:///a/folder".
  publicKeys @3 :List(Text);  # Of all ranks, by rank; empty: it is alone.
  secretKey @4 :Text;  # Of this rank.
  token @5 :Text;  # What ranks of one host show.
}

struct RankSeated {
  endpoint @0 :Text;  # Where the others reach it.
}

struct JoinTeam {
  endpoints @0 :List(Text);  # By rank.
}

struct SequenceFacts {
  # Of any sequence of a minibatch, which all ranks are told.

  numTokens @0 :UInt32;  # It fixes how the minibatch is packed.
  numLearned @1 :UInt32;  # Of these.
  stalenessMean @2 :Float64;  # In steps, over the learned tokens.
  stalenessMax @3 :UInt32;
}

struct SequenceToLearn {
  # A demonstration, or a trajectory with what its group's rewards make of it.

  index @0 :UInt32;  # In the minibatch.
  tokens @1 :List(Int32);
  lossMask @2 :Data;  # One byte per token: 0 or 1.
  tokenWeight @3 :Float64;  # Of each learned token in the loss.
  group @4 :GroupId;  # Of a trajectory, like all that follow.
  sample @5 :UInt32;
  rolloutLogprobs @6 :List(Float32);  # One per token, or none.
  advantage @7 :Float64;
  isRescored @8 :Bool;  # Before: compare its log-probabilities bit by bit, or fail.
}

struct LearnShare {
  # One optimizer step, as one rank is told of it.

  version @0 :UInt64;  # After the step; the learner must be at the one before.
  stage @1 :Stage;
  learningRate @2 :Float64;
  balanceBiasRate @3 :Float64;
  beginsStage @4 :Bool;  # Before: moments start again, the reference is the current.
  refreshesReference @5 :Bool;  # After: the reference becomes the new version.
  beginsRound @6 :Bool;  # Before: what earlier rounds left to be learned is forgotten.
  advantageAbsMean @7 :Float64;  # Of the minibatch.
  sequences @8 :List(SequenceFacts);  # Of the minibatch, in order.
  own @9 :List(SequenceToLearn);  # Those that this rank learns, in order.
  later @10 :List(SequenceToLearn);  # That it will learn in this round: to be scored before.
}

struct PointFile {
  # A file of a recovery point, by its name in the point's folder.

  name @0 :Text;
  sha256 @1 :Text;
}

struct PointWritten {
  # A rank's files of a recovery point are on the disk.

  version @0 :UInt64;
  weightsSha256 @1 :Text;  # Of the published weights, of which all ranks have all.
  policies @2 :List(PointPolicy);  # From the rank that writes them.
  files @3 :List(PointFile);
  coreSeconds @4 :Float64;
}
