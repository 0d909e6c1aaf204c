#include "cluster/nodes/file_mover.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <utility>

#include "cluster/nodes/file_time.h"
#include "schemas/descriptor.h"
#include "schemas/system_error.h"

namespace troupe::cluster {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kPieceBytes = 1 << 20;
constexpr size_t kPiecesAtOnce = 8;
constexpr auto kAskAgain = std::chrono::seconds(3);
constexpr auto kTryAgain = std::chrono::seconds(1);  // When there is no room.

bool is_weights(const std::string& name) {
  constexpr std::string_view kEnd = ".safetensors";
  return name.size() >= kEnd.size() &&
         name.compare(name.size() - kEnd.size(), kEnd.size(), kEnd) == 0;
}

Error stopped() { return {ErrorCode::kInternal, "this daemon is about to end"}; }

}  // namespace

FileMover::FileMover(std::function<void(FileRequest)> ask)
    : ask_(std::move(ask)), thread_([this] { run(); }) {}

FileMover::~FileMover() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void FileMover::fetch(uint64_t job, std::vector<FileMove> files, Done done) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back({job, true, std::move(files), std::move(done)});
  }
  changed_.notify_all();
}

void FileMover::push(uint64_t job, std::vector<FileMove> files, Done done) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back({job, false, std::move(files), std::move(done)});
  }
  changed_.notify_all();
}

void FileMover::answered(FileReply reply) {
  {
    const std::lock_guard lock(mutex_);
    if (awaited_.erase(reply.request_id) == 0) return;  // The answer to an earlier try came too.
    const uint64_t id = reply.request_id;
    replies_[id] = std::move(reply);
  }
  changed_.notify_all();
}

uint64_t FileMover::bytes_moved() const {
  const std::lock_guard lock(mutex_);
  return bytes_moved_;
}

void FileMover::run() {
  while (true) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return is_ending_ || !tasks_.empty(); });
      if (is_ending_) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    Status status = ok();
    for (const FileMove& move : task.files) {
      while (true) {
        status = task.is_fetch ? fetch_one(task.job, move) : push_one(task.job, move);
        if (status || status.error().code != ErrorCode::kExhausted) break;
        std::unique_lock lock(mutex_);
        if (changed_.wait_for(lock, kTryAgain, [this] { return is_ending_; })) return;
      }
      if (!status) break;
    }
    {
      const std::lock_guard lock(mutex_);
      if (is_ending_) return;
    }
    task.done(std::move(status));
  }
}

Result<std::vector<FileReply>> FileMover::ask_all(uint64_t job, std::vector<FileRequest> requests) {
  std::unique_lock lock(mutex_);
  for (FileRequest& request : requests) {
    request.job = job;
    request.request_id = next_request_++;
    awaited_.insert(request.request_id);
  }
  const auto all_answered = [&] {
    return is_ending_ || std::all_of(requests.begin(), requests.end(), [this](const auto& one) {
             return replies_.count(one.request_id) > 0;
           });
  };
  do {
    for (const FileRequest& request : requests) {
      if (replies_.count(request.request_id) == 0) ask_(request);
    }
  } while (!changed_.wait_for(lock, kAskAgain, all_answered));
  if (is_ending_) return stopped();
  std::vector<FileReply> replies;
  for (const FileRequest& request : requests) {
    replies.push_back(std::move(replies_.extract(request.request_id).mapped()));
    if (replies.back().error) {
      const Error error = *replies.back().error;
      for (const FileRequest& other : requests) {
        awaited_.erase(other.request_id);
        replies_.erase(other.request_id);
      }
      return error;
    }
  }
  return replies;
}

Status FileMover::fetch_one(uint64_t job, const FileMove& move) {
  auto listed = ask_all(job, {{.what = ListFolder{move.at_head}}});
  if (!listed) return listed.error();
  for (const FileEntry& file : listed->front().files) {
    if (move.without_weights && is_weights(file.name)) continue;
    if (file.name.find("..") != std::string::npos) continue;
    const std::string end = file.name.empty() ? "" : "/" + file.name;
    if (Status s = fetch_file(job, move.at_head + end, move.here + end, file); !s) return s;
  }
  return ok();
}

Status FileMover::fetch_file(uint64_t job, const std::string& at_head, const std::string& here,
                             const FileEntry& entry) {
  // A file has its name once it is whole.
  const uint64_t bytes = entry.bytes;
  if (stamp_of(here) == FileStamp{bytes, entry.modified_ns}) return ok();
  const std::string unfinished = here + ".coming";
  std::error_code ignored;
  fs::create_directories(fs::path(here).parent_path(), ignored);
  const Descriptor file(::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (file.get() < 0) return system_error("cannot write " + unfinished, errno);
  for (uint64_t at = 0; at < bytes;) {
    std::vector<FileRequest> requests;
    for (uint64_t next = at; next < bytes && requests.size() < kPiecesAtOnce; next += kPieceBytes) {
      requests.push_back({.what = ReadFile{at_head, next, kPieceBytes}});
    }
    auto replies = ask_all(job, std::move(requests));
    if (!replies) return replies.error();
    for (const FileReply& reply : *replies) {
      if (reply.bytes.size() != std::min<uint64_t>(kPieceBytes, bytes - at)) {
        return Error{ErrorCode::kInternal, at_head + " has changed while it was read"};
      }
      size_t done = 0;
      while (done < reply.bytes.size()) {
        const ssize_t n = ::write(file.get(), reply.bytes.data() + done, reply.bytes.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error("cannot write " + unfinished, errno);
        done += static_cast<size_t>(n);
      }
      at += reply.bytes.size();
      const std::lock_guard lock(mutex_);
      bytes_moved_ += reply.bytes.size();
    }
  }
  if (!set_modified(file.get(), entry.modified_ns) ||
      ::rename(unfinished.c_str(), here.c_str()) != 0) {
    return system_error("cannot rename " + unfinished, errno);
  }
  return ok();
}

Status FileMover::push_one(uint64_t job, const FileMove& move) {
  const Descriptor file(::open(move.here.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return system_error("cannot read " + move.here, errno);
  struct stat found {};
  if (::fstat(file.get(), &found) != 0) return system_error("cannot read " + move.here, errno);
  const auto [bytes, modified_ns] = stamp_of(found);
  std::vector<FileRequest> requests;
  for (uint64_t at = 0; at < bytes || at == 0;) {
    WriteFile piece{.path = move.at_head, .offset = at};
    piece.bytes.resize(std::min<uint64_t>(kPieceBytes, bytes - at));
    size_t done = 0;
    while (done < piece.bytes.size()) {
      const ssize_t n = ::pread(file.get(), piece.bytes.data() + done, piece.bytes.size() - done,
                                static_cast<off_t>(at + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return system_error("cannot read " + move.here, n < 0 ? errno : EIO);
      done += static_cast<size_t>(n);
    }
    at += done;
    piece.is_last = at == bytes;
    piece.modified_ns = modified_ns;
    const bool is_last = piece.is_last;
    // The last alone: it is taken when all others are there.
    if (is_last && !requests.empty()) {
      if (auto replies = ask_all(job, std::exchange(requests, {})); !replies) {
        return replies.error();
      }
    }
    requests.push_back({.what = std::move(piece)});
    if (is_last || requests.size() == kPiecesAtOnce) {
      if (auto replies = ask_all(job, std::exchange(requests, {})); !replies) {
        return replies.error();
      }
    }
    {
      const std::lock_guard lock(mutex_);
      bytes_moved_ += done;
    }
    if (is_last) break;
  }
  return ok();
}

}  // namespace troupe::cluster
