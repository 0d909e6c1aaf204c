// A point that a job can go on from: a checkpoint folder as other programs read it (checkpoint.h),
// beside it recovery/state.safetensors with everything else that the learner holds, and
// manifest.json with the digest of every file, written last.
#pragma once

#include <string>

#include "model/formats/checkpoint.h"
#include "model/training/learner.h"
#include "schemas/records.h"
#include "schemas/result.h"

namespace troupe::model {

// Writes `folder`, which must not exist, and syncs every file and folder of it. The record that
// comes back names everything but the folder, which the caller may rename. kExhausted when the disk
// is full; what was written until then stays.
Result<PointRecord> save_recovery_point(const std::string& folder, PolicyVersion version,
                                        const Checkpoint& checkpoint, const LearnerState& state);

// kCorruption, naming the file, unless every file has the digest that the manifest says and the
// manifest is the one that `point` means.
Status verify_recovery_point(const std::string& folder, const PointRecord& point);

// The state in `folder`, verified. `has_reference` as the learner that it is for.
Result<LearnerState> load_recovery_point(const std::string& folder, const PointRecord& point,
                                         const ParameterLayout& layout, bool has_reference);

}  // namespace troupe::model
