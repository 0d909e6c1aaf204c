@0xed4e9017dab33f24;
# What a job is: the job file's tables and keys. Paths are those of the host that runs the job.
#
# Evolution: append fields with the next ordinal; a reader that meets an older message sees the
# default, which is that of a missing key and the same as in job.h. Never renumber, retype or reuse
# an ordinal, because stored jobs outlive programs.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::wire");

struct PolicySpec {
  config @0 :Text = "tiny-moe";  # A named architecture with fresh weights ...
  model @1 :Text;  # ... or a folder with a checkpoint; exactly one of the two.
  attentionForm @2 :Text = "latent";
}

struct DataSpec {
  train @0 :Text;
  coldStart @1 :List(Text);  # One file, or several that are learned one after another.
  heldOut @2 :Text;
  templateName @3 :Text = "r1-zero";  # Key: template.
  shuffle @4 :Bool = true;
  maxPromptTokens @5 :Int64 = 128;
  promptColumn @6 :Text;  # Empty: found by name.
  answerColumn @7 :Text;
}

struct SftSpec {
  steps @0 :Int64;
  batchTokens @1 :Int64 = 8192;
  learningRate @2 :Float64 = 1e-3;
  learningRateSchedule @3 :Text = "constant";  # constant | cosine, after the warm-up.
  learningRateFinalFraction @4 :Float64 = 0.1;  # Cosine ends at this share of learning_rate.
  partShares @5 :List(Float64);  # Share of `steps` for each cold_start file; empty: equal.
  # A part but the last goes on until greedy pass@1 on the held-out problems reaches this, with
  # steps that the next part lends, at most half of its own; 0: no gate.
  gatePassAt1 @6 :Float64;
  hasBalanceBiasRate @7 :Bool;
  balanceBiasRate @8 :Float64;  # Overrides learner.balance_bias_rate in this stage.
}

struct GrpoSpec {
  steps @0 :Int64;
  promptsPerRound @1 :Int64 = 32;
  groupSize @2 :Int64 = 16;
  minibatchesPerRound @3 :Int64 = 1;
  learningRate @4 :Float64 = 1e-4;
  clipLow @5 :Float64 = 0.2;
  clipHigh @6 :Float64 = 0.2;
  klCoef @7 :Float64 = 0.001;
  klEstimator @8 :Text = "k3";
  referenceRefreshSteps @9 :Int64 = 400;
  advantage @10 :Text = "group_normalised";
  lossAggregation @11 :Text = "sequence_mean_token_mean";
  zeroVarianceGroups @12 :Text = "keep";  # keep | drop | replace
  replacementRoundsMax @13 :Int64 = 4;
  offPolicyCorrection @14 :Text = "none";  # none | decoupled | truncated
  importanceCap @15 :Float64 = 2.0;  # Largest importance weight; truncated only.
}

struct OptimizerSpec {
  beta1 @0 :Float64 = 0.9;  # Key: betas = [beta1, beta2].
  beta2 @1 :Float64 = 0.95;
  epsilon @2 :Float64 = 1e-8;
  weightDecay @3 :Float64;
  gradientClip @4 :Float64 = 1.0;
  warmupSteps @5 :Int64 = 10;
  nonFiniteStepsMax @6 :Int64 = 5;  # This many skipped steps in a row stop the job.
}

struct RolloutSpec {
  temperature @0 :Float64 = 1.0;
  topP @1 :Float64 = 1.0;
  maxResponseTokens @2 :Int64 = 96;
  cacheMb @3 :Int64 = 512;
  rescoreEveryRounds @4 :Int64 = 10;
  # Re-score a sample of tokens with the training forward; 0: no.
  segmentTokens @5 :Int64;
  # A response that is longer is recorded in parts of so many tokens while it is generated; 0: no.
}

struct LearnerSpec {
  microbatchTokens @0 :Int64 = 8192;
  gradientLanes @1 :Int64 = 4;
  expertParallel @2 :Int64 = 1;
  balanceBiasRate @3 :Float64;
  recomputeActivations @4 :Bool;
  laneWidth @5 :Int64 = 1;  # Micro-batches of a lane's wave.
}

struct RewardSetting {
  # A key of a reward that its verifier defines.

  key @0 :Text;
  value :union {
    truth @1 :Bool;
    number @2 :Float64;
    text @3 :Text;
    texts @4 :List(Text);
  }
}

struct RewardFile {
  # A file that a reward's program needs.

  name @0 :Text;  # Without folders.
  content @1 :Data;
}

struct RewardSpec {
  name @0 :Text;  # The key under [rewards].
  verifier @1 :Text;
  weight @2 :Float64 = 1.0;
  settings @3 :List(RewardSetting);  # Those that are set, in byte order of distinct keys.
  files @4 :List(RewardFile);
}

struct ScheduleSpec {
  mode @0 :Text = "sync";
  lag @1 :Int64;
  stalenessMaxSteps @2 :Int64 = 16;
  checkpointEverySteps @3 :Int64 = 20;
  checkpointsKept @4 :Int64 = 3;
  keepBest @5 :Bool;
  keepGroups @6 :Bool;
  checkpointCopies @7 :Int64 = 2;  # On different hosts, where there are some.
}

struct EvalSpec {
  everySteps @0 :Int64 = 20;
  problems @1 :Int64 = 500;
  temperature @2 :Float64;
}

struct ResourcesSpec {
  placement @0 :Text = "colocated";
  rollout @1 :Int64 = 1;
  learner @2 :Int64 = 1;
  verifier @3 :Int64 = 1;  # 0: one per core.
  threadsPerWorker @4 :Int64;  # 0: the machine's cores shared out.
  reconnectSeconds @5 :Int64 = 30;  # Workers without a learner wait so long for another head.
  rolloutMax @6 :Int64;  # While slots are idle; 0: as many as rollout.
  tracesKeptMib @7 :Int64 = 64;  # Of responses that people can read afterwards; 0: none.
  device @8 :Text = "cpu";  # Of learner and rollouts: cpu, cuda, or auto.
}

struct PricesSpec {
  cpuCoreHour @0 :Float64 = 0.04;
  gpuHour @1 :Float64 = 2.0;
}

struct JobSpec {
  name @0 :Text = "job";
  seed @1 :UInt64 = 1;
  policy @2 :PolicySpec;
  data @3 :DataSpec;
  sft @4 :SftSpec;
  grpo @5 :GrpoSpec;
  optimizer @6 :OptimizerSpec;
  rollout @7 :RolloutSpec;
  learner @8 :LearnerSpec;
  rewards @9 :List(RewardSpec);
  schedule @10 :ScheduleSpec;
  eval @11 :EvalSpec;
  resources @12 :ResourcesSpec;
  prices @13 :PricesSpec;
  priority @14 :Int64;  # Of two jobs that wait, the one with the higher number begins first.
}
