// manifest.json of a recovery point: which files it has, and the digest of each. Written last, so a
// folder without it is no point.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "schemas/ids.h"
#include "schemas/records.h"
#include "schemas/result.h"

namespace troupe::model {

struct PointManifest {
  PolicyVersion version{};
  std::string weights_sha256{};
  int parts = 0;                   // Each is one of the files.
  std::vector<PointFile> files{};  // By name, no two alike; none lies outside of the folder.

  const PointFile* find(std::string_view name) const;
};

// The file in a point's folder with what rank `part` holds.
std::string point_part_name(int part);

// What is said of a point that cannot be used: kCorruption, with the file's path.
Error damaged_point(const std::string& path, std::string_view what);

// Writes it, synced, its files in any order, and gives its digest. kInternal, writing nothing, when
// it is not one that could be read.
Result<std::string> write_point_manifest(const std::string& folder, PointManifest manifest);

// kCorruption unless it has this digest and all that is said above holds.
Result<PointManifest> read_point_manifest(const std::string& folder, const std::string& sha256);

}  // namespace troupe::model
