// A point that a job can go on from: a checkpoint folder as other programs read it (checkpoint.h),
// beside it recovery/state.safetensors with everything else that the learner holds, and
// manifest.json with the digest of every file, written last.
#pragma once

#include <span>
#include <string>

#include "model/formats/checkpoint.h"
#include "model/training/learner.h"
#include "schemas/records.h"
#include "schemas/result.h"
#include "schemas/work.h"

namespace troupe::model {

// Where a point holds a version of the policy that is older than its own.
std::string policy_path(const std::string& folder, PolicyVersion version);

// Writes `folder`, which must not exist, and syncs every file and folder of it. `policies` are
// files of the same host (write_policy_file) that the point shares or copies. The record that comes
// back names everything but the folder, which the caller may rename. kExhausted when the disk is
// full; what was written until then stays.
Result<PointRecord> save_recovery_point(const std::string& folder, PolicyVersion version,
                                        const Checkpoint& checkpoint, const LearnerState& state,
                                        std::span<const PolicyFile> policies);

// kCorruption, naming the file, unless every file has the digest that the manifest says and the
// manifest is the one that `point` means.
Status verify_recovery_point(const std::string& folder, const PointRecord& point);

// The state in `folder`, verified. `has_reference` as the learner that it is for.
Result<LearnerState> load_recovery_point(const std::string& folder, const PointRecord& point,
                                         const ParameterLayout& layout, bool has_reference);

}  // namespace troupe::model
