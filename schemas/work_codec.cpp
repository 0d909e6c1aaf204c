// The messages of work.capnp, each written and read side by side, in the schema's order: one file,
// as long as the schema is, so that a field that is written and not read is seen.
#include "schemas/work_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "schemas/bounds.h"
#include "schemas/check.h"
#include "schemas/envelope_codec.h"
#include "schemas/job_wire.h"
#include "schemas/metrics_wire.h"
#include "schemas/records_wire.h"
#include "schemas/result_wire.h"
#include "schemas/team_wire.h"
#include "schemas/trajectory_codec.h"
#include "schemas/trajectory_wire.h"
#include "schemas/wire.h"
#include "schemas/work.capnp.h"

namespace troupe {

// Not in an unnamed namespace, because wire.h finds these by their arguments.

void to_wire(wire::Roles::Builder to, const Roles& from) {
  to.setRollout(from.rollout);
  to.setLearner(from.learner);
  to.setVerifier(from.verifier);
}

Roles from_wire(wire::Roles::Reader from, FieldReader&) {
  return {
      .rollout = from.getRollout(),
      .learner = from.getLearner(),
      .verifier = from.getVerifier(),
  };
}

void to_wire(wire::HeldGroup::Builder to, const HeldGroup& from) {
  to_wire(to.initId(), from.id);
  to.setPurpose(wire::to_enumerator<wire::GroupPurpose>(from.purpose, GroupPurpose::kEvaluate));
}

HeldGroup from_wire(wire::HeldGroup::Reader from, FieldReader& fields) {
  return {
      .id = from_wire(from.getId(), fields),
      .purpose = fields.enumerator<GroupPurpose>(from.getPurpose(), wire::GroupPurpose::EVALUATE,
                                                 "purpose"),
  };
}

void to_wire(wire::Hello::Builder to, const Hello& from) {
  to.setSlot(from.slot);
  to.setToken(wire::to_text(from.token, kNameBytesMax));
  to.setPid(from.pid);
  to.setArithmeticId(wire::to_text(from.arithmetic_id, kNameBytesMax));
  to.setInstructionSet(wire::to_text(from.instruction_set, kNameBytesMax));
  to.setCores(from.cores);
  wire::to_structs(to.initHolds(wire::to_size(from.holds, kStepGroupsMax)), from.holds);
}

Hello from_wire(wire::Hello::Reader from, FieldReader& fields) {
  return {
      .slot = from.getSlot(),
      .token = fields.text(from.getToken(), kNameBytesMax, "token"),
      .pid = from.getPid(),
      .arithmetic_id = fields.text(from.getArithmeticId(), kNameBytesMax, "arithmetic_id"),
      .instruction_set = fields.text(from.getInstructionSet(), kNameBytesMax, "instruction_set"),
      .cores = from.getCores(),
      .holds = fields.structs<HeldGroup>(from.getHolds(), kStepGroupsMax, "holds"),
  };
}

void to_wire(wire::WorkerReady::Builder to, const WorkerReady& from) {
  to.setVersion(number(from.version));
  to.setWeightsSha256(wire::to_text(from.weights_sha256, kNameBytesMax));
  to.setNumParameters(from.num_parameters);
}

WorkerReady from_wire(wire::WorkerReady::Reader from, FieldReader& fields) {
  return {
      .version = PolicyVersion{from.getVersion()},
      .weights_sha256 = fields.text(from.getWeightsSha256(), kNameBytesMax, "weights_sha256"),
      .num_parameters = from.getNumParameters(),
  };
}

void to_wire(wire::Heartbeat::Builder to, const Heartbeat& from) {
  to.setBeat(from.beat);
  to.setRequestId(from.request_id);
  to.setSequencesDone(from.sequences_done);
  to.setSequencesTotal(from.sequences_total);
  to.setWaitsFor(wire::to_text(wire::cut(from.waits_for), kTextBytesMax));
  to.setOperation(wire::to_text(from.operation, kNameBytesMax));
  to.setWaitsForRank(from.waits_for_rank);
  to.setTeamBytes(from.team_bytes);
}

Heartbeat from_wire(wire::Heartbeat::Reader from, FieldReader& fields) {
  return {
      .beat = from.getBeat(),
      .request_id = from.getRequestId(),
      .sequences_done = from.getSequencesDone(),
      .sequences_total = from.getSequencesTotal(),
      .waits_for = fields.text(from.getWaitsFor(), kTextBytesMax, "waits_for"),
      .operation = fields.text(from.getOperation(), kNameBytesMax, "operation"),
      .waits_for_rank = from.getWaitsForRank(),
      .team_bytes = from.getTeamBytes(),
  };
}

void to_wire(wire::SampledResponse::Builder to, const SampledResponse& from) {
  TROUPE_CHECK(from.logprobs.size() == from.tokens.size());
  to.setTokens(wire::to_list(from.tokens, kTrajectoryTokensMax));
  to.setLogprobs(wire::to_list(from.logprobs, kTrajectoryTokensMax));
  to.setFinishReason(
      wire::to_enumerator<wire::FinishReason>(from.finish_reason, FinishReason::kAborted));
  wire::to_structs(to.initVersions(wire::to_size(from.versions, kTrajectoryTokensMax)),
                   from.versions);
}

SampledResponse from_wire(wire::SampledResponse::Reader from, FieldReader& fields) {
  SampledResponse response{
      .tokens = tokens_from_wire(from.getTokens(), "tokens", fields),
      .logprobs = fields.numbers<float>(from.getLogprobs(), kTrajectoryTokensMax, "logprobs"),
      .finish_reason = fields.enumerator<FinishReason>(
          from.getFinishReason(), wire::FinishReason::ABORTED, "finish_reason"),
      .versions =
          fields.structs<VersionRange>(from.getVersions(), kTrajectoryTokensMax, "versions"),
  };
  if (response.logprobs.size() != response.tokens.size()) {
    fields.refuse(
        fmt::format("{} logprobs for {} tokens", response.logprobs.size(), response.tokens.size()));
  }
  uint32_t position = 0;
  for (const VersionRange& range : response.versions) {
    if (range.begin != position || range.end <= range.begin) {
      fields.refuse(
          fmt::format("version range [{}, {}) after token {}", range.begin, range.end, position));
      break;
    }
    position = range.end;
  }
  if (!response.versions.empty() && position != response.tokens.size()) {
    fields.refuse(
        fmt::format("version ranges cover {} of {} tokens", position, response.tokens.size()));
  }
  return response;
}

void to_wire(wire::GeneratedGroup::Builder to, const GeneratedGroup& from) {
  to_wire(to.initId(), from.id);
  to.setPurpose(wire::to_enumerator<wire::GroupPurpose>(from.purpose, GroupPurpose::kEvaluate));
  to.setVersion(number(from.version));
  wire::to_structs(to.initResponses(wire::to_size(from.responses, kGroupTrajectoriesMax)),
                   from.responses);
}

GeneratedGroup from_wire(wire::GeneratedGroup::Reader from, FieldReader& fields) {
  return {
      .id = from_wire(from.getId(), fields),
      .purpose = fields.enumerator<GroupPurpose>(from.getPurpose(), wire::GroupPurpose::EVALUATE,
                                                 "purpose"),
      .version = PolicyVersion{from.getVersion()},
      .responses =
          fields.structs<SampledResponse>(from.getResponses(), kGroupTrajectoriesMax, "responses"),
  };
}

void to_wire(wire::GroupsGenerated::Builder to, const GroupsGenerated& from) {
  wire::to_structs(to.initGroups(wire::to_size(from.groups, kStepGroupsMax)), from.groups);
  to.setIsLast(from.is_last);
  to.setCoreSeconds(from.core_seconds);
  wire::to_structs(to.initSegments(wire::to_size(from.segments, kGroupTrajectoriesMax)),
                   from.segments);
}

GroupsGenerated from_wire(wire::GroupsGenerated::Reader from, FieldReader& fields) {
  return {
      .groups = fields.structs<GeneratedGroup>(from.getGroups(), kStepGroupsMax, "groups"),
      .segments =
          fields.structs<ResponseSegment>(from.getSegments(), kGroupTrajectoriesMax, "segments"),
      .is_last = from.getIsLast(),
      .core_seconds = from.getCoreSeconds(),
  };
}

void to_wire(wire::Verdict::Builder to, const Verdict& from) {
  TROUPE_CHECK(static_cast<bool>(validate(from)));
  wire::to_structs(to.initParts(wire::to_size(from.parts, kVerdictPartsMax)), from.parts);
}

Verdict from_wire(wire::Verdict::Reader from, FieldReader& fields) {
  Verdict verdict{
      .parts = fields.structs<VerdictPart>(from.getParts(), kVerdictPartsMax, "verdict parts"),
  };
  if (Status valid = validate(verdict); !valid) fields.refuse(valid.error());
  return verdict;
}

void to_wire(wire::JudgedGroup::Builder to, const JudgedGroup& from) {
  to_wire(to.initId(), from.id);
  to.setPurpose(wire::to_enumerator<wire::GroupPurpose>(from.purpose, GroupPurpose::kEvaluate));
  wire::to_structs(to.initVerdicts(wire::to_size(from.verdicts, kGroupTrajectoriesMax)),
                   from.verdicts);
}

JudgedGroup from_wire(wire::JudgedGroup::Reader from, FieldReader& fields) {
  return {
      .id = from_wire(from.getId(), fields),
      .purpose = fields.enumerator<GroupPurpose>(from.getPurpose(), wire::GroupPurpose::EVALUATE,
                                                 "purpose"),
      .verdicts = fields.structs<Verdict>(from.getVerdicts(), kGroupTrajectoriesMax, "verdicts"),
  };
}

void to_wire(wire::GroupsJudged::Builder to, const GroupsJudged& from) {
  wire::to_structs(to.initGroups(wire::to_size(from.groups, kStepGroupsMax)), from.groups);
  to.setCoreSeconds(from.core_seconds);
}

GroupsJudged from_wire(wire::GroupsJudged::Reader from, FieldReader& fields) {
  return {
      .groups = fields.structs<JudgedGroup>(from.getGroups(), kStepGroupsMax, "groups"),
      .core_seconds = from.getCoreSeconds(),
  };
}

void to_wire(wire::StepLearned::Builder to, const StepLearned& from) {
  to_wire(to.initMetrics(), from.metrics);
  to.setCoreSeconds(from.core_seconds);
  to.setDigest(wire::to_text(from.digest, kNameBytesMax));
}

StepLearned from_wire(wire::StepLearned::Reader from, FieldReader& fields) {
  return {
      .metrics = from_wire(from.getMetrics(), fields),
      .core_seconds = from.getCoreSeconds(),
      .digest = fields.text(from.getDigest(), kNameBytesMax, "digest"),
  };
}

void to_wire(wire::PolicyPublished::Builder to, const PolicyPublished& from) {
  to.setVersion(number(from.version));
  to.setPath(wire::to_text(from.path, kNameBytesMax));
  to.setWeightsSha256(wire::to_text(from.weights_sha256, kNameBytesMax));
}

PolicyPublished from_wire(wire::PolicyPublished::Reader from, FieldReader& fields) {
  return {
      .version = PolicyVersion{from.getVersion()},
      .path = fields.text(from.getPath(), kNameBytesMax, "path"),
      .weights_sha256 = fields.text(from.getWeightsSha256(), kNameBytesMax, "weights_sha256"),
  };
}

void to_wire(wire::PolicyLoaded::Builder to, const PolicyLoaded& from) {
  to.setVersion(number(from.version));
  to.setWeightsSha256(wire::to_text(from.weights_sha256, kNameBytesMax));
}

PolicyLoaded from_wire(wire::PolicyLoaded::Reader from, FieldReader& fields) {
  return {
      .version = PolicyVersion{from.getVersion()},
      .weights_sha256 = fields.text(from.getWeightsSha256(), kNameBytesMax, "weights_sha256"),
  };
}

void to_wire(wire::WorkFailed::Builder to, const WorkFailed& from) {
  to_wire(to.initError(), from.error);
}

WorkFailed from_wire(wire::WorkFailed::Reader from, FieldReader& fields) {
  return {
      .error = from_wire(from.getError(), fields),
  };
}

void to_wire(wire::TrustedProgram::Builder to, const TrustedProgram& from) {
  to.setName(wire::to_text(from.name, kNameBytesMax));
  to.setPath(wire::to_text(from.path, kNameBytesMax));
}

TrustedProgram from_wire(wire::TrustedProgram::Reader from, FieldReader& fields) {
  return {
      .name = fields.text(from.getName(), kNameBytesMax, "name"),
      .path = fields.text(from.getPath(), kNameBytesMax, "path"),
  };
}

void to_wire(wire::Lease::Builder to, const Lease& from) {
  to.setSlot(from.slot);
  to_wire(to.initRoles(), from.roles);
  to.setRolloutThreads(from.rollout_threads);
  to.setLearnerThreads(from.learner_threads);
  to.setVerifierThreads(from.verifier_threads);
  to_wire(to.initJob(), from.job);
  to.setContextMax(from.context_max);
  to.setPointPath(wire::to_text(from.point_path, kNameBytesMax));
  to_wire(to.initPoint(), from.point);
  wire::to_structs(to.initTrustedPrograms(wire::to_size(from.trusted_programs, kVerdictPartsMax)),
                   from.trusted_programs);
  to_wire(to.initSeat(), from.seat);
}

Lease from_wire(wire::Lease::Reader from, FieldReader& fields) {
  return {
      .slot = from.getSlot(),
      .roles = from_wire(from.getRoles(), fields),
      .rollout_threads = from.getRolloutThreads(),
      .learner_threads = from.getLearnerThreads(),
      .verifier_threads = from.getVerifierThreads(),
      .job = from_wire(from.getJob(), fields),
      .context_max = from.getContextMax(),
      .point_path = fields.text(from.getPointPath(), kNameBytesMax, "point_path"),
      .point = from_wire(from.getPoint(), fields),
      .trusted_programs = fields.structs<TrustedProgram>(from.getTrustedPrograms(),
                                                         kVerdictPartsMax, "trusted_programs"),
      .seat = from_wire(from.getSeat(), fields),
  };
}

void to_wire(wire::PromptGroup::Builder to, const PromptGroup& from) {
  to_wire(to.initId(), from.id);
  to.setPurpose(wire::to_enumerator<wire::GroupPurpose>(from.purpose, GroupPurpose::kEvaluate));
  to.setPrompt(wire::to_list(from.prompt, kTrajectoryTokensMax));
  to.setNumSamples(from.num_samples);
  wire::to_structs(to.initBegun(wire::to_size(from.begun, kGroupTrajectoriesMax)), from.begun);
}

PromptGroup from_wire(wire::PromptGroup::Reader from, FieldReader& fields) {
  return {
      .id = from_wire(from.getId(), fields),
      .purpose = fields.enumerator<GroupPurpose>(from.getPurpose(), wire::GroupPurpose::EVALUATE,
                                                 "purpose"),
      .prompt = tokens_from_wire(from.getPrompt(), "prompt", fields),
      .num_samples = from.getNumSamples(),
      .begun = fields.structs<ResponseSegment>(from.getBegun(), kGroupTrajectoriesMax, "begun"),
  };
}

void to_wire(wire::GenerateGroups::Builder to, const GenerateGroups& from) {
  to.setVersion(number(from.version));
  to.setTemperature(from.temperature);
  to.setTopP(from.top_p);
  to.setMaxResponseTokens(from.max_response_tokens);
  to.setStopTokens(wire::to_list(from.stop_tokens, kStopTokensMax));
  to.setSegmentTokens(from.segment_tokens);
  wire::to_structs(to.initGroups(wire::to_size(from.groups, kStepGroupsMax)), from.groups);
}

GenerateGroups from_wire(wire::GenerateGroups::Reader from, FieldReader& fields) {
  return {
      .version = PolicyVersion{from.getVersion()},
      .temperature = from.getTemperature(),
      .top_p = from.getTopP(),
      .max_response_tokens = from.getMaxResponseTokens(),
      .stop_tokens = fields.numbers<int32_t>(from.getStopTokens(), kStopTokensMax, "stop_tokens"),
      .segment_tokens = from.getSegmentTokens(),
      .groups = fields.structs<PromptGroup>(from.getGroups(), kStepGroupsMax, "groups"),
  };
}

void to_wire(wire::HeadChanged::Builder, const HeadChanged&) {}

HeadChanged from_wire(wire::HeadChanged::Reader, FieldReader&) { return {}; }

void to_wire(wire::CancelGeneration::Builder, const CancelGeneration&) {}

CancelGeneration from_wire(wire::CancelGeneration::Reader, FieldReader&) { return {}; }

void to_wire(wire::GroupToJudge::Builder to, const GroupToJudge& from) {
  to_wire(to.initId(), from.id);
  to.setPurpose(wire::to_enumerator<wire::GroupPurpose>(from.purpose, GroupPurpose::kEvaluate));
  to.setPrompt(wire::to_text(from.prompt, kResponseBytesMax));
  to.setGold(wire::to_text(from.gold, kResponseBytesMax));
  const auto count = wire::to_size(from.responses, kGroupTrajectoriesMax);
  auto texts = to.initResponses(count);
  auto num_tokens = to.initNumTokens(count);
  auto is_truncated = to.initIsTruncated(count);
  for (unsigned i = 0; i < count; ++i) {
    texts.set(i, wire::to_text(from.responses[i].text, kResponseBytesMax));
    num_tokens.set(i, from.responses[i].num_tokens);
    is_truncated.set(i, from.responses[i].is_truncated);
  }
}

GroupToJudge from_wire(wire::GroupToJudge::Reader from, FieldReader& fields) {
  GroupToJudge group{
      .id = from_wire(from.getId(), fields),
      .purpose = fields.enumerator<GroupPurpose>(from.getPurpose(), wire::GroupPurpose::EVALUATE,
                                                 "purpose"),
      .prompt = fields.text(from.getPrompt(), kResponseBytesMax, "prompt"),
      .gold = fields.text(from.getGold(), kResponseBytesMax, "gold"),
  };
  auto texts =
      fields.texts(from.getResponses(), kGroupTrajectoriesMax, kResponseBytesMax, "responses");
  auto num_tokens =
      fields.numbers<uint32_t>(from.getNumTokens(), kGroupTrajectoriesMax, "num_tokens");
  auto is_truncated =
      fields.numbers<uint8_t>(from.getIsTruncated(), kGroupTrajectoriesMax, "is_truncated");
  // An older head does not say them.
  if (num_tokens.empty()) num_tokens.resize(texts.size());
  if (is_truncated.empty()) is_truncated.resize(texts.size());
  if (num_tokens.size() != texts.size() || is_truncated.size() != texts.size()) {
    fields.refuse(fmt::format("{} lengths and {} ends of {} responses", num_tokens.size(),
                              is_truncated.size(), texts.size()));
    return group;
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    group.responses.push_back({std::move(texts[i]), num_tokens[i], is_truncated[i] != 0});
  }
  return group;
}

void to_wire(wire::JudgeGroups::Builder to, const JudgeGroups& from) {
  wire::to_structs(to.initGroups(wire::to_size(from.groups, kStepGroupsMax)), from.groups);
}

JudgeGroups from_wire(wire::JudgeGroups::Reader from, FieldReader& fields) {
  return {
      .groups = fields.structs<GroupToJudge>(from.getGroups(), kStepGroupsMax, "groups"),
  };
}

void to_wire(wire::PublishPolicy::Builder to, const PublishPolicy& from) {
  to.setVersion(number(from.version));
  to.setPath(wire::to_text(from.path, kNameBytesMax));
}

PublishPolicy from_wire(wire::PublishPolicy::Reader from, FieldReader& fields) {
  return {
      .version = PolicyVersion{from.getVersion()},
      .path = fields.text(from.getPath(), kNameBytesMax, "path"),
  };
}

void to_wire(wire::LoadPolicy::Builder to, const LoadPolicy& from) {
  to.setVersion(number(from.version));
  to.setPath(wire::to_text(from.path, kNameBytesMax));
  to.setWeightsSha256(wire::to_text(from.weights_sha256, kNameBytesMax));
}

LoadPolicy from_wire(wire::LoadPolicy::Reader from, FieldReader& fields) {
  return {
      .version = PolicyVersion{from.getVersion()},
      .path = fields.text(from.getPath(), kNameBytesMax, "path"),
      .weights_sha256 = fields.text(from.getWeightsSha256(), kNameBytesMax, "weights_sha256"),
  };
}

void to_wire(wire::PolicyFile::Builder to, const PolicyFile& from) {
  to.setVersion(number(from.version));
  to.setPath(wire::to_text(from.path, kNameBytesMax));
}

PolicyFile from_wire(wire::PolicyFile::Reader from, FieldReader& fields) {
  return {
      .version = PolicyVersion{from.getVersion()},
      .path = fields.text(from.getPath(), kNameBytesMax, "path"),
  };
}

void to_wire(wire::SavePoint::Builder to, const SavePoint& from) {
  to.setVersion(number(from.version));
  to.setFolder(wire::to_text(from.folder, kNameBytesMax));
  wire::to_structs(to.initPolicies(wire::to_size(from.policies, kPointPoliciesMax)), from.policies);
}

SavePoint from_wire(wire::SavePoint::Reader from, FieldReader& fields) {
  return {
      .version = PolicyVersion{from.getVersion()},
      .folder = fields.text(from.getFolder(), kNameBytesMax, "folder"),
      .policies = fields.structs<PolicyFile>(from.getPolicies(), kPointPoliciesMax, "policies"),
  };
}

namespace {

// The wire form of a message.
template <class Message>
struct Payload;
template <>
struct Payload<Hello> {
  using Wire = wire::Hello;
};
template <>
struct Payload<WorkerReady> {
  using Wire = wire::WorkerReady;
};
template <>
struct Payload<RankSeated> {
  using Wire = wire::RankSeated;
};
template <>
struct Payload<JoinTeam> {
  using Wire = wire::JoinTeam;
};
template <>
struct Payload<Heartbeat> {
  using Wire = wire::Heartbeat;
};
template <>
struct Payload<GroupsGenerated> {
  using Wire = wire::GroupsGenerated;
};
template <>
struct Payload<GroupsJudged> {
  using Wire = wire::GroupsJudged;
};
template <>
struct Payload<StepLearned> {
  using Wire = wire::StepLearned;
};
template <>
struct Payload<PolicyPublished> {
  using Wire = wire::PolicyPublished;
};
template <>
struct Payload<PolicyLoaded> {
  using Wire = wire::PolicyLoaded;
};
template <>
struct Payload<PointWritten> {
  using Wire = wire::PointWritten;
};
template <>
struct Payload<WorkFailed> {
  using Wire = wire::WorkFailed;
};
template <>
struct Payload<Lease> {
  using Wire = wire::Lease;
};
template <>
struct Payload<GenerateGroups> {
  using Wire = wire::GenerateGroups;
};
template <>
struct Payload<HeadChanged> {
  using Wire = wire::HeadChanged;
};
template <>
struct Payload<CancelGeneration> {
  using Wire = wire::CancelGeneration;
};
template <>
struct Payload<JudgeGroups> {
  using Wire = wire::JudgeGroups;
};
template <>
struct Payload<LearnShare> {
  using Wire = wire::LearnShare;
};
template <>
struct Payload<PublishPolicy> {
  using Wire = wire::PublishPolicy;
};
template <>
struct Payload<LoadPolicy> {
  using Wire = wire::LoadPolicy;
};
template <>
struct Payload<SavePoint> {
  using Wire = wire::SavePoint;
};

template <class Message>
Envelope seal_message(const Message& message) {
  using Wire = typename Payload<Message>::Wire;
  return {.schema = capnp::typeId<Wire>(), .payload = wire::encode<Wire>(message)};
}

// Tries the alternatives of `Messages` from number `Index` on.
template <class Messages, size_t Index = 0>
Result<Messages> open_message(const Envelope& envelope, const char* reader) {
  if constexpr (Index == std::variant_size_v<Messages>) {
    return Error{ErrorCode::kCorruption,
                 fmt::format("envelope: schema {:#x} is no {}; run the same release on "
                             "both sides",
                             envelope.schema, reader)};
  } else {
    using Message = std::variant_alternative_t<Index, Messages>;
    using Wire = typename Payload<Message>::Wire;
    if (envelope.schema != capnp::typeId<Wire>()) {
      return open_message<Messages, Index + 1>(envelope, reader);
    }
    Result<Message> message = wire::decode<Wire, Message>(envelope.payload, reader);
    if (!message) return message.error();
    return Messages(*std::move(message));
  }
}

}  // namespace

Envelope seal(const ToWorker& message) {
  return std::visit([](const auto& m) { return seal_message(m); }, message);
}

Envelope seal(const FromWorker& message) {
  return std::visit([](const auto& m) { return seal_message(m); }, message);
}

Result<ToWorker> open_to_worker(const Envelope& envelope) {
  return open_message<ToWorker>(envelope, "message to a worker");
}

Result<FromWorker> open_from_worker(const Envelope& envelope) {
  return open_message<FromWorker>(envelope, "message from a worker");
}

}  // namespace troupe
