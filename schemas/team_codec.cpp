#include <fmt/format.h>

#include <algorithm>

#include "schemas/bounds.h"
#include "schemas/metrics_wire.h"
#include "schemas/records_wire.h"
#include "schemas/team_wire.h"
#include "schemas/trajectory_codec.h"
#include "schemas/trajectory_wire.h"

namespace troupe {

void to_wire(wire::TeamSeat::Builder to, const TeamSeat& from) {
  to.setRank(from.rank);
  to.setEpoch(from.epoch);
  to.setAddress(wire::to_text(from.address, kNameBytesMax));
  wire::to_texts(to.initPublicKeys(wire::to_size(from.public_keys, kRanksMax)), from.public_keys,
                 kNameBytesMax);
  to.setSecretKey(wire::to_text(from.secret_key, kNameBytesMax));
  to.setToken(wire::to_text(from.token, kNameBytesMax));
}

TeamSeat from_wire(wire::TeamSeat::Reader from, FieldReader& fields) {
  return {
      .rank = from.getRank(),
      .epoch = from.getEpoch(),
      .address = fields.text(from.getAddress(), kNameBytesMax, "address"),
      .public_keys = fields.texts(from.getPublicKeys(), kRanksMax, kNameBytesMax, "public_keys"),
      .secret_key = fields.text(from.getSecretKey(), kNameBytesMax, "secret_key"),
      .token = fields.text(from.getToken(), kNameBytesMax, "token"),
  };
}

void to_wire(wire::RankSeated::Builder to, const RankSeated& from) {
  to.setEndpoint(wire::to_text(from.endpoint, kNameBytesMax));
}

RankSeated from_wire(wire::RankSeated::Reader from, FieldReader& fields) {
  return {.endpoint = fields.text(from.getEndpoint(), kNameBytesMax, "endpoint")};
}

void to_wire(wire::JoinTeam::Builder to, const JoinTeam& from) {
  wire::to_texts(to.initEndpoints(wire::to_size(from.endpoints, kRanksMax)), from.endpoints,
                 kNameBytesMax);
}

JoinTeam from_wire(wire::JoinTeam::Reader from, FieldReader& fields) {
  return {.endpoints = fields.texts(from.getEndpoints(), kRanksMax, kNameBytesMax, "endpoints")};
}

void to_wire(wire::SequenceFacts::Builder to, const SequenceFacts& from) {
  to.setNumTokens(from.num_tokens);
  to.setNumLearned(from.num_learned);
  to.setStalenessMean(from.staleness_mean);
  to.setStalenessMax(from.staleness_max);
}

SequenceFacts from_wire(wire::SequenceFacts::Reader from, FieldReader& fields) {
  const SequenceFacts facts{
      .num_tokens = from.getNumTokens(),
      .num_learned = from.getNumLearned(),
      .staleness_mean = from.getStalenessMean(),
      .staleness_max = from.getStalenessMax(),
  };
  if (facts.num_tokens > kTrajectoryTokensMax || facts.num_learned > facts.num_tokens) {
    fields.refuse(fmt::format("a sequence of {} tokens, {} of them learned", facts.num_tokens,
                              facts.num_learned));
  }
  return facts;
}

void to_wire(wire::SequenceToLearn::Builder to, const SequenceToLearn& from) {
  TROUPE_CHECK(from.loss_mask.size() == from.tokens.size());
  TROUPE_CHECK(from.rollout_logprobs.empty() || from.rollout_logprobs.size() == from.tokens.size());
  to.setIndex(from.index);
  to.setTokens(wire::to_list(from.tokens, kTrajectoryTokensMax));
  to.setLossMask(wire::to_list(from.loss_mask, kTrajectoryTokensMax));
  to.setTokenWeight(from.token_weight);
  to_wire(to.initGroup(), from.id.group);
  to.setSample(from.id.sample);
  to.setRolloutLogprobs(wire::to_list(from.rollout_logprobs, kTrajectoryTokensMax));
  to.setAdvantage(from.advantage);
  to.setIsRescored(from.is_rescored);
}

SequenceToLearn from_wire(wire::SequenceToLearn::Reader from, FieldReader& fields) {
  SequenceToLearn sequence{
      .index = from.getIndex(),
      .tokens = tokens_from_wire(from.getTokens(), "tokens", fields),
      .loss_mask = fields.numbers<uint8_t>(from.getLossMask(), kTrajectoryTokensMax, "loss_mask"),
      .token_weight = from.getTokenWeight(),
      .id = {from_wire(from.getGroup(), fields), from.getSample()},
      .rollout_logprobs = fields.numbers<float>(from.getRolloutLogprobs(), kTrajectoryTokensMax,
                                                "rollout_logprobs"),
      .advantage = from.getAdvantage(),
      .is_rescored = from.getIsRescored(),
  };
  const std::vector<uint8_t>& mask = sequence.loss_mask;
  const size_t num_logprobs = sequence.rollout_logprobs.size();
  if (mask.size() != sequence.tokens.size() ||
      (num_logprobs != 0 && num_logprobs != sequence.tokens.size())) {
    fields.refuse(fmt::format("{} loss_mask entries and {} logprobs for {} tokens", mask.size(),
                              num_logprobs, sequence.tokens.size()));
  }
  if (std::any_of(mask.begin(), mask.end(), [](uint8_t m) { return m > 1; })) {
    fields.refuse("a loss_mask is neither 0 nor 1");
  }
  return sequence;
}

void to_wire(wire::LearnShare::Builder to, const LearnShare& from) {
  to.setVersion(number(from.version));
  to.setStage(wire::to_enumerator<wire::Stage>(from.stage, Stage::kGrpo));
  to.setLearningRate(from.learning_rate);
  to.setBalanceBiasRate(from.balance_bias_rate);
  to.setBeginsStage(from.begins_stage);
  to.setRefreshesReference(from.refreshes_reference);
  to.setBeginsRound(from.begins_round);
  to.setAdvantageAbsMean(from.advantage_abs_mean);
  wire::to_structs(to.initSequences(wire::to_size(from.sequences, kStepSequencesMax)),
                   from.sequences);
  wire::to_structs(to.initOwn(wire::to_size(from.own, kStepSequencesMax)), from.own);
  wire::to_structs(to.initLater(wire::to_size(from.later, kStepSequencesMax)), from.later);
}

LearnShare from_wire(wire::LearnShare::Reader from, FieldReader& fields) {
  return {
      .version = PolicyVersion{from.getVersion()},
      .stage = fields.enumerator<Stage>(from.getStage(), wire::Stage::GRPO, "stage"),
      .learning_rate = from.getLearningRate(),
      .balance_bias_rate = from.getBalanceBiasRate(),
      .begins_stage = from.getBeginsStage(),
      .refreshes_reference = from.getRefreshesReference(),
      .begins_round = from.getBeginsRound(),
      .advantage_abs_mean = from.getAdvantageAbsMean(),
      .sequences =
          fields.structs<SequenceFacts>(from.getSequences(), kStepSequencesMax, "sequences"),
      .own = fields.structs<SequenceToLearn>(from.getOwn(), kStepSequencesMax, "own"),
      .later = fields.structs<SequenceToLearn>(from.getLater(), kStepSequencesMax, "later"),
  };
}

void to_wire(wire::PointFile::Builder to, const PointFile& from) {
  to.setName(wire::to_text(from.name, kNameBytesMax));
  to.setSha256(wire::to_text(from.sha256, kNameBytesMax));
}

PointFile from_wire(wire::PointFile::Reader from, FieldReader& fields) {
  return {
      .name = fields.text(from.getName(), kNameBytesMax, "name"),
      .sha256 = fields.text(from.getSha256(), kNameBytesMax, "sha256"),
  };
}

void to_wire(wire::PointWritten::Builder to, const PointWritten& from) {
  to.setVersion(number(from.version));
  to.setWeightsSha256(wire::to_text(from.weights_sha256, kNameBytesMax));
  wire::to_structs(to.initPolicies(wire::to_size(from.policies, kPointPoliciesMax)), from.policies);
  wire::to_structs(to.initFiles(wire::to_size(from.files, kPointFilesMax)), from.files);
  to.setCoreSeconds(from.core_seconds);
}

PointWritten from_wire(wire::PointWritten::Reader from, FieldReader& fields) {
  return {
      .version = PolicyVersion{from.getVersion()},
      .weights_sha256 = fields.text(from.getWeightsSha256(), kNameBytesMax, "weights_sha256"),
      .policies = fields.structs<PointPolicy>(from.getPolicies(), kPointPoliciesMax, "policies"),
      .files = fields.structs<PointFile>(from.getFiles(), kPointFilesMax, "files"),
      .core_seconds = from.getCoreSeconds(),
  };
}

}  // namespace troupe
