// A point that a job can go on from: a checkpoint folder as other programs read it (checkpoint.h),
// beside it recovery/ with everything else that the learner holds, and manifest.json with the
// digest of every file, written last.
//
//   each rank:   save_point_part        recovery/part_<rank>.safetensors: its shard
//   one rank:    save_point_checkpoint
//   one, then:   finish_point           manifest.json
//
// A part says which floats of the layout it holds, so a learner of any number of ranks goes on from
// the parts of any other number.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "model/formats/checkpoint.h"
#include "model/formats/point_manifest.h"
#include "model/parallel/shard_map.h"
#include "model/training/learner.h"
#include "schemas/records.h"
#include "schemas/result.h"
#include "schemas/work.h"

namespace troupe::model {

// Where a point holds a version of the policy that is older than its own.
std::string policy_path(const std::string& folder, PolicyVersion version);

// Writes, synced and into a folder that is made where it is not there, what rank `part` of `parts`
// holds: masters, moments, its floats of the reference, and the powers of beta. `state` has the
// floats of `range`, and a whole reference or none. The files and their digests come back.
// kExhausted, here and below, when the disk is full; what was written until then stays, and may be
// written again.
Result<std::vector<PointFile>> save_point_part(const std::string& folder, int part, int parts,
                                               const FloatRange& range, const LearnerState& state);

// What one rank writes for all, synced: the checkpoint, and policies, which are files of the same
// host (write_policy_file) that the point shares or copies.
struct PointWhole {
  std::vector<PointFile> files{};
  std::vector<PointPolicy> policies{};  // In the order given.
};
Result<PointWhole> save_point_checkpoint(const std::string& folder, const Checkpoint& checkpoint,
                                         std::span<const PolicyFile> policies);

// Once all of that is on the disk: `files` are those of all ranks, in any order. The record that
// comes back names everything but the folder, which the caller may rename. kInternal when a part is
// not among them or a name is there twice.
Result<PointRecord> finish_point(const std::string& folder, PolicyVersion version,
                                 std::string weights_sha256, std::vector<PointPolicy> policies,
                                 std::vector<PointFile> files, int parts);

// All of it, for a learner of one rank.
Result<PointRecord> save_recovery_point(const std::string& folder, PolicyVersion version,
                                        const Checkpoint& checkpoint, const LearnerState& state,
                                        std::span<const PolicyFile> policies);

// kCorruption, naming the file, unless every file has the digest that the manifest says and the
// manifest is the one that `point` means.
Status verify_recovery_point(const std::string& folder, const PointRecord& point);

// The state of a rank that owns the floats of `own`, from the parts that hold them, which alone are
// verified; with `has_reference` from all, since each rank has all of the reference. kCorruption,
// naming the file, unless the parts hold the layout's floats, each once, and agree.
Result<LearnerState> load_recovery_point(const std::string& folder, const PointRecord& point,
                                         const ParameterLayout& layout, const FloatRange& own,
                                         bool has_reference);
// Of one rank that owns everything.
Result<LearnerState> load_recovery_point(const std::string& folder, const PointRecord& point,
                                         const ParameterLayout& layout, bool has_reference);

}  // namespace troupe::model
