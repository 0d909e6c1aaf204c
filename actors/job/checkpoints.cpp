#include "actors/job/checkpoints.h"

#include <algorithm>
#include <filesystem>

#include "model/formats/file.h"
#include "model/formats/recovery_point.h"

namespace troupe::actors {

namespace fs = std::filesystem;

std::string Checkpoints::unfinished(PolicyVersion version) const {
  return folder() + "/step_" + std::to_string(number(version)) + ".epoch_" +
         std::to_string(epoch_) + ".unfinished";
}

std::string Checkpoints::path(const PointRecord& point) const {
  return folder() + "/" + point.folder;
}

std::string Checkpoints::begin(PolicyVersion version) const {
  const std::string path = unfinished(version);
  // From an attempt that did not come to its end.
  std::error_code ignored;
  fs::remove_all(path, ignored);
  return path;
}

Result<PointRecord> Checkpoints::finish(const PointWritten& written, int num_ranks) const {
  auto made =
      model::finish_point(unfinished(written.version), written.version, written.weights_sha256,
                          written.policies, written.files, num_ranks);
  if (!made) return made.error();
  PointRecord& point = *made;
  point.folder = "step_" + std::to_string(number(point.version));
  std::error_code error;
  // Left by an attempt whose record did not come to be; a point with a record is never made again.
  fs::remove_all(path(point), error);
  fs::rename(unfinished(point.version), path(point), error);
  if (error) {
    return Error{ErrorCode::kInternal,
                 "cannot rename " + unfinished(point.version) + ": " + error.message()};
  }
  if (Status s = model::sync_folder(folder()); !s) return s.error();
  return point;
}

void Checkpoints::forget(const PointRecord& point) const {
  std::error_code ignored;
  fs::remove_all(path(point), ignored);
}

Status Checkpoints::keep_best(const PointRecord& point) const {
  const std::string best = folder() + "/best", next = best + ".unfinished";
  std::error_code error;
  fs::remove_all(next, error);
  fs::copy(path(point), next, fs::copy_options::recursive | fs::copy_options::create_hard_links,
           error);
  if (!error) fs::remove_all(best, error);
  if (!error) fs::rename(next, best, error);
  if (error) return Error{ErrorCode::kInternal, "cannot make " + best + ": " + error.message()};
  return model::sync_folder(folder());
}

void Checkpoints::sweep(const std::vector<PointRecord>& points) const {
  std::error_code error;
  std::vector<fs::path> unknown;
  for (fs::directory_iterator entry(folder(), error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.rfind("step_", 0) != 0) continue;
    const bool is_known = std::any_of(points.begin(), points.end(), [&](const PointRecord& point) {
      return point.folder == name;
    });
    if (!is_known) unknown.push_back(entry->path());
  }
  for (const auto& path : unknown) fs::remove_all(path, error);
}

}  // namespace troupe::actors
