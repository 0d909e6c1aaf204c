#include "cluster/gateway/content_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

#include "cluster/jobs/job_text.h"
#include "cluster/monitor/text.h"
#include "cluster/nodes/disk_room.h"
#include "model/formats/file.h"
#include "schemas/private_folder.h"
#include "schemas/system_error.h"

namespace troupe::cluster {
namespace {

namespace fs = std::filesystem;
using SystemClock = std::chrono::system_clock;

constexpr const char* kComing = "/.coming";
constexpr size_t kNamesMax = 16;  // Of one file.
// What was asked for so lately may be of a job that is about to be submitted.
constexpr std::chrono::minutes kJustAskedFor{10};

Status check_file(const ContentFile& file) {
  if (!is_sha256(file.sha256)) {
    return invalid_argument("a file is named by 64 lower-case hexadecimal digits, its SHA-256");
  }
  if (!is_file_name(file.name)) return invalid_argument("a file that is sent has no proper name");
  return ok();
}

// From now on it counts as just used.
void touch(const std::string& folder) { ::utimensat(AT_FDCWD, folder.c_str(), nullptr, 0); }

// The first of the names by which a file is here.
std::string any_name_in(const std::string& folder) {
  std::error_code error;
  const fs::directory_iterator at(folder, error);
  return error || at == fs::directory_iterator() ? "" : at->path().string();
}

}  // namespace

Result<ContentStore> ContentStore::open(std::string folder, Limits limits) {
  if (Status made = make_private_folder(folder); !made) return made.error();
  std::error_code error;
  fs::remove_all(folder + kComing, error);
  if (Status made = model::create_folders(folder + kComing); !made) return made.error();
  return ContentStore(std::move(folder), limits);
}

std::string ContentStore::path_of(const std::string& owner,
                                  const ContentReference& reference) const {
  return owner_folder(owner) + "/" + reference.sha256 + "/" + reference.name;
}

std::vector<ContentStore::Kept> ContentStore::kept_by(const std::string& owner) const {
  std::vector<Kept> all;
  std::error_code error;
  for (fs::directory_iterator at(owner_folder(owner), error), end; !error && at != end;
       at.increment(error)) {
    Kept one{.folder = at->path().string(), .sha256 = at->path().filename().string()};
    struct stat folder {};
    struct stat file {};
    if (::stat(one.folder.c_str(), &folder) != 0) continue;
    if (::stat(any_name_in(one.folder).c_str(), &file) == 0) {
      one.bytes = static_cast<uint64_t>(file.st_size);
    }
    one.used_at = SystemClock::from_time_t(folder.st_mtim.tv_sec);
    all.push_back(std::move(one));
  }
  return all;
}

bool ContentStore::is_held(const std::string& owner, const std::string& sha256) const {
  return std::any_of(held_.begin(), held_.end(), [&](const auto& job) {
    const auto& [whose, content] = job.second;
    return whose == owner &&
           std::any_of(content.begin(), content.end(),
                       [&](const ContentReference& one) { return one.sha256 == sha256; });
  });
}

bool ContentStore::has(const std::string& owner, const ContentReference& reference) const {
  return model::is_file(path_of(owner, reference)) ||
         !any_name_in(fs::path(path_of(owner, reference)).parent_path().string()).empty();
}

Result<std::vector<std::string>> ContentStore::lacking(const std::string& owner,
                                                       std::span<const ContentFile> files) {
  std::set<std::string> lacking;
  uint64_t bytes = 0;
  for (const ContentFile& file : files) {
    if (Status fine = check_file(file); !fine) return fine.error();
    const ContentReference reference{file.sha256, file.name};
    if (has(owner, reference)) {
      touch(fs::path(path_of(owner, reference)).parent_path().string());
    } else if (lacking.insert(file.sha256).second) {
      bytes += file.bytes;
    }
  }
  if (!lacking.empty()) {
    if (Status room = make_room(owner, bytes, lacking.size()); !room) return room.error();
  }
  return std::vector<std::string>(lacking.begin(), lacking.end());
}

// What no job needs any more and was not asked for lately goes, the longest unused first.
Status ContentStore::make_room(const std::string& owner, uint64_t bytes, size_t files) {
  std::vector<Kept> kept = kept_by(owner);
  uint64_t kept_bytes = 0;
  size_t kept_files = kept.size();
  for (const Kept& one : kept) kept_bytes += one.bytes;
  for (const auto& [key, coming] : coming_) {
    if (key.first != owner) continue;
    kept_bytes += coming.bytes;
    ++kept_files;
  }
  std::sort(kept.begin(), kept.end(),
            [](const Kept& a, const Kept& b) { return a.used_at < b.used_at; });
  const auto is_enough = [&] {
    return kept_bytes + bytes <= limits_.owner_bytes_max &&
           kept_files + files <= limits_.owner_files_max;
  };
  const auto now = SystemClock::now();
  for (auto one = kept.begin(); one != kept.end() && !is_enough(); ++one) {
    if (now - one->used_at < kJustAskedFor || is_held(owner, one->sha256)) continue;
    std::error_code error;
    fs::remove_all(one->folder, error);
    if (error) continue;
    kept_bytes -= one->bytes;
    --kept_files;
  }
  if (!is_enough()) {
    return Error{
        ErrorCode::kExhausted,
        fmt::format(
            "the daemon keeps {} in {} files of {}, this job would bring {} in {} more, and "
            "a user may have {} in {}: large files are to lie at the daemon's host, named "
            "by a path that begins with /; what is here goes once no job that may still "
            "run names it",
            byte_count(kept_bytes), kept_files, owner, byte_count(bytes), files,
            byte_count(limits_.owner_bytes_max), limits_.owner_files_max)};
  }
  return check_room(folder_, bytes, "the daemon's host", "what is sent with the job");
}

Result<uint64_t> ContentStore::take(const std::string& owner, const SendContent& part, Time now) {
  const ContentFile& file = part.file;
  if (Status fine = check_file(file); !fine) return fine.error();
  if (has(owner, {file.sha256, file.name})) return file.bytes;  // Its last part came before.
  const CopyKey key(owner, file.sha256);
  if (part.offset == 0 && coming_.count(key) == 0) {
    if (auto begun = begin(owner, file, now); !begun) return begun.error();
  }
  const auto found = coming_.find(key);
  if (found == coming_.end()) return uint64_t{0};  // From its beginning.
  Coming& coming = found->second;
  coming.heard_at = now;
  if (part.offset != coming.next) return coming.next;
  const auto throw_away = [&](Error error) {
    ::unlink(coming.path.c_str());
    coming_.erase(found);
    return error;
  };
  if (file.bytes != coming.bytes || part.bytes.size() > coming.bytes - coming.next) {
    return throw_away(
        invalid_argument(fmt::format("{} is longer than was said", in_quotes(file.name))));
  }
  for (size_t done = 0; done < part.bytes.size();) {
    const ssize_t n = ::pwrite(coming.file.get(), part.bytes.data() + done,
                               part.bytes.size() - done, static_cast<off_t>(coming.next + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return throw_away(system_error("cannot write " + coming.path, errno));
    done += static_cast<size_t>(n);
  }
  coming.hash.update(part.bytes);
  coming.next += part.bytes.size();
  if (coming.next < coming.bytes) return coming.next;
  if (Status finished = finish(owner, file, coming); !finished) {
    return throw_away(finished.error());
  }
  coming_.erase(found);
  return file.bytes;
}

Result<ContentStore::Coming*> ContentStore::begin(const std::string& owner, const ContentFile& file,
                                                  Time now) {
  const auto of_owner = std::count_if(coming_.begin(), coming_.end(),
                                      [&](const auto& one) { return one.first.first == owner; });
  if (static_cast<size_t>(of_owner) >= limits_.owner_coming_max ||
      coming_.size() >= limits_.coming_max) {
    return Error{ErrorCode::kOverloaded,
                 "too many files are being sent to the daemon, by you or by all; ask again"};
  }
  if (Status room = make_room(owner, file.bytes, 1); !room) return room.error();
  Coming coming{.path = fmt::format("{}{}/{}-{}", folder_, kComing, owner, file.sha256),
                .bytes = file.bytes,
                .heard_at = now};
  coming.file = Descriptor(
      ::open(coming.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!coming.file) return system_error("cannot write " + coming.path, errno);
  return &(coming_[{owner, file.sha256}] = std::move(coming));
}

// It gets its place and its name once it is on the disk.
Status ContentStore::finish(const std::string& owner, const ContentFile& file, Coming& coming) {
  if (coming.hash.hex() != file.sha256) {
    return invalid_argument(fmt::format(
        "{} is not what was said: its digest is another one; has it changed while it was sent?",
        in_quotes(file.name)));
  }
  if (::fsync(coming.file.get()) != 0) return system_error("cannot sync " + coming.path, errno);
  const std::string path = path_of(owner, {file.sha256, file.name});
  const std::string folder = fs::path(path).parent_path().string();
  if (Status made = model::create_folders(folder); !made) return made;
  if (::rename(coming.path.c_str(), path.c_str()) != 0) {
    return system_error("cannot rename " + coming.path, errno);
  }
  return model::sync_folder(folder);
}

Status ContentStore::check(const std::string& owner, std::span<const ContentReference> content) {
  for (const ContentReference& one : content) {
    const std::string path = path_of(owner, one);
    const std::string folder = fs::path(path).parent_path().string();
    if (!has(owner, one)) {
      return invalid_argument(fmt::format(
          "{}, sha256 {}, is not here: send it ahead of the job, which troupe submit does",
          in_quotes(one.name), one.sha256));
    }
    if (!model::is_file(path)) {
      std::error_code error;
      const auto names = std::distance(fs::directory_iterator(folder, error), {});
      if (error || static_cast<size_t>(names) >= kNamesMax) {
        return invalid_argument(
            fmt::format("{} has come under {} other names, which are enough for one file",
                        in_quotes(one.name), names));
      }
      if (Status shared = model::share_file(any_name_in(folder), path); !shared) return shared;
      if (Status synced = model::sync_folder(folder); !synced) return synced;
    }
    touch(folder);
  }
  return ok();
}

void ContentStore::hold(uint64_t job, const std::string& owner,
                        std::vector<ContentReference> content) {
  if (!content.empty()) held_[job] = {owner, std::move(content)};
}

void ContentStore::sweep(Time now) {
  std::erase_if(coming_, [&](const auto& one) {
    if (now - one.second.heard_at < limits_.quiet_max) return false;
    ::unlink(one.second.path.c_str());
    return true;
  });
  const auto today = SystemClock::now();
  std::error_code error;
  for (fs::directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
    const std::string owner = at->path().filename().string();
    if (folder_ + kComing == at->path()) continue;
    for (const Kept& one : kept_by(owner)) {
      if (today - one.used_at < limits_.unused || is_held(owner, one.sha256)) continue;
      std::error_code ignored;
      fs::remove_all(one.folder, ignored);
    }
  }
}

}  // namespace troupe::cluster
