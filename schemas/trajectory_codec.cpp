#include "schemas/trajectory_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "schemas/check.h"
#include "schemas/trajectory_wire.h"

namespace troupe {

namespace {

Error corrupt(std::string what) {
  return {ErrorCode::kCorruption,
          "trajectory: " + std::move(what) + "; the message is refused, ask its sender again"};
}

bool is_known(VerdictKind kind) { return std::string(name(kind)) != "unknown"; }

Status validate_per_token(const Trajectory& t) {
  const size_t T = t.tokens.size();
  if (T > kTrajectoryTokensMax) {
    return corrupt(fmt::format("{} tokens, at most {} are allowed", T, kTrajectoryTokensMax));
  }
  if (t.loss_mask.size() != T || t.rollout_logprobs.size() != T) {
    return corrupt(fmt::format("{} tokens but {} loss_mask and {} rollout_logprobs entries", T,
                               t.loss_mask.size(), t.rollout_logprobs.size()));
  }
  for (size_t i = 0; i < T; ++i) {
    if (t.tokens[i] < 0) return corrupt(fmt::format("token {} is negative", i));
    if (t.loss_mask[i] > 1) return corrupt(fmt::format("loss_mask {} is neither 0 nor 1", i));
    if (!std::isfinite(t.rollout_logprobs[i])) {
      return corrupt(fmt::format("rollout_logprobs {} is not finite", i));
    }
    if (t.loss_mask[i] == 0 && t.rollout_logprobs[i] != 0) {
      return corrupt(fmt::format("rollout_logprobs {} is not 0 where loss_mask is 0", i));
    }
  }
  return ok();
}

Status validate_segments(const Trajectory& t) {
  uint32_t position = 0;
  for (const Segment& segment : t.segments) {
    if (segment.role > SegmentRole::kEnvironment) return corrupt("a segment's role is unknown");
    if (segment.begin != position || segment.end <= segment.begin ||
        segment.end > t.tokens.size()) {
      return corrupt(fmt::format("segment [{}, {}) does not continue at token {}", segment.begin,
                                 segment.end, position));
    }
    if (segment.role != SegmentRole::kPolicy) {
      const auto mask = std::span(t.loss_mask).subspan(segment.begin, segment.end - segment.begin);
      if (std::find(mask.begin(), mask.end(), 1) != mask.end()) {
        return corrupt(fmt::format("segment [{}, {}) has a loss_mask of 1 but is not the policy's",
                                   segment.begin, segment.end));
      }
    }
    position = segment.end;
  }
  if (position != t.tokens.size()) {
    return corrupt(fmt::format("segments end at {} of {} tokens", position, t.tokens.size()));
  }
  return ok();
}

Status validate_versions(const Trajectory& t) {
  uint32_t position = 0;
  uint32_t covered = 0;
  for (const VersionRange& range : t.versions) {
    if (range.begin < position || range.end <= range.begin || range.end > t.tokens.size()) {
      return corrupt(fmt::format("version range [{}, {}) is empty, out of order or too long",
                                 range.begin, range.end));
    }
    for (uint32_t i = range.begin; i < range.end; ++i) {
      if (t.loss_mask[i] == 0) {
        return corrupt(fmt::format("version range [{}, {}) covers token {}, which has loss_mask 0",
                                   range.begin, range.end, i));
      }
    }
    covered += range.end - range.begin;
    position = range.end;
  }
  if (covered != t.num_response_tokens()) {
    return corrupt(fmt::format("version ranges cover {} of {} tokens with loss_mask 1", covered,
                               t.num_response_tokens()));
  }
  return ok();
}

}  // namespace

std::vector<int32_t> tokens_from_wire(capnp::List<int32_t>::Reader from, const char* field,
                                      FieldReader& fields) {
  std::vector<int32_t> tokens = fields.numbers<int32_t>(from, kTrajectoryTokensMax, field);
  if (std::any_of(tokens.begin(), tokens.end(), [](int32_t token) { return token < 0; })) {
    fields.refuse(std::string(field) + " has a negative token");
  }
  return tokens;
}

Status validate(const Verdict& verdict) {
  if (verdict.parts.size() > kVerdictPartsMax) {
    return corrupt(fmt::format("{} verdict parts, at most {} are allowed", verdict.parts.size(),
                               kVerdictPartsMax));
  }
  for (const VerdictPart& part : verdict.parts) {
    if (!is_known(part.kind)) {
      return corrupt(fmt::format("verdict kind {} is unknown", static_cast<int>(part.kind)));
    }
    if (!(part.value >= 0 && part.value <= 1)) {
      return corrupt("a verdict's value is outside [0, 1]");
    }
    if (!std::isfinite(part.weight)) return corrupt("a verdict's weight is not finite");
    if (part.name.size() > kVerdictTextBytesMax || part.reason.size() > kVerdictTextBytesMax) {
      return corrupt(fmt::format("a verdict's text is longer than {} bytes", kVerdictTextBytesMax));
    }
  }
  return ok();
}

Status validate(const Trajectory& trajectory) {
  if (Status status = validate_per_token(trajectory); !status) return status;
  if (Status status = validate_segments(trajectory); !status) return status;
  if (Status status = validate_versions(trajectory); !status) return status;
  if (trajectory.finish_reason > FinishReason::kAborted) {
    return corrupt("the finish reason is unknown");
  }
  return validate(trajectory.verdict);
}

void to_wire(wire::VerdictPart::Builder to, const VerdictPart& from) {
  to.setName(wire::to_text(from.name, kVerdictTextBytesMax));
  to.setKind(static_cast<uint8_t>(from.kind));
  to.setValue(from.value);
  to.setWeight(from.weight);
  to.setReason(wire::to_text(from.reason, kVerdictTextBytesMax));
}

VerdictPart from_wire(wire::VerdictPart::Reader from, FieldReader& fields) {
  return {
      .name = fields.text(from.getName(), kVerdictTextBytesMax, "a verdict's name"),
      .kind = static_cast<VerdictKind>(from.getKind()),
      .value = from.getValue(),
      .weight = from.getWeight(),
      .reason = fields.text(from.getReason(), kVerdictTextBytesMax, "a verdict's reason"),
  };
}

void to_wire(wire::Segment::Builder to, const Segment& from) {
  to.setRole(static_cast<wire::SegmentRole>(from.role));
  to.setBegin(from.begin);
  to.setEnd(from.end);
}

Segment from_wire(wire::Segment::Reader from, FieldReader& fields) {
  return {
      .role = fields.enumerator<SegmentRole>(from.getRole(), wire::SegmentRole::ENVIRONMENT,
                                             "a segment's role"),
      .begin = from.getBegin(),
      .end = from.getEnd(),
  };
}

void to_wire(wire::VersionRange::Builder to, const VersionRange& from) {
  to.setVersion(number(from.version));
  to.setBegin(from.begin);
  to.setEnd(from.end);
}

VersionRange from_wire(wire::VersionRange::Reader from, FieldReader&) {
  return {
      .version = PolicyVersion{from.getVersion()},
      .begin = from.getBegin(),
      .end = from.getEnd(),
  };
}

void to_wire(wire::Trajectory::Builder to, const Trajectory& from) {
  TROUPE_CHECK(static_cast<bool>(validate(from)));
  to.setRound(number(from.id.group.round));
  to.setOrdinal(from.id.group.ordinal);
  to.setSample(from.id.sample);
  to.setPromptIndex(from.prompt_index);
  to.setTokens(wire::to_list(from.tokens, kTrajectoryTokensMax));
  to.setLossMask(wire::to_list(from.loss_mask, kTrajectoryTokensMax));
  to.setRolloutLogprobs(wire::to_list(from.rollout_logprobs, kTrajectoryTokensMax));
  wire::to_structs(to.initSegments(wire::to_size(from.segments, kTrajectoryTokensMax)),
                   from.segments);
  wire::to_structs(to.initVersions(wire::to_size(from.versions, kTrajectoryTokensMax)),
                   from.versions);
  to.setFinishReason(static_cast<wire::FinishReason>(from.finish_reason));
  wire::to_structs(to.initVerdict(wire::to_size(from.verdict.parts, kVerdictPartsMax)),
                   from.verdict.parts);
}

Trajectory from_wire(wire::Trajectory::Reader from, FieldReader& fields) {
  Trajectory trajectory{
      .id = {.group = {Round{from.getRound()}, from.getOrdinal()}, .sample = from.getSample()},
      .prompt_index = from.getPromptIndex(),
      .tokens = fields.numbers<int32_t>(from.getTokens(), kTrajectoryTokensMax, "tokens"),
      .loss_mask = fields.numbers<uint8_t>(from.getLossMask(), kTrajectoryTokensMax, "loss_mask"),
      .rollout_logprobs = fields.numbers<float>(from.getRolloutLogprobs(), kTrajectoryTokensMax,
                                                "rollout_logprobs"),
      .segments = fields.structs<Segment>(from.getSegments(), kTrajectoryTokensMax, "segments"),
      .versions =
          fields.structs<VersionRange>(from.getVersions(), kTrajectoryTokensMax, "versions"),
      .finish_reason = fields.enumerator<FinishReason>(
          from.getFinishReason(), wire::FinishReason::ABORTED, "the finish reason"),
      .verdict = {fields.structs<VerdictPart>(from.getVerdict(), kVerdictPartsMax, "verdict")},
  };
  if (Status valid = validate(trajectory); !valid) fields.refuse(valid.error());
  return trajectory;
}

std::vector<std::byte> encode(const Trajectory& trajectory) {
  return wire::encode<wire::Trajectory>(trajectory);
}

Result<Trajectory> decode_trajectory(std::span<const std::byte> bytes) {
  return wire::decode<wire::Trajectory, Trajectory>(bytes, "trajectory");
}

}  // namespace troupe
