#include "schemas/trajectory_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "schemas/check.h"
#include "schemas/trajectory.capnp.h"
#include "schemas/wire.h"

namespace troupe {

using wire::to_list;
using wire::to_vector;

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

Status validate_verdict(const Verdict& verdict) {
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

// Every list is taken from the message once, because each access counts against the traversal
// limit, and its size is bounded before anything is allocated for it.
Result<Trajectory> from_wire(wire::Trajectory::Reader wire) {
  const auto tokens = wire.getTokens();
  const auto loss_mask = wire.getLossMask();
  const auto logprobs = wire.getRolloutLogprobs();
  const auto segments = wire.getSegments();
  const auto versions = wire.getVersions();
  const auto parts = wire.getVerdict();
  for (size_t size : {size_t{tokens.size()}, loss_mask.size(), size_t{logprobs.size()},
                      size_t{segments.size()}, size_t{versions.size()}}) {
    if (size > kTrajectoryTokensMax) {
      return corrupt(
          fmt::format("a list has {} entries, at most {} are allowed", size, kTrajectoryTokensMax));
    }
  }
  if (parts.size() > kVerdictPartsMax) {
    return corrupt(
        fmt::format("{} verdict parts, at most {} are allowed", parts.size(), kVerdictPartsMax));
  }
  if (wire.getFinishReason() > wire::FinishReason::ABORTED) {
    return corrupt("the finish reason is unknown");
  }

  Trajectory trajectory{
      .id = {.group = {Round{wire.getRound()}, wire.getOrdinal()}, .sample = wire.getSample()},
      .prompt_index = wire.getPromptIndex(),
      .tokens = to_vector<int32_t>(tokens),
      .loss_mask = to_vector<uint8_t>(loss_mask),
      .rollout_logprobs = to_vector<float>(logprobs),
      .finish_reason = static_cast<FinishReason>(wire.getFinishReason()),
  };
  for (auto segment : segments) {
    if (segment.getRole() > wire::SegmentRole::ENVIRONMENT) {
      return corrupt("a segment's role is unknown");
    }
    trajectory.segments.push_back(
        {static_cast<SegmentRole>(segment.getRole()), segment.getBegin(), segment.getEnd()});
  }
  for (auto range : versions) {
    trajectory.versions.push_back(
        {PolicyVersion{range.getVersion()}, range.getBegin(), range.getEnd()});
  }
  for (auto part : parts) {
    trajectory.verdict.parts.push_back({
        .name = wire::to_string(part.getName()),
        .kind = static_cast<VerdictKind>(part.getKind()),
        .value = part.getValue(),
        .weight = part.getWeight(),
        .reason = wire::to_string(part.getReason()),
    });
  }
  if (Status valid = validate(trajectory); !valid) return valid.error();
  return trajectory;
}

}  // namespace

Status validate(const Trajectory& trajectory) {
  if (Status status = validate_per_token(trajectory); !status) return status;
  if (Status status = validate_segments(trajectory); !status) return status;
  if (Status status = validate_versions(trajectory); !status) return status;
  if (trajectory.finish_reason > FinishReason::kAborted) {
    return corrupt("the finish reason is unknown");
  }
  return validate_verdict(trajectory.verdict);
}

std::vector<std::byte> encode(const Trajectory& trajectory) {
  TROUPE_CHECK(static_cast<bool>(validate(trajectory)));
  capnp::MallocMessageBuilder message;
  auto wire = message.initRoot<wire::Trajectory>();
  wire.setRound(number(trajectory.id.group.round));
  wire.setOrdinal(trajectory.id.group.ordinal);
  wire.setSample(trajectory.id.sample);
  wire.setPromptIndex(trajectory.prompt_index);
  wire.setTokens(to_list(trajectory.tokens));
  wire.setLossMask(to_list(trajectory.loss_mask));
  wire.setRolloutLogprobs(to_list(trajectory.rollout_logprobs));
  auto segments = wire.initSegments(static_cast<unsigned>(trajectory.segments.size()));
  for (unsigned i = 0; i < segments.size(); ++i) {
    segments[i].setRole(static_cast<wire::SegmentRole>(trajectory.segments[i].role));
    segments[i].setBegin(trajectory.segments[i].begin);
    segments[i].setEnd(trajectory.segments[i].end);
  }
  auto versions = wire.initVersions(static_cast<unsigned>(trajectory.versions.size()));
  for (unsigned i = 0; i < versions.size(); ++i) {
    versions[i].setVersion(number(trajectory.versions[i].version));
    versions[i].setBegin(trajectory.versions[i].begin);
    versions[i].setEnd(trajectory.versions[i].end);
  }
  wire.setFinishReason(static_cast<wire::FinishReason>(trajectory.finish_reason));
  auto parts = wire.initVerdict(static_cast<unsigned>(trajectory.verdict.parts.size()));
  for (unsigned i = 0; i < parts.size(); ++i) {
    const VerdictPart& part = trajectory.verdict.parts[i];
    parts[i].setName(wire::to_text(part.name));
    parts[i].setKind(static_cast<uint8_t>(part.kind));
    parts[i].setValue(part.value);
    parts[i].setWeight(part.weight);
    parts[i].setReason(wire::to_text(part.reason));
  }

  return wire::to_bytes(message);
}

Result<Trajectory> decode_trajectory(std::span<const std::byte> bytes) {
  return wire::read_message<wire::Trajectory>(bytes, "trajectory", from_wire);
}

}  // namespace troupe
