// Files that users have sent ahead of their jobs, by what is in them. Each user has a store of
// their own, so that nobody learns what others have, nor reads it by saying its digest:
//
//   FOLDER/OWNER/DIGEST/NAME   whole, durable and checked; one file, under the names it came by
//   FOLDER/.coming/...         what is still being sent; thrown away by the next daemon
//
// A file stays for as long as a job that may still run names it, and then until it has not been
// asked for for Limits::unused, or its user wants the room for others. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cluster/jobs/job_paths.h"
#include "schemas/control.h"
#include "schemas/descriptor.h"
#include "schemas/hash.h"
#include "schemas/result.h"

namespace troupe::cluster {

class ContentStore {
 public:
  using Time = std::chrono::steady_clock::time_point;

  struct Limits {
    uint64_t owner_bytes_max = uint64_t{1} << 30;  // Of one user, what is being sent included.
    size_t owner_files_max = 4'096;
    size_t owner_coming_max = 4;          // Files that one user sends at a time ...
    size_t coming_max = 64;               // ... and all together.
    std::chrono::seconds quiet_max{600};  // Then what was being sent is thrown away.
    std::chrono::hours unused{24};
  };

  // What an earlier daemon did not finish is thrown away. kInvalidArgument when the folder cannot
  // be used.
  static Result<ContentStore> open(std::string folder, Limits limits);

  // Digests of the files that the owner has not got here. Those that are here stay for `unused`.
  // kInvalidArgument for what is no digest or name; kExhausted when they would be more than the
  // owner may have, or than the disk has room for.
  Result<std::vector<std::string>> lacking(const std::string& owner,
                                           std::span<const ContentFile> files);

  // The offset that is to come next: the file's size once it is whole and durable. A part that has
  // come before, or that is not the next, changes nothing. kInvalidArgument when the bytes are not
  // what the digest says, and then all of it is thrown away; kExhausted as above, kOverloaded when
  // too many files are on their way.
  Result<uint64_t> take(const std::string& owner, const SendContent& part, Time now);

  // kInvalidArgument unless the owner has all of it here. It stays for `unused` at least.
  Status check(const std::string& owner, std::span<const ContentReference> content);

  // A job that may still run names these; it does not any more.
  void hold(uint64_t job, const std::string& owner, std::vector<ContentReference> content);
  void release(uint64_t job) { held_.erase(job); }

  // Throws away what is quiet, and what nobody has used for long.
  void sweep(Time now);

  // Where a file lies, or would.
  std::string path_of(const std::string& owner, const ContentReference& reference) const;

 private:
  struct Coming {
    Descriptor file{};
    std::string path{};
    uint64_t bytes = 0;  // Of all of it.
    uint64_t next = 0;
    Sha256 hash{};
    Time heard_at{};
  };
  using CopyKey = std::pair<std::string, std::string>;  // Owner and digest.
  struct Kept {
    std::string folder{};
    std::string sha256{};
    uint64_t bytes = 0;
    std::chrono::system_clock::time_point used_at{};
  };

  ContentStore(std::string folder, Limits limits) : folder_(std::move(folder)), limits_(limits) {}

  std::string owner_folder(const std::string& owner) const { return folder_ + "/" + owner; }
  std::vector<Kept> kept_by(const std::string& owner) const;
  bool is_held(const std::string& owner, const std::string& sha256) const;
  bool has(const std::string& owner, const ContentReference& reference) const;
  Status make_room(const std::string& owner, uint64_t bytes, size_t files);
  Result<Coming*> begin(const std::string& owner, const ContentFile& file, Time now);
  Status finish(const std::string& owner, const ContentFile& file, Coming& coming);

  std::string folder_;
  Limits limits_;
  std::map<CopyKey, Coming> coming_{};
  std::map<uint64_t, std::pair<std::string, std::vector<ContentReference>>> held_{};  // By job.
};

}  // namespace troupe::cluster
