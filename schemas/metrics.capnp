@0xfd7759169ac243f4;
# What a run reports about itself. Times are durations; numbers that are not finite are reported as
# they are.
#
# Evolution: append fields with the next ordinal; a reader that meets an older message sees the
# default. Never renumber, retype or reuse an ordinal or an enumerant, because stored steps
# outlive programs.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::wire");

struct StepMetrics {
  # One optimizer step. Fields of the other stage are 0.

  stage @0 :Stage;
  version @1 :UInt64;  # After the step.
  stageStep @2 :Int64;  # 1 .. stage_steps
  stageSteps @3 :Int64;
  loss @4 :Float64;  # loss
  gradNorm @5 :Float64;  # grad_norm, before clipping
  learningRate @6 :Float64;  # lr
  wasSkipped @7 :Bool;  # Non-finite gradient or empty minibatch: the weights did not move.
  wasFinite @8 :Bool = true;  # The gradient, where there was one.
  tokensLearned @9 :Int64;  # Tokens that went through forward and backward, prompts included.
  expertLoadMaxViolation @10 :Float64;  # moe/max_vio: largest expert load / fair load - 1

  # GRPO, over the round that the step belongs to.
  round @11 :UInt64;
  rewardMean @12 :Float64;  # reward/mean
  rewardStd @13 :Float64;  # reward/std
  accuracy @14 :Float64;  # accuracy: share of trajectories whose accuracy part is right
  formatShare @15 :Float64;  # share of trajectories whose format part is right
  thinkingShare @16 :Float64;  # share of responses with a non-empty think part
  responseLengthMean @17 :Float64;  # response_length/mean, tokens, the end token included
  responseLengthClipped @18 :Float64;  # response_length/clip_ratio: share cut at the budget
  fracRewardZeroStd @19 :Float64;  # frac_reward_zero_std: groups without variance

  # GRPO, over the minibatch.
  entropy @20 :Float64;  # entropy, nats per response token
  kl @21 :Float64;  # kl: estimator's mean per token against the reference
  ppoKl @22 :Float64;  # ppo_kl: mean of rollout_logprob - logprob
  clipFraction @23 :Float64;  # clip_ratio/region_mean
  ratioMax @24 :Float64;  # largest importance ratio
  advantageAbsMean @25 :Float64;

  # Seconds of wall clock; reported, never used in a result.
  generateSeconds @26 :Float64;  # timing_s/gen, of the round, on its first step
  verifySeconds @27 :Float64;  # timing_s/reward
  learnSeconds @28 :Float64;  # timing_s/update_actor
  tokensGenerated @29 :Int64;  # Of the round, on its first step.

  # Over the round.
  rewardValues @30 :List(NamedValue);  # rewards/NAME/mean: value by part, unweighted
  verdicts @31 :List(NamedCount);  # By "NAME/KIND".

  # Over the minibatch: how far the policy is from the ones that wrote the responses. Lengths are
  # buckets of response tokens, "0-63", "64-127", "128-255", ...
  stalenessStepsMean @32 :Float64;  # Of trajectories, each by its tokens.
  stalenessStepsMax @33 :Int64;  # Of the oldest token.
  stalenessStepsByLength @34 :List(NamedValue);  # Mean of trajectories.
  logRatioAbsByLength @35 :List(NamedValue);  # Mean |logprob - rollout_logprob| of tokens.
  importanceWeightMean @36 :Float64;  # These three of the off-policy correction, 0 without one.
  importanceWeightMax @37 :Float64;
  importanceTruncatedShare @38 :Float64;  # Of tokens whose weight was above the cap.
}

struct NamedValue {
  # A name occurs once in a list.

  name @0 :Text;
  value @1 :Float64;
}

enum Stage {
  sft @0;
  grpo @1;
}

struct EvalMetrics {
  # pass@1 on the held-out problems: one sample per problem.

  version @0 :UInt64;
  temperature @1 :Float64;
  problems @2 :Int64;
  solved @3 :Int64;
  responseLengthMean @4 :Float64;
  thinkingShare @5 :Float64;
  seconds @6 :Float64;
  tokensGenerated @7 :Int64;
}

struct Trace {
  # A response as people see it.

  prompt @0 :Text;
  response @1 :Text;
  gold @2 :Text;
  isSolved @3 :Bool;
}

struct Ledger {
  # Totals of a run; what a bill is made of.

  tokensGenerated @0 :Int64;
  tokensRegenerated @1 :Int64;
  tokensLearned @2 :Int64;
  trajectoriesGenerated @3 :Int64;
  trajectoriesRegenerated @4 :Int64;
  trajectoriesLearned @5 :Int64;
  trajectoriesDropped @6 :List(NamedCount);  # By reason.
  verdicts @7 :List(NamedCount);  # By kind, accuracy part; infra_error whatever became of it.
  stepsRedone @8 :Int64;  # Learned again after a learner was lost, to the same bits.
  workersLost @9 :Int64;
  rolloutSeconds @10 :Float64;  # core-seconds
  verifierSeconds @11 :Float64;  # core-seconds
  learnerSeconds @12 :Float64;  # core-seconds
  wastedSeconds @13 :Float64;  # Of the three above: work that was lost and done again.
  money @14 :Float64;  # In the currency of [prices].
  tokensKept @15 :Int64;  # Of groups that were lost, and not generated again.
}

struct NamedCount {
  # A name occurs once in a list.

  name @0 :Text;
  count @1 :Int64;
}

struct WorkerStatus {
  # What a worker process is and does.

  slot @0 :UInt32;
  roles @1 :Text;  # "rollout+learner"
  activity @2 :Text;  # "generating 64 groups", "starting", "lost: killed by signal 9"
  pid @3 :UInt64;
  epoch @4 :UInt64;  # Of its lease; each new process of a slot gets a higher one.
  isReady @5 :Bool;
  rank @6 :UInt32;  # Of a learner of several ranks, like the rest.
  numRanks @7 :UInt32 = 1;
  teamBytes @8 :UInt64;  # That it has sent to the others.
  tokensGenerated @9 :UInt64;  # Of its slot, since the head that says so began.
}

struct RunSample {
  # The state of a run between its events, for people who watch: workers, queues, bill.

  workers @0 :List(WorkerStatus);
  groupsWaiting @1 :Int64;  # For a rollout worker.
  groupsGenerating @2 :Int64;  # Held by one.
  groupsJudging @3 :Int64;  # Waiting for or held by a verifier.
  groupsCommitting @4 :Int64;  # On their way into the store.
  stepsLearning @5 :Int64;  # Given to the learner.
  rolloutBusyShare @6 :Float64;  # Of the role's workers, since the sample before.
  verifierBusyShare @7 :Float64;
  learnerBusyShare @8 :Float64;
  verdictsPerSecond @9 :Float64;  # Since the sample before.
  ledger @10 :Ledger;
}
