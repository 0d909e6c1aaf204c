// Records of the store <-> bytes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "schemas/records.h"
#include "schemas/result.h"

namespace troupe {

// kCorruption unless there is a trajectory, each is valid, all are of one group and their samples
// are 0, 1, ... in order.
Status validate(const GroupRecord& group);

// Groups and jobs must be valid. A message longer than kTextBytesMax (bounds.h) is cut; every other
// text and list must be within its bound.
std::vector<std::byte> encode(const JobRecord& record);
std::vector<std::byte> encode(const RoundRecord& record);
std::vector<std::byte> encode(const SegmentsRecord& record);
std::vector<std::byte> encode(const GroupRecord& group);
std::vector<std::byte> encode(const DropRecord& record);
std::vector<std::byte> encode(const AttemptRecord& record);
std::vector<std::byte> encode(const StepRecord& record);
std::vector<std::byte> encode(const EvaluationRecord& record);
std::vector<std::byte> encode(const PointRecord& record);

// kCorruption unless `bytes` is one whole message of its kind. The bytes may come from
// any peer, so no input may crash, over-read or make this allocate much more than its size. A group
// that comes out is valid.
Result<JobRecord> decode_job_record(std::span<const std::byte> bytes);
Result<RoundRecord> decode_round_record(std::span<const std::byte> bytes);
Result<SegmentsRecord> decode_segments_record(std::span<const std::byte> bytes);
Result<GroupRecord> decode_group_record(std::span<const std::byte> bytes);
Result<DropRecord> decode_drop_record(std::span<const std::byte> bytes);
Result<AttemptRecord> decode_attempt_record(std::span<const std::byte> bytes);
Result<StepRecord> decode_step_record(std::span<const std::byte> bytes);
Result<EvaluationRecord> decode_evaluation_record(std::span<const std::byte> bytes);
Result<PointRecord> decode_point_record(std::span<const std::byte> bytes);

}  // namespace troupe
