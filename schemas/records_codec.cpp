#include "schemas/records_codec.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "schemas/bounds.h"
#include "schemas/check.h"
#include "schemas/control.h"
#include "schemas/job_wire.h"
#include "schemas/metrics_wire.h"
#include "schemas/records_wire.h"
#include "schemas/trajectory_codec.h"
#include "schemas/trajectory_wire.h"

namespace troupe {

namespace {

Error corrupt(const std::string& what) {
  return {ErrorCode::kCorruption, "group record: " + what + "; the record is refused"};
}

// Of trajectories that are valid each for itself.
Status validate_identity(const GroupRecord& group) {
  if (group.trajectories.empty()) return corrupt("there is no trajectory");
  const GroupId id = group.trajectories.front().id.group;
  for (size_t i = 0; i < group.trajectories.size(); ++i) {
    const TrajectoryId& trajectory = group.trajectories[i].id;
    if (trajectory.group != id) {
      return corrupt(fmt::format("trajectory {} is of group ({}, {}), the first is of ({}, {})", i,
                                 number(trajectory.group.round), trajectory.group.ordinal,
                                 number(id.round), id.ordinal));
    }
    if (trajectory.sample != i) {
      return corrupt(fmt::format("trajectory {} is sample {}", i, trajectory.sample));
    }
  }
  return ok();
}

}  // namespace

// Not in an unnamed namespace, because wire.h finds these by their arguments.

void to_wire(wire::GroupId::Builder to, const GroupId& from) {
  to.setRound(number(from.round));
  to.setOrdinal(from.ordinal);
}

GroupId from_wire(wire::GroupId::Reader from, FieldReader&) {
  return {.round = Round{from.getRound()}, .ordinal = from.getOrdinal()};
}

void to_wire(wire::JobRecord::Builder to, const JobRecord& from) {
  to.setId(from.id);
  to.setRequestId(wire::to_text(from.request_id, kRequestIdBytesMax));
  to_wire(to.initSpec(), from.spec);
  to.setSpecificationHash(wire::to_text(from.specification_hash, kNameBytesMax));
  to.setDataSha256(wire::to_text(from.data_sha256, kNameBytesMax));
  to.setArithmeticId(wire::to_text(from.arithmetic_id, kNameBytesMax));
  to.setHome(wire::to_text(from.home, kNameBytesMax));
  to.setState(wire::to_enumerator<wire::JobState>(from.state, JobState::kCancelled));
  to.setMessage(wire::to_text(wire::cut(from.message), kTextBytesMax));
  to.setStepsDone(from.steps_done);
  to.setWeightsSha256(wire::to_text(from.weights_sha256, kNameBytesMax));
  to.setCheckpoint(wire::to_text(from.checkpoint, kNameBytesMax));
  to.setOwner(wire::to_text(from.owner, kNameBytesMax));
  wire::to_texts(to.initNodes(wire::to_size(from.nodes, kWorkersMax)), from.nodes, kNameBytesMax);
  to.setIsConfined(from.is_confined);
}

JobRecord from_wire(wire::JobRecord::Reader from, FieldReader& fields) {
  return {
      .id = from.getId(),
      .request_id = fields.text(from.getRequestId(), kRequestIdBytesMax, "request_id"),
      .spec = from_wire(from.getSpec(), fields),
      .specification_hash =
          fields.text(from.getSpecificationHash(), kNameBytesMax, "specification_hash"),
      .data_sha256 = fields.text(from.getDataSha256(), kNameBytesMax, "data_sha256"),
      .arithmetic_id = fields.text(from.getArithmeticId(), kNameBytesMax, "arithmetic_id"),
      .home = fields.text(from.getHome(), kNameBytesMax, "home"),
      .state = fields.enumerator<JobState>(from.getState(), wire::JobState::CANCELLED, "state"),
      .message = fields.text(from.getMessage(), kTextBytesMax, "message"),
      .steps_done = from.getStepsDone(),
      .weights_sha256 = fields.text(from.getWeightsSha256(), kNameBytesMax, "weights_sha256"),
      .checkpoint = fields.text(from.getCheckpoint(), kNameBytesMax, "checkpoint"),
      .owner = fields.text(from.getOwner(), kNameBytesMax, "owner"),
      .nodes = fields.texts(from.getNodes(), kWorkersMax, kNameBytesMax, "nodes"),
      .is_confined = from.getIsConfined(),
  };
}

void to_wire(wire::RoundRecord::Builder to, const RoundRecord& from) {
  to.setRound(number(from.round));
  to.setVersion(number(from.version));
}

RoundRecord from_wire(wire::RoundRecord::Reader from, FieldReader&) {
  return {
      .round = Round{from.getRound()},
      .version = PolicyVersion{from.getVersion()},
  };
}

void to_wire(wire::ResponseSegment::Builder to, const ResponseSegment& from) {
  TROUPE_CHECK(from.logprobs.size() == from.tokens.size());
  to_wire(to.initGroup(), from.id.group);
  to.setSample(from.id.sample);
  to.setBegin(from.begin);
  to.setTokens(wire::to_list(from.tokens, kTrajectoryTokensMax));
  to.setLogprobs(wire::to_list(from.logprobs, kTrajectoryTokensMax));
}

ResponseSegment from_wire(wire::ResponseSegment::Reader from, FieldReader& fields) {
  ResponseSegment segment{
      .id = {.group = from_wire(from.getGroup(), fields), .sample = from.getSample()},
      .begin = from.getBegin(),
      .tokens = tokens_from_wire(from.getTokens(), "tokens", fields),
      .logprobs = fields.numbers<float>(from.getLogprobs(), kTrajectoryTokensMax, "logprobs"),
  };
  if (segment.logprobs.size() != segment.tokens.size()) {
    fields.refuse(
        fmt::format("{} logprobs for {} tokens", segment.logprobs.size(), segment.tokens.size()));
  }
  return segment;
}

void to_wire(wire::SegmentsRecord::Builder to, const SegmentsRecord& from) {
  wire::to_structs(to.initSegments(wire::to_size(from.segments, kGroupTrajectoriesMax)),
                   from.segments);
}

SegmentsRecord from_wire(wire::SegmentsRecord::Reader from, FieldReader& fields) {
  return {
      .segments =
          fields.structs<ResponseSegment>(from.getSegments(), kGroupTrajectoriesMax, "segments"),
  };
}

void to_wire(wire::GroupRecord::Builder to, const GroupRecord& from) {
  TROUPE_CHECK(static_cast<bool>(validate_identity(from)));
  wire::to_structs(to.initTrajectories(wire::to_size(from.trajectories, kGroupTrajectoriesMax)),
                   from.trajectories);
}

GroupRecord from_wire(wire::GroupRecord::Reader from, FieldReader& fields) {
  GroupRecord group{
      .trajectories =
          fields.structs<Trajectory>(from.getTrajectories(), kGroupTrajectoriesMax, "trajectories"),
  };
  if (Status valid = validate_identity(group); !valid) fields.refuse(valid.error());
  return group;
}

void to_wire(wire::DropRecord::Builder to, const DropRecord& from) {
  to_wire(to.initId(), from.id);
  to.setReason(wire::to_text(from.reason, kNameBytesMax));
  to.setTrajectories(from.trajectories);
}

DropRecord from_wire(wire::DropRecord::Reader from, FieldReader& fields) {
  return {
      .id = from_wire(from.getId(), fields),
      .reason = fields.text(from.getReason(), kNameBytesMax, "reason"),
      .trajectories = from.getTrajectories(),
  };
}

void to_wire(wire::AttemptRecord::Builder to, const AttemptRecord& from) {
  to_wire(to.initId(), from.id);
  to.setFaults(from.faults);
  to.setKills(from.kills);
}

AttemptRecord from_wire(wire::AttemptRecord::Reader from, FieldReader& fields) {
  return {
      .id = from_wire(from.getId(), fields),
      .faults = from.getFaults(),
      .kills = from.getKills(),
  };
}

void to_wire(wire::StepRecord::Builder to, const StepRecord& from) {
  to_wire(to.initMetrics(), from.metrics);
  wire::to_structs(to.initConsumed(wire::to_size(from.consumed, kStepGroupsMax)), from.consumed);
}

StepRecord from_wire(wire::StepRecord::Reader from, FieldReader& fields) {
  return {
      .metrics = from_wire(from.getMetrics(), fields),
      .consumed = fields.structs<GroupId>(from.getConsumed(), kStepGroupsMax, "consumed"),
  };
}

void to_wire(wire::EvaluationRecord::Builder to, const EvaluationRecord& from) {
  to.setIsGate(from.is_gate);
  to_wire(to.initMetrics(), from.metrics);
  wire::to_structs(to.initTraces(wire::to_size(from.traces, kTracesMax)), from.traces);
}

EvaluationRecord from_wire(wire::EvaluationRecord::Reader from, FieldReader& fields) {
  return {
      .is_gate = from.getIsGate(),
      .metrics = from_wire(from.getMetrics(), fields),
      .traces = fields.structs<Trace>(from.getTraces(), kTracesMax, "traces"),
  };
}

void to_wire(wire::PointPolicy::Builder to, const PointPolicy& from) {
  to.setVersion(number(from.version));
  to.setWeightsSha256(wire::to_text(from.weights_sha256, kNameBytesMax));
}

PointPolicy from_wire(wire::PointPolicy::Reader from, FieldReader& fields) {
  return {
      .version = PolicyVersion{from.getVersion()},
      .weights_sha256 = fields.text(from.getWeightsSha256(), kNameBytesMax, "weights_sha256"),
  };
}

void to_wire(wire::PointRecord::Builder to, const PointRecord& from) {
  to.setVersion(number(from.version));
  to.setFolder(wire::to_text(from.folder, kNameBytesMax));
  to.setManifestSha256(wire::to_text(from.manifest_sha256, kNameBytesMax));
  to.setWeightsSha256(wire::to_text(from.weights_sha256, kNameBytesMax));
  wire::to_structs(to.initPolicies(wire::to_size(from.policies, kPointPoliciesMax)), from.policies);
}

PointRecord from_wire(wire::PointRecord::Reader from, FieldReader& fields) {
  return {
      .version = PolicyVersion{from.getVersion()},
      .folder = fields.text(from.getFolder(), kNameBytesMax, "folder"),
      .manifest_sha256 = fields.text(from.getManifestSha256(), kNameBytesMax, "manifest_sha256"),
      .weights_sha256 = fields.text(from.getWeightsSha256(), kNameBytesMax, "weights_sha256"),
      .policies = fields.structs<PointPolicy>(from.getPolicies(), kPointPoliciesMax, "policies"),
  };
}

Status validate(const GroupRecord& group) {
  for (const Trajectory& trajectory : group.trajectories) {
    if (Status status = validate(trajectory); !status) return status;
  }
  return validate_identity(group);
}

std::vector<std::byte> encode(const JobRecord& value) {
  return wire::encode<wire::JobRecord>(value);
}

Result<JobRecord> decode_job_record(std::span<const std::byte> bytes) {
  return wire::decode<wire::JobRecord, JobRecord>(bytes, "job record");
}

std::vector<std::byte> encode(const RoundRecord& value) {
  return wire::encode<wire::RoundRecord>(value);
}

Result<RoundRecord> decode_round_record(std::span<const std::byte> bytes) {
  return wire::decode<wire::RoundRecord, RoundRecord>(bytes, "round record");
}

std::vector<std::byte> encode(const SegmentsRecord& value) {
  return wire::encode<wire::SegmentsRecord>(value);
}

Result<SegmentsRecord> decode_segments_record(std::span<const std::byte> bytes) {
  return wire::decode<wire::SegmentsRecord, SegmentsRecord>(bytes, "segments record");
}

std::vector<std::byte> encode(const GroupRecord& value) {
  return wire::encode<wire::GroupRecord>(value);
}

Result<GroupRecord> decode_group_record(std::span<const std::byte> bytes) {
  return wire::decode<wire::GroupRecord, GroupRecord>(bytes, "group record");
}

std::vector<std::byte> encode(const DropRecord& value) {
  return wire::encode<wire::DropRecord>(value);
}

Result<DropRecord> decode_drop_record(std::span<const std::byte> bytes) {
  return wire::decode<wire::DropRecord, DropRecord>(bytes, "drop record");
}

std::vector<std::byte> encode(const AttemptRecord& value) {
  return wire::encode<wire::AttemptRecord>(value);
}

Result<AttemptRecord> decode_attempt_record(std::span<const std::byte> bytes) {
  return wire::decode<wire::AttemptRecord, AttemptRecord>(bytes, "attempt record");
}

std::vector<std::byte> encode(const StepRecord& value) {
  return wire::encode<wire::StepRecord>(value);
}

Result<StepRecord> decode_step_record(std::span<const std::byte> bytes) {
  return wire::decode<wire::StepRecord, StepRecord>(bytes, "step record");
}

std::vector<std::byte> encode(const EvaluationRecord& value) {
  return wire::encode<wire::EvaluationRecord>(value);
}

Result<EvaluationRecord> decode_evaluation_record(std::span<const std::byte> bytes) {
  return wire::decode<wire::EvaluationRecord, EvaluationRecord>(bytes, "evaluation record");
}

std::vector<std::byte> encode(const PointRecord& value) {
  return wire::encode<wire::PointRecord>(value);
}

Result<PointRecord> decode_point_record(std::span<const std::byte> bytes) {
  return wire::decode<wire::PointRecord, PointRecord>(bytes, "point record");
}

}  // namespace troupe
