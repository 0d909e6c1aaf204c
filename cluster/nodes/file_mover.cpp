#include "cluster/nodes/file_mover.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <span>
#include <utility>

#include "cluster/nodes/disk_room.h"
#include "cluster/nodes/file_part.h"
#include "cluster/nodes/file_time.h"
#include "schemas/descriptor.h"
#include "schemas/hash.h"
#include "schemas/system_error.h"

namespace troupe::cluster {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPiecesAtOnce = 8;
constexpr auto kAskAgain = std::chrono::seconds(3);
constexpr auto kTryAgain = std::chrono::seconds(1);  // When there is no room.

bool is_weights(const std::string& name) {
  constexpr std::string_view kEnd = ".safetensors";
  return name.size() >= kEnd.size() &&
         name.compare(name.size() - kEnd.size(), kEnd.size(), kEnd) == 0;
}

Status read_fully(int file, uint64_t offset, std::span<std::byte> bytes, const std::string& path) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n =
        ::pread(file, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return system_error("cannot read " + path, n < 0 ? errno : EIO);
    done += static_cast<size_t>(n);
  }
  return ok();
}

Status write_fully(int file, std::span<const std::byte> bytes, const std::string& path) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::write(file, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("cannot write " + path, errno);
    done += static_cast<size_t>(n);
  }
  return ok();
}

bool is_here(const std::string& path, const FileEntry& entry) {
  return stamp_of(path) == FileStamp{entry.bytes, entry.modified_ns};
}

// Of part i, among digests of 32 bytes each.
bool has_digest(std::span<const std::byte> part, std::span<const std::byte> digests, size_t i) {
  constexpr size_t kBytes = sizeof(Sha256Digest);
  if (part.empty() || digests.size() < (i + 1) * kBytes) return false;
  const Sha256Digest digest = sha256(part);
  return std::equal(digest.begin(), digest.end(), digests.begin() + i * kBytes);
}

Error stopped() { return {ErrorCode::kInternal, "this daemon is about to end"}; }

}  // namespace

FileMover::FileMover(std::function<void(FileRequest)> ask, std::string whose,
                     std::optional<Peers> peers)
    : ask_(std::move(ask)), whose_(std::move(whose)), peers_(std::move(peers)) {}

FileMover::~FileMover() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  // Nobody adds to them any more.
  for (auto& [job, lane] : lanes_) lane.thread.join();
}

void FileMover::fetch(uint64_t job, std::vector<FileMove> files, Done done, Waits waits) {
  add(job, {true, std::move(files), std::move(done), std::move(waits)});
}

void FileMover::push(uint64_t job, std::vector<FileMove> files, Done done, Waits waits) {
  add(job, {false, std::move(files), std::move(done), std::move(waits)});
}

void FileMover::add(uint64_t job, Task task) {
  const std::lock_guard lock(mutex_);
  if (is_ending_) return;
  // Threads that have nothing to do have ended.
  for (auto lane = lanes_.begin(); lane != lanes_.end();) {
    if (lane->second.is_running) {
      ++lane;
      continue;
    }
    lane->second.thread.join();
    lane = lanes_.erase(lane);
  }
  Lane& lane = lanes_[job];
  lane.tasks.push_back(std::move(task));
  if (std::exchange(lane.is_running, true)) return;
  lane.thread = std::thread([this, job, &lane] { run(job, lane); });
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

void FileMover::connected() {
  {
    const std::lock_guard lock(mutex_);
    ++connections_;
  }
  changed_.notify_all();
}

uint64_t FileMover::bytes_moved() const {
  const std::lock_guard lock(mutex_);
  return bytes_moved_;
}
uint64_t FileMover::bytes_from_peers() const {
  const std::lock_guard lock(mutex_);
  return bytes_from_peers_;
}
bool FileMover::is_ending() const {
  const std::lock_guard lock(mutex_);
  return is_ending_;
}

void FileMover::run(uint64_t job, Lane& lane) {
  while (true) {
    Task task;
    {
      const std::lock_guard lock(mutex_);
      if (is_ending_ || lane.tasks.empty()) {
        lane.is_running = false;
        return;
      }
      task = std::move(lane.tasks.front());
      lane.tasks.pop_front();
    }
    bool is_waiting = false;
    Status status = ok();
    while (true) {
      status = move(job, lane, task);
      if (status || status.error().code != ErrorCode::kExhausted) break;
      if (!std::exchange(is_waiting, true) && task.waits) task.waits(status.error().message);
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, kTryAgain, [this] { return is_ending_; })) return;
    }
    {
      const std::lock_guard lock(mutex_);
      if (is_ending_) return;
    }
    task.done(std::move(status));
  }
}

Status FileMover::move(uint64_t job, Lane& lane, const Task& task) {
  const Status status =
      task.is_fetch ? fetch_all(job, lane, task.files) : push_all(job, task.files);
  const std::lock_guard lock(mutex_);
  lane.promised_bytes = 0;
  return status;
}

Result<std::vector<FileReply>> FileMover::ask_all(uint64_t job, std::vector<FileRequest> requests) {
  std::unique_lock lock(mutex_);
  for (FileRequest& request : requests) {
    request.job = job;
    request.request_id = next_request_++;
    awaited_.insert(request.request_id);
  }
  const auto are_answered = [&] {
    return std::all_of(requests.begin(), requests.end(),
                       [this](const auto& one) { return replies_.count(one.request_id) > 0; });
  };
  while (!is_ending_ && !are_answered()) {
    for (const FileRequest& request : requests) {
      if (replies_.count(request.request_id) == 0) ask_(request);
    }
    changed_.wait_for(lock, kAskAgain, [&, connections = connections_] {
      return is_ending_ || connections_ != connections || are_answered();
    });
  }
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

Status FileMover::fetch_all(uint64_t job, Lane& lane, const std::vector<FileMove>& moves) {
  std::vector<FileToFetch> files;
  uint64_t lacking = 0;
  const FileToFetch* largest = nullptr;
  for (const FileMove& move : moves) {
    auto listed = ask_all(job, {{.what = ListFolder{move.at_head}}});
    if (!listed) return listed.error();
    for (FileEntry& file : listed->front().files) {
      if (move.without_weights && is_weights(file.name)) continue;
      if (file.name.find("..") != std::string::npos) continue;
      const std::string end = file.name.empty() ? "" : "/" + file.name;
      files.push_back({move.at_head + end, move.here + end, std::move(file)});
    }
  }
  for (const FileToFetch& file : files) {
    if (is_here(file.here, file.entry)) continue;
    lacking += file.entry.bytes;
    if (largest == nullptr || file.entry.bytes > largest->entry.bytes) largest = &file;
  }
  if (largest != nullptr) {
    const std::lock_guard lock(mutex_);
    uint64_t promised = 0;
    for (const auto& [other, of] : lanes_) promised += other == job ? 0 : of.promised_bytes;
    const std::string what =
        fmt::format("what job {} reads there, {} the largest of it,", job, largest->at_head);
    if (Status room = check_room(largest->here, lacking, whose_, what, promised); !room) {
      return room;
    }
    lane.promised_bytes = lacking;
  }
  for (const FileToFetch& file : files) {
    if (Status fetched = fetch_file(job, lane, file); !fetched) return fetched;
  }
  return ok();
}

Status FileMover::fetch_file(uint64_t job, Lane& lane, const FileToFetch& file) {
  {
    // Another job may be about to bring the same model.
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return is_ending_ || coming_.count(file.here) == 0; });
    if (is_ending_) return stopped();
    coming_.insert(file.here);
  }
  Status status = ok();
  if (is_here(file.here, file.entry)) {
    status = say_that_it_is_here(job, file);
  } else {
    // A file has its name once it is whole.
    const std::string unfinished = file.here + kUnfinished;
    std::error_code ignored;
    fs::create_directories(fs::path(file.here).parent_path(), ignored);
    const Descriptor to(::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!to) {
      status = system_error("cannot write " + unfinished, errno);
    } else {
      status = fetch_bytes(job, lane, file, to.get());
    }
    if (status && (!set_modified(to.get(), file.entry.modified_ns) ||
                   ::rename(unfinished.c_str(), file.here.c_str()) != 0)) {
      status = system_error("cannot rename " + unfinished, errno);
    }
    if (status) {
      status = say_that_it_is_here(job, file);
    } else {
      if (peers_) peers_->shelf->give_up(file.version());
      ::unlink(unfinished.c_str());
    }
  }
  {
    const std::lock_guard lock(mutex_);
    coming_.erase(file.here);
  }
  changed_.notify_all();
  return status;
}

Status FileMover::fetch_bytes(uint64_t job, Lane& lane, const FileToFetch& file, int to) {
  const uint64_t bytes = file.entry.bytes;
  Transfer transfer{.job = job,
                    .lane = lane,
                    .file = file,
                    .to = to,
                    .old_copy = Descriptor(::open(file.here.c_str(), O_RDONLY | O_CLOEXEC))};
  if (is_for_peers(file.entry)) {
    peers_->shelf->begin(file.version(), file.here + kUnfinished);
    if (Status found = find_source(transfer, ""); !found) return found;
  }
  constexpr uint64_t kWindow = kHashPartsMax * kFilePartBytes;
  for (uint64_t at = 0; at < bytes; at += kWindow) {
    const uint64_t end = std::min(at + kWindow, bytes);
    if (Status fetched = fetch_window(transfer, at, end); !fetched) return fetched;
  }
  return ok();
}

Status FileMover::fetch_window(Transfer& transfer, uint64_t begin, uint64_t end) {
  const FileToFetch& file = transfer.file;
  const uint64_t bytes = file.entry.bytes;
  Digests digests;
  if (transfer.old_copy || transfer.reader) {
    const auto count = static_cast<uint32_t>((end - begin + kFilePartBytes - 1) / kFilePartBytes);
    auto replies = ask_all(transfer.job, {{.what = HashParts{file.at_head, begin, count}}});
    if (!replies) return replies.error();
    digests = std::move(replies->front().bytes);
  }
  // The part that is here already, in another version of the file.
  const auto old_part = [&](uint64_t at) -> std::vector<std::byte> {
    if (!transfer.old_copy) return {};
    auto part = read_part(transfer.old_copy.get(), at, kFilePartBytes, file.here);
    if (!part) return {};
    part->resize(std::min<uint64_t>(part->size(), bytes - at));
    return has_digest(*part, digests, (at - begin) / kFilePartBytes) ? std::move(*part)
                                                                     : std::vector<std::byte>{};
  };
  const auto write = [&](const std::vector<std::byte>& part, From from, uint64_t at) {
    if (Status s = write_fully(transfer.to, part, file.here); !s) return s;
    count_written(transfer.lane, part.size(), from);
    if (is_for_peers(file.entry)) peers_->shelf->grew(file.version(), at + part.size());
    return ok();
  };
  for (uint64_t at = begin; at < end;) {
    std::vector<uint64_t> offsets;
    std::vector<std::byte> old;
    for (uint64_t next = at; next < end && offsets.size() < kPiecesAtOnce; next += kFilePartBytes) {
      old = old_part(next);
      if (!old.empty()) break;
      offsets.push_back(next);
    }
    if (!offsets.empty()) {
      auto parts = read_parts(transfer, offsets, digests, begin);
      if (!parts) return parts.error();
      const From from = transfer.reader ? From::kPeer : From::kHead;
      for (const std::vector<std::byte>& part : *parts) {
        if (part.size() != std::min<uint64_t>(kFilePartBytes, bytes - at)) {
          return Error{ErrorCode::kInternal, file.at_head + " has changed while it was read"};
        }
        if (Status s = write(part, from, at); !s) return s;
        at += part.size();
      }
    }
    if (!old.empty()) {
      if (Status s = write(old, From::kHere, at); !s) return s;
      at += old.size();
    }
  }
  return ok();
}

Result<std::vector<std::vector<std::byte>>> FileMover::read_parts(
    Transfer& transfer, const std::vector<uint64_t>& offsets, const Digests& digests,
    uint64_t begin) {
  const FileToFetch& file = transfer.file;
  while (transfer.reader) {
    auto parts = transfer.reader->read(file.version(), offsets, [this] { return is_ending(); });
    if (is_ending()) return stopped();
    bool are_right = static_cast<bool>(parts);
    for (size_t i = 0; are_right && i < offsets.size(); ++i) {
      are_right = has_digest((*parts)[i], digests, (offsets[i] - begin) / kFilePartBytes);
    }
    if (are_right) return parts;
    if (Status found = find_source(transfer, transfer.source.node); !found) return found.error();
  }
  std::vector<FileRequest> requests;
  for (const uint64_t offset : offsets) {
    requests.push_back({.what = ReadFile{file.at_head, offset, kFilePartBytes}});
  }
  auto replies = ask_all(transfer.job, std::move(requests));
  if (!replies) return replies.error();
  std::vector<std::vector<std::byte>> parts;
  for (FileReply& reply : *replies) parts.push_back(std::move(reply.bytes));
  return parts;
}

bool FileMover::is_for_peers(const FileEntry& entry) const {
  return peers_ && entry.bytes >= kFilePartBytes;
}

Status FileMover::find_source(Transfer& transfer, const std::string& failed) {
  std::string bad = failed;
  while (true) {
    transfer.reader.reset();
    auto replies = ask_all(transfer.job, {{.what = FindSource{transfer.file.version(), bad}}});
    if (!replies) return replies.error();
    transfer.source = std::move(replies->front().source);
    if (transfer.source.node.empty()) return ok();
    auto reader = PeerReader::open(transfer.source, peers_->key);
    if (reader) {
      transfer.reader = std::move(*reader);
      return ok();
    }
    bad = transfer.source.node;
  }
}

// To the head, for others that want it.
Status FileMover::say_that_it_is_here(uint64_t job, const FileToFetch& file) {
  if (!is_for_peers(file.entry) || !peers_->shelf->finish(file.version(), file.here)) return ok();
  auto replies = ask_all(job, {{.what = HaveFile{file.version()}}});
  return replies ? ok() : Status(replies.error());
}

void FileMover::count_written(Lane& lane, uint64_t bytes, From from) {
  const std::lock_guard lock(mutex_);
  lane.promised_bytes -= std::min(lane.promised_bytes, bytes);
  if (from != From::kHere) bytes_moved_ += bytes;
  if (from == From::kPeer) bytes_from_peers_ += bytes;
}

Status FileMover::push_all(uint64_t job, const std::vector<FileMove>& files) {
  uint64_t bytes = 0;
  for (const FileMove& file : files) {
    if (const auto stamp = stamp_of(file.here)) bytes += stamp->bytes;
  }
  if (bytes > 0) {
    auto room = ask_all(job, {{.what = AskRoom{files.front().at_head, bytes}}});
    if (!room) return room.error();
  }
  for (const FileMove& file : files) {
    if (Status pushed = push_one(job, file); !pushed) return pushed;
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
    piece.bytes.resize(std::min<uint64_t>(kFilePartBytes, bytes - at));
    const size_t done = piece.bytes.size();
    if (Status s = read_fully(file.get(), at, piece.bytes, move.here); !s) return s;
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
