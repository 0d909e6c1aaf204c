#include "cluster/nodes/file_service.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "cluster/nodes/disk_room.h"
#include "cluster/nodes/file_part.h"
#include "cluster/nodes/file_time.h"
#include "model/formats/file.h"
#include "schemas/hash.h"
#include "schemas/overloaded.h"
#include "schemas/system_error.h"

namespace troupe::cluster {
namespace {

namespace fs = std::filesystem;

// Where a job's folder may be written to by others.
constexpr const char* kWritable[] = {"/checkpoints", "/policies"};

constexpr size_t kHashedFilesMax = 256;

Result<std::vector<FileEntry>> list_folder(const std::string& path) {
  std::error_code error;
  if (const auto one = stamp_of(path)) {
    return std::vector<FileEntry>{{"", one->bytes, one->modified_ns}};
  }
  std::vector<FileEntry> files;
  fs::recursive_directory_iterator at(path, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    const auto one = stamp_of(at->path().string());
    if (!one) continue;
    if (files.size() == kFolderFilesMax) {
      return invalid_argument(fmt::format("{} has more than {} files", path, kFolderFilesMax));
    }
    files.push_back({fs::relative(at->path(), path, error).string(), one->bytes, one->modified_ns});
  }
  if (error) return invalid_argument(fmt::format("cannot list {}: {}", path, error.message()));
  std::sort(files.begin(), files.end(),
            [](const FileEntry& a, const FileEntry& b) { return a.name < b.name; });
  return files;
}

// A part that came before is written again, to the same.
Status write_part(const WriteFile& what) {
  const std::string unfinished = what.path + kUnfinished;
  if (what.offset == 0) {
    std::error_code ignored;
    fs::create_directories(fs::path(what.path).parent_path(), ignored);
  }
  const int flags = O_WRONLY | O_CLOEXEC | (what.offset == 0 ? O_CREAT : 0);
  const Descriptor file(::open(unfinished.c_str(), flags, 0600));
  if (file.get() < 0) {
    const int reason = errno;
    // Its last part was written and only the answer was lost.
    const FileStamp whole{what.offset + what.bytes.size(), what.modified_ns};
    if (reason == ENOENT && what.is_last && stamp_of(what.path) == whole) return ok();
    return system_error("cannot open " + unfinished, reason);
  }
  size_t done = 0;
  while (done < what.bytes.size()) {
    const ssize_t n = ::pwrite(file.get(), what.bytes.data() + done, what.bytes.size() - done,
                               static_cast<off_t>(what.offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int reason = errno;
      ::unlink(unfinished.c_str());  // It will be sent from its beginning.
      return system_error("cannot write " + unfinished, reason);
    }
    done += static_cast<size_t>(n);
  }
  if (!what.is_last) return ok();
  const auto size = static_cast<off_t>(what.offset + what.bytes.size());
  struct stat found {};
  if (::fstat(file.get(), &found) != 0 || found.st_size < size) {
    return invalid_argument(fmt::format("{} is not whole: write it from its beginning", what.path));
  }
  if (::ftruncate(file.get(), size) != 0 || !set_modified(file.get(), what.modified_ns) ||
      ::fsync(file.get()) != 0) {
    return system_error("cannot sync " + unfinished, errno);
  }
  if (::rename(unfinished.c_str(), what.path.c_str()) != 0) {
    return system_error("cannot rename " + unfinished, errno);
  }
  return model::sync_folder(fs::path(what.path).parent_path().string());
}

}  // namespace

bool is_below(const std::string& path, const std::string& folder) {
  if (folder.empty() || path.empty() || path.front() != '/') return false;
  if (fs::path(path).lexically_normal().string() != path) return false;
  return path == folder ||
         (path.size() > folder.size() && path.compare(0, folder.size(), folder) == 0 &&
          path[folder.size()] == '/');
}

FileService::FileService() : thread_([this] { run(); }) {}

FileService::~FileService() {
  mailbox_.close();
  thread_.join();
}

void FileService::allow(uint64_t job, const std::string& home,
                        const std::vector<std::string>& reads) {
  const std::lock_guard lock(mutex_);
  allowed_[job] = {home, reads};
}

void FileService::forbid(uint64_t job) {
  const std::lock_guard lock(mutex_);
  allowed_.erase(job);
}

void FileService::node_up(const std::string& node, CopySource source) {
  const std::lock_guard lock(mutex_);
  sources_.up(node, std::move(source));
}

void FileService::node_gone(const std::string& node) {
  const std::lock_guard lock(mutex_);
  sources_.gone(node);
}

void FileService::dropped(const std::string& path) {
  const std::lock_guard lock(mutex_);
  sources_.dropped(path);
}

void FileService::ask(const std::string& node, FileRequest request,
                      std::function<void(FileReply)> answer) {
  mailbox_.put({node, std::move(request), std::move(answer)});
}

Result<std::vector<std::byte>> FileService::hash_parts(const HashParts& what) {
  const auto stamp = stamp_of(what.path);
  if (!stamp) return invalid_argument(what.path + " is not there");
  if (hashed_.size() >= kHashedFilesMax && hashed_.count(what.path) == 0) hashed_.clear();
  Hashed& known = hashed_[what.path];
  if (known.stamp != *stamp) known = {*stamp, {}};
  std::vector<std::byte> digests;
  for (uint32_t i = 0; i < what.count; ++i) {
    const uint64_t at = what.offset + i * kFilePartBytes;
    auto part = known.parts.find(at);
    if (part == known.parts.end()) {
      const auto bytes = read_part({.path = what.path, .offset = at, .size = kFilePartBytes});
      if (!bytes) return bytes.error();
      if (bytes->empty()) break;
      part = known.parts.emplace(at, sha256(*bytes)).first;
    }
    digests.insert(digests.end(), part->second.begin(), part->second.end());
  }
  return digests;
}

void FileService::run() {
  std::vector<Asked> asked;
  while (mailbox_.take(asked)) {
    for (Asked& one : asked) one.answer(serve(one.node, one.request));
    pollfd polled{mailbox_.descriptor(), POLLIN, 0};
    ::poll(&polled, 1, -1);
  }
}

bool FileService::may(uint64_t job, const std::string& path, bool writes) {
  const std::lock_guard lock(mutex_);
  const auto allowed = allowed_.find(job);
  if (allowed == allowed_.end()) return false;
  const std::string& home = allowed->second.home;
  if (writes) {
    return std::any_of(std::begin(kWritable), std::end(kWritable), [&](const char* folder) {
      return is_below(path, home + folder) && path != home + folder;
    });
  }
  const auto& reads = allowed->second.reads;
  return is_below(path, home) || std::any_of(reads.begin(), reads.end(), [&](const auto& folder) {
           return is_below(path, folder);
         });
}

FileReply FileService::serve(const std::string& node, const FileRequest& request) {
  FileReply reply{.request_id = request.request_id};
  const auto refuse = [&](const std::string& path) {
    reply.error = invalid_argument(
        fmt::format("job {} has nothing at {} that a node may ask for", request.job, path));
  };
  std::visit(Overloaded{
                 [&](const ListFolder& list) {
                   if (!may(request.job, list.path, false)) return refuse(list.path);
                   auto files = list_folder(list.path);
                   if (files) {
                     reply.files = std::move(*files);
                   } else {
                     reply.error = files.error();
                   }
                 },
                 [&](const ReadFile& read) {
                   if (!may(request.job, read.path, false)) return refuse(read.path);
                   auto bytes = read_part(read);
                   if (bytes) {
                     reply.bytes = std::move(*bytes);
                   } else {
                     reply.error = bytes.error();
                   }
                 },
                 [&](const WriteFile& write) {
                   if (!may(request.job, write.path, true)) return refuse(write.path);
                   if (Status written = write_part(write); !written) reply.error = written.error();
                 },
                 [&](const AskRoom& room) {
                   if (!may(request.job, room.path, true)) return refuse(room.path);
                   const std::string what = fmt::format("what a node has of job {}", request.job);
                   const Status has = check_room(room.path, room.bytes, "the head's host", what);
                   if (!has) reply.error = has.error();
                 },
                 [&](const HashParts& hash) {
                   if (!may(request.job, hash.path, false)) return refuse(hash.path);
                   auto digests = hash_parts(hash);
                   if (digests) {
                     reply.bytes = std::move(*digests);
                   } else {
                     reply.error = digests.error();
                   }
                 },
                 [&](const FindSource& find) {
                   if (!may(request.job, find.file.path, false)) return refuse(find.file.path);
                   const std::lock_guard lock(mutex_);
                   reply.source = sources_.find(node, find.file, find.failed);
                 },
                 [&](const HaveFile& have) {
                   if (!may(request.job, have.file.path, false)) return refuse(have.file.path);
                   const std::lock_guard lock(mutex_);
                   sources_.has(node, have.file);
                 },
                 [&](const ReadCopy& copy) { refuse(copy.file.path); },
             },
             request.what);
  return reply;
}

}  // namespace troupe::cluster
