// A job's recovery points on the disk: HOME/checkpoints/step_N. What is being written has another
// name, so that a folder of this name is whole.
#pragma once

#include <string>
#include <vector>

#include "schemas/records.h"
#include "schemas/result.h"
#include "schemas/team.h"

namespace troupe::actors {

class Checkpoints {
 public:
  // `home` is created when something is saved. The epoch is part of unfinished names: a writer that
  // was replaced may still be at work.
  Checkpoints(std::string home, uint64_t epoch) : home_(std::move(home)), epoch_(epoch) {}

  // Where to write a point's files to: a folder that is not there.
  std::string begin(PolicyVersion version) const;
  std::string unfinished(PolicyVersion version) const;  // Its name.

  // What so many ranks have written there becomes a point and gets its name, durably. kExhausted
  // when the disk is full: again, once there is room.
  Result<PointRecord> finish(const PointWritten& written, int num_ranks) const;

  std::string path(const PointRecord& point) const;

  void forget(const PointRecord& point) const;

  // Another name for its files, checkpoints/best, instead of what was there.
  Status keep_best(const PointRecord& point) const;

  // Removes what no record knows: unfinished folders, and points whose record did not come to be.
  void sweep(const std::vector<PointRecord>& points) const;

 private:
  std::string folder() const { return home_ + "/checkpoints"; }

  std::string home_;
  uint64_t epoch_;
};

}  // namespace troupe::actors
