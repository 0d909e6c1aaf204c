// In one file, because each call of the system is answered from the same state as all others.
#include "tests/support/lossy_disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "schemas/check.h"

namespace troupe::tests {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPageBytes = 4096;
constexpr size_t kSectorBytes = 512;

std::atomic<LossyDisk*> the_disk = nullptr;

// What the disk itself calls is nobody's.
class SystemOnly {
 public:
  SystemOnly() : disk_(the_disk.exchange(nullptr)) {}
  ~SystemOnly() { the_disk = disk_; }
  SystemOnly(const SystemOnly&) = delete;
  SystemOnly& operator=(const SystemOnly&) = delete;

 private:
  LossyDisk* const disk_;
};

int system_open(const char* path, int flags, mode_t mode) {
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
ssize_t system_write(int file, const void* bytes, size_t count, std::optional<off_t> offset) {
  return offset ? ::syscall(SYS_pwrite64, file, bytes, count, *offset)
                : ::syscall(SYS_write, file, bytes, count);
}
int system_rename(const char* from, const char* to) {
  return static_cast<int>(::syscall(SYS_rename, from, to));
}
int system_link(const char* from, const char* to) {
  return static_cast<int>(::syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int system_remove(const char* path, bool is_folder) {
  return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, is_folder ? AT_REMOVEDIR : 0));
}

int failed(int error) {
  errno = error;
  return -1;
}

std::string contents_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Bytes [offset, offset + bytes.size()) of `to`, which grows with zeros.
void put(std::string& to, size_t offset, std::string_view bytes) {
  if (to.size() < offset + bytes.size()) to.resize(offset + bytes.size());
  std::copy(bytes.begin(), bytes.end(), to.begin() + static_cast<ptrdiff_t>(offset));
}

// The same place of both, as far as `from` goes.
void copy_block(const std::string& from, std::string& to, size_t offset, size_t count) {
  if (offset >= from.size()) return;
  put(to, offset, std::string_view(from).substr(offset, count));
}

}  // namespace

LossyDisk::NodePtr LossyDisk::Place::node() const {
  const auto found = folder->entries.find(name);
  return found == folder->entries.end() ? nullptr : found->second;
}

LossyDisk::LossyDisk(const std::string& folder, uint64_t seed)
    : folder_(folder),
      random_(0xD15Cu, kernels::StreamId::kMakeData, seed),
      root_(std::make_shared<Node>()) {
  TROUPE_CHECK(fs::is_empty(folder));
  root_->is_folder = true;
  LossyDisk* none = nullptr;
  TROUPE_CHECK(the_disk.compare_exchange_strong(none, this));
}

LossyDisk::~LossyDisk() { the_disk = nullptr; }

void LossyDisk::arm(const Trigger& trigger) {
  const std::lock_guard guard(mutex_);
  TROUPE_CHECK(trigger.count > 0);
  trigger_ = trigger;
  met_.reset();
}

void LossyDisk::disarm() {
  const std::lock_guard guard(mutex_);
  trigger_.reset();
}

std::optional<LossyDisk::Met> LossyDisk::met() const {
  const std::lock_guard guard(mutex_);
  return met_;
}

bool LossyDisk::is_off() const {
  const std::lock_guard guard(mutex_);
  return off_.has_value();
}

uint64_t LossyDisk::num_calls() const {
  const std::lock_guard guard(mutex_);
  return num_calls_;
}

void LossyDisk::stop(Fault fault) {
  const std::lock_guard guard(mutex_);
  if (!off_) off_ = fault;
}

std::string LossyDisk::kind_of(const std::string& path) {
  const fs::path file(path);
  if (file.extension() == ".log") return "log";
  if (file.extension() == ".sst") return "sst";
  if (file.extension() == ".dbtmp") return "dbtmp";
  const std::string name = file.filename().string();
  return name.substr(0, name.find_first_of("-."));
}

LossyDisk::Step LossyDisk::next_step(Call call, const std::string& kind) {
  if (off_) return Step::kFail;
  ++num_calls_;
  if (!trigger_) return Step::kDo;
  const bool can_meet = trigger_->fault != Fault::kError || call == Call::kWrite ||
                        call == Call::kSync || call == Call::kSyncFolder;
  if (!can_meet || (trigger_->call && *trigger_->call != call) ||
      (!trigger_->kind.empty() && trigger_->kind != kind) || --trigger_->count > 0) {
    return Step::kDo;
  }
  met_ = Met{call, kind};
  const Fault fault = trigger_->fault;
  trigger_.reset();
  if (fault == Fault::kError) return Step::kError;
  off_ = fault;
  // Mostly so that something is left to lose.
  const bool is_sync = call == Call::kSync || call == Call::kSyncFolder;
  return (random_.below(4) == 0) == is_sync ? Step::kDoAndFail : Step::kFail;
}

std::optional<LossyDisk::Place> LossyDisk::place_of(const char* path) const {
  const std::string text(path);
  if (text.compare(0, folder_.size(), folder_) != 0) return std::nullopt;
  if (text.size() > folder_.size() && text[folder_.size()] != '/') return std::nullopt;
  Place place;
  for (const auto& part : fs::path(text.substr(folder_.size()))) {
    const std::string name = part.string();
    if (name.empty() || name == "/" || name == ".") continue;
    TROUPE_CHECK(name != "..");
    place.folder = place.folder ? place.node() : root_;
    if (!place.folder || !place.folder->is_folder) return std::nullopt;
    place.name = name;
  }
  if (!place.folder) return std::nullopt;
  return place;
}

LossyDisk::OpenFile* LossyDisk::find(int file) {
  const auto found = files_.find(file);
  return found == files_.end() ? nullptr : &found->second;
}

// ---- Calls.

int LossyDisk::open(const char* path, int flags, mode_t mode) {
  const std::lock_guard guard(mutex_);
  const bool is_root = folder_ == path;
  const auto place = place_of(path);
  NodePtr node = is_root ? root_ : place ? place->node() : nullptr;
  const bool is_created = place && !node && (flags & O_CREAT) != 0;
  const bool is_emptied = node && (flags & O_TRUNC) != 0;
  Step step = Step::kDo;
  if (is_created) step = next_step(Call::kCreate, kind_of(path));
  if (is_emptied) step = next_step(Call::kResize, kind_of(path));
  if (step == Step::kFail) return failed(EIO);

  const int file = system_open(path, flags, mode);
  if (file < 0) return file;
  files_.erase(file);
  if (is_created) {
    node = std::make_shared<Node>();
    place->folder->entries[place->name] = node;
    place->folder->name_changes.push_back({NameChange::Kind::kCreate, place->name, {}, node});
  }
  if (is_emptied) {
    node->now.clear();
    node->changes.push_back({Change::Kind::kResize, 0, {}});
  }
  if (step == Step::kDoAndFail) {
    ::syscall(SYS_close, file);
    return failed(EIO);
  }
  if (node) files_[file] = {node, path, node->num_errors, (flags & O_ACCMODE) != O_RDONLY};
  return file;
}

void LossyDisk::forget(int file) {
  const std::lock_guard guard(mutex_);
  files_.erase(file);
}

ssize_t LossyDisk::write(int file, const void* bytes, size_t count, std::optional<off_t> offset) {
  const std::lock_guard guard(mutex_);
  OpenFile* const open = find(file);
  // What is open for reading was perhaps closed where nobody could see it.
  if (open == nullptr || !open->is_writable) return system_write(file, bytes, count, offset);
  const Step step = next_step(Call::kWrite, kind_of(open->path));
  if (step == Step::kFail) return failed(EIO);
  if (step == Step::kError) count = random_.below(count + 1);
  const ssize_t written = system_write(file, bytes, count, offset);
  if (written > 0) {
    const auto size = static_cast<size_t>(written);
    const size_t at = offset ? static_cast<size_t>(*offset)
                             : static_cast<size_t>(::lseek(file, 0, SEEK_CUR)) - size;
    std::string change(static_cast<const char*>(bytes), size);
    put(open->node->now, at, change);
    open->node->changes.push_back({Change::Kind::kWrite, at, std::move(change)});
  }
  return step == Step::kDo ? written : failed(EIO);
}

int LossyDisk::resize(int file, off_t size) {
  const std::lock_guard guard(mutex_);
  OpenFile* const open = find(file);
  const auto system = [&] { return static_cast<int>(::syscall(SYS_ftruncate, file, size)); };
  if (open == nullptr || !open->is_writable) return system();
  Node& node = *open->node;
  const auto new_size = static_cast<size_t>(size);
  if (new_size == node.now.size()) return off_ ? failed(EIO) : system();
  const Step step = next_step(Call::kResize, kind_of(open->path));
  if (step == Step::kFail) return failed(EIO);
  if (system() != 0) return -1;
  node.now.resize(new_size);
  node.changes.push_back({Change::Kind::kResize, new_size, {}});
  return step == Step::kDo ? 0 : failed(EIO);
}

// Space alone is nothing that can be lost; a hole is zeros, and whoever closes a file makes one
// behind what it knows to have written.
int LossyDisk::allocate(int file, int mode, off_t offset, off_t count) {
  const std::lock_guard guard(mutex_);
  OpenFile* const open = find(file);
  const bool is_ours = open != nullptr && open->is_writable;
  if (is_ours && off_) return failed(EIO);
  const auto status = static_cast<int>(::syscall(SYS_fallocate, file, mode, offset, count));
  if (status != 0 || !is_ours) return status;
  Node& node = *open->node;
  const auto at = static_cast<size_t>(offset);
  const auto end = at + static_cast<size_t>(count);
  if ((mode & FALLOC_FL_PUNCH_HOLE) != 0 && at < node.now.size()) {
    std::string zeros(std::min(end, node.now.size()) - at, '\0');
    put(node.now, at, zeros);
    node.changes.push_back({Change::Kind::kWrite, at, std::move(zeros)});
  } else if ((mode & FALLOC_FL_KEEP_SIZE) == 0 && end > node.now.size()) {
    node.now.resize(end);
    node.changes.push_back({Change::Kind::kResize, end, {}});
  }
  return status;
}

int LossyDisk::sync(int file, bool with_times) {
  const std::lock_guard guard(mutex_);
  OpenFile* const open = find(file);
  if (open == nullptr) {
    return static_cast<int>(::syscall(with_times ? SYS_fsync : SYS_fdatasync, file));
  }
  Node& node = *open->node;
  const Step step = next_step(node.is_folder ? Call::kSyncFolder : Call::kSync,
                              node.is_folder ? "" : kind_of(open->path));
  if (step == Step::kFail) return failed(EIO);
  if (node.is_folder) {
    if (step == Step::kError) return failed(EIO);
    node.synced_entries = node.entries;
    node.name_changes.clear();
    return step == Step::kDo ? 0 : failed(EIO);
  }
  if (step == Step::kError) fail_sync(node);
  const bool is_news = open->num_errors != node.num_errors;
  open->num_errors = node.num_errors;
  if (step != Step::kError) sync_file(node);
  return step == Step::kDo && !is_news ? 0 : failed(EIO);
}

int LossyDisk::rename(const char* from, const char* to) {
  const std::lock_guard guard(mutex_);
  const auto old_place = place_of(from);
  const auto new_place = place_of(to);
  if (!old_place || !new_place) return system_rename(from, to);
  TROUPE_CHECK(old_place->folder == new_place->folder);
  const Step step = next_step(Call::kRename, kind_of(to));
  if (step == Step::kFail) return failed(EIO);
  if (system_rename(from, to) != 0) return -1;
  Node& folder = *old_place->folder;
  folder.entries[new_place->name] = old_place->node();
  folder.entries.erase(old_place->name);
  folder.name_changes.push_back(
      {NameChange::Kind::kRename, old_place->name, new_place->name, nullptr});
  return step == Step::kDo ? 0 : failed(EIO);
}

int LossyDisk::link(const char* from, const char* to) {
  const std::lock_guard guard(mutex_);
  const auto old_place = place_of(from);
  const auto new_place = place_of(to);
  if (!old_place || !new_place || !old_place->node() || new_place->node()) {
    return system_link(from, to);
  }
  const Step step = next_step(Call::kCreate, kind_of(to));
  if (step == Step::kFail) return failed(EIO);
  if (system_link(from, to) != 0) return -1;
  Node& folder = *new_place->folder;
  folder.entries[new_place->name] = old_place->node();
  folder.name_changes.push_back(
      {NameChange::Kind::kCreate, new_place->name, {}, old_place->node()});
  return step == Step::kDo ? 0 : failed(EIO);
}

int LossyDisk::remove(const char* path, bool is_folder) {
  const std::lock_guard guard(mutex_);
  const auto place = place_of(path);
  if (!place || !place->node()) return system_remove(path, is_folder);
  const Step step = next_step(Call::kRemove, kind_of(path));
  if (step == Step::kFail) return failed(EIO);
  if (system_remove(path, is_folder) != 0) return -1;
  place->folder->entries.erase(place->name);
  place->folder->name_changes.push_back({NameChange::Kind::kRemove, place->name, {}, nullptr});
  return step == Step::kDo ? 0 : failed(EIO);
}

int LossyDisk::make_folder(const char* path, mode_t mode) {
  const std::lock_guard guard(mutex_);
  const auto place = place_of(path);
  const auto system = [&] {
    return static_cast<int>(::syscall(SYS_mkdirat, AT_FDCWD, path, mode));
  };
  if (!place || place->node()) return system();
  const Step step = next_step(Call::kCreate, "");
  if (step == Step::kFail) return failed(EIO);
  if (system() != 0) return -1;
  const auto node = std::make_shared<Node>();
  node->is_folder = true;
  place->folder->entries[place->name] = node;
  place->folder->name_changes.push_back({NameChange::Kind::kCreate, place->name, {}, node});
  return step == Step::kDo ? 0 : failed(EIO);
}

// ---- What is on the disk.

void LossyDisk::sync_file(Node& node) {
  // A size that went down takes what was behind it along, also when the file has grown since.
  size_t size_min = node.synced.size();
  for (const Change& change : node.changes) {
    if (change.kind == Change::Kind::kResize) size_min = std::min(size_min, change.offset);
  }
  node.synced.resize(size_min);
  for (const Change& change : node.changes) {
    if (change.kind == Change::Kind::kResize) continue;
    const size_t first = change.offset / kPageBytes * kPageBytes;
    copy_block(node.now, node.synced, first, change.offset + change.bytes.size() - first);
    // The rest of the last page.
    const size_t end = change.offset + change.bytes.size();
    copy_block(node.now, node.synced, end, (kPageBytes - end % kPageBytes) % kPageBytes);
  }
  node.synced.resize(node.now.size());
  node.changes.clear();
}

void LossyDisk::fail_sync(Node& node) {
  ++node.num_errors;
  std::set<size_t> pages;
  for (const Change& change : node.changes) {
    if (change.kind == Change::Kind::kResize || change.bytes.empty()) continue;
    const size_t last = (change.offset + change.bytes.size() - 1) / kPageBytes;
    for (size_t page = change.offset / kPageBytes; page <= last; ++page) pages.insert(page);
  }
  for (const size_t page : pages) {
    if (random_.below(2) == 0) {
      copy_block(node.now, node.synced, page * kPageBytes, kPageBytes);
    } else {
      ++outcomes_.pages_dropped;
    }
  }
  if (random_.below(2) == 0 || node.synced.size() > node.now.size()) {
    node.synced.resize(node.now.size());
  }
  node.changes.clear();
}

std::string LossyDisk::left_of(const Node& file, const std::string& kind) {
  if (file.changes.empty()) return file.synced;
  std::string left = file.synced;
  const uint64_t mode = random_.below(5);
  if (mode == 0) {
    ++outcomes_.files_as_synced;
    return left;
  }
  if (mode == 1) {
    ++outcomes_.files_kept;
  } else if (mode == 2) {
    ++outcomes_.files_cut;
  }
  if (mode <= 2) {
    size_t num_bytes = 0;
    for (const Change& change : file.changes) num_bytes += change.bytes.size() + 1;
    size_t budget = mode == 1 ? num_bytes : random_.below(num_bytes);
    for (const Change& change : file.changes) {
      if (budget == 0) break;
      --budget;
      if (change.kind == Change::Kind::kResize) {
        left.resize(change.offset);
        continue;
      }
      const size_t count = std::min(budget, change.bytes.size());
      put(left, change.offset, std::string_view(change.bytes).substr(0, count));
      budget -= count;
    }
    return left;
  }
  // The new length, or that of the last block that was written.
  const size_t block = mode == 3 ? kSectorBytes : kPageBytes;
  std::set<size_t> blocks;
  for (const Change& change : file.changes) {
    if (change.kind == Change::Kind::kResize) {
      left.resize(std::min(left.size(), change.offset));
      continue;
    }
    for (size_t at = change.offset / block * block; at < change.offset + change.bytes.size();
         at += block) {
      blocks.insert(at);
    }
  }
  if (mode == 3) ++outcomes_.files_torn;
  torn_.insert(kind);
  for (const size_t at : blocks) {
    if (random_.below(2) == 0) {
      copy_block(file.now, left, at, block);
    } else if (mode == 4) {
      ++outcomes_.pages_zeroed;
    }
  }
  if (random_.below(2) == 0) left.resize(file.now.size());
  return left;
}

std::map<std::string, LossyDisk::NodePtr> LossyDisk::left_in(const Node& folder) {
  auto left = folder.synced_entries;
  const auto& changes = folder.name_changes;
  std::vector<bool> is_kept(changes.size(), false);
  const size_t num_first = random_.below(changes.size() + 1);
  std::fill(is_kept.begin(), is_kept.begin() + static_cast<ptrdiff_t>(num_first), true);
  if (random_.below(2) == 0) {
    // A kept rename has everything before it; behind the last one, no rename is kept.
    size_t first = 0;
    for (size_t i = 0; i < num_first; ++i) {
      if (changes[i].kind == NameChange::Kind::kRename) first = i + 1;
    }
    std::set<std::string> lost;
    for (size_t i = first; i < changes.size(); ++i) {
      is_kept[i] = changes[i].kind != NameChange::Kind::kRename &&
                   lost.count(changes[i].name) == 0 && random_.below(2) == 0;
      if (is_kept[i]) continue;
      lost.insert(changes[i].name);
      lost.insert(changes[i].to);
    }
  }
  for (size_t i = 0; i < changes.size(); ++i) {
    const NameChange& change = changes[i];
    const auto kind = change.kind;
    if (is_kept[i]) ++outcomes_.names_kept;
    if (!is_kept[i]) {
      ++(kind == NameChange::Kind::kCreate   ? outcomes_.creations_lost
         : kind == NameChange::Kind::kRename ? outcomes_.renames_lost
                                             : outcomes_.removals_lost);
    } else if (kind == NameChange::Kind::kCreate) {
      left[change.name] = change.node;
    } else if (kind == NameChange::Kind::kRemove) {
      left.erase(change.name);
    } else {
      left[change.to] = left.at(change.name);
      left.erase(change.name);
    }
  }
  return left;
}

LossyDisk::NodePtr LossyDisk::restored(const Node& node, const std::string& path,
                                       RestoredFiles& files) {
  if (const auto known = files.find(&node); known != files.end()) {
    TROUPE_CHECK(system_link(known->second.path.c_str(), path.c_str()) == 0);
    return known->second.node;
  }
  auto copy = std::make_shared<Node>();
  copy->is_folder = node.is_folder;
  const bool is_lossy = off_ == Fault::kPowerLoss;
  if (!node.is_folder) {
    copy->now = is_lossy ? left_of(node, kind_of(path)) : node.now;
    copy->synced = copy->now;
    std::ofstream(path, std::ios::binary) << copy->now;
    files[&node] = {copy, path};
    return copy;
  }
  TROUPE_CHECK(::syscall(SYS_mkdirat, AT_FDCWD, path.c_str(), 0755) == 0 || errno == EEXIST);
  for (const auto& [name, child] : is_lossy ? left_in(node) : node.entries) {
    copy->entries[name] = restored(*child, path + "/" + name, files);
  }
  copy->synced_entries = copy->entries;
  return copy;
}

void LossyDisk::restart() {
  TROUPE_CHECK(off_.has_value());
  trigger_.reset();
  files_.clear();
  torn_.clear();
  // A process that is killed leaves the system's cache as it is, unsynced as before.
  if (off_ == Fault::kPowerLoss) {
    const SystemOnly guard;
    for (const auto& entry : fs::directory_iterator(folder_)) fs::remove_all(entry.path());
    RestoredFiles files;
    root_ = restored(*root_, folder_, files);
  }
  off_.reset();
}

std::optional<std::string> LossyDisk::difference() {
  const SystemOnly guard;
  std::map<std::string, const Node*> known;
  const auto walk = [&](const auto& self, const Node& node, const std::string& path) -> void {
    for (const auto& [name, child] : node.entries) {
      known[path + "/" + name] = child.get();
      self(self, *child, path + "/" + name);
    }
  };
  walk(walk, *root_, folder_);
  for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
    const auto found = known.find(entry.path().string());
    if (found == known.end()) return entry.path().string() + " appeared";
    const Node& node = *found->second;
    if (node.is_folder != entry.is_directory()) return entry.path().string() + " is another kind";
    if (!node.is_folder && contents_of(entry.path().string()) != node.now) {
      return entry.path().string() + " was changed";
    }
    known.erase(found);
  }
  if (known.empty()) return std::nullopt;
  return known.begin()->first + " disappeared";
}

}  // namespace troupe::tests

// The program's own functions come before the system's, for its libraries too.
namespace {

using troupe::tests::LossyDisk;
using troupe::tests::the_disk;

// The path that a call beside an open folder means.
std::string path_at(int folder, const char* path) {
  if (path[0] == '/' || folder == AT_FDCWD) return path;
  char place[PATH_MAX] = {};
  const std::string link = "/proc/self/fd/" + std::to_string(folder);
  if (::readlink(link.c_str(), place, sizeof(place) - 1) < 0) return path;
  return std::string(place) + "/" + path;
}

mode_t mode_of(int flags, va_list more) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = mode_of(flags, more);
  va_end(more);
  LossyDisk* const disk = the_disk;
  if (disk != nullptr) return disk->open(path, flags, mode);
  return troupe::tests::system_open(path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = mode_of(flags, more);
  va_end(more);
  LossyDisk* const disk = the_disk;
  if (disk != nullptr) return disk->open(path_at(folder, path).c_str(), flags, mode);
  return static_cast<int>(::syscall(SYS_openat, folder, path, flags, mode));
}

int close(int file) {
  if (LossyDisk* const disk = the_disk) disk->forget(file);
  return static_cast<int>(::syscall(SYS_close, file));
}

ssize_t write(int file, const void* bytes, size_t count) {
  LossyDisk* const disk = the_disk;
  if (disk != nullptr) return disk->write(file, bytes, count, std::nullopt);
  return troupe::tests::system_write(file, bytes, count, std::nullopt);
}

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  LossyDisk* const disk = the_disk;
  if (disk != nullptr) return disk->write(file, bytes, count, offset);
  return troupe::tests::system_write(file, bytes, count, offset);
}

int ftruncate(int file, off_t size) noexcept {
  LossyDisk* const disk = the_disk;
  if (disk != nullptr) return disk->resize(file, size);
  return static_cast<int>(::syscall(SYS_ftruncate, file, size));
}

int fallocate(int file, int mode, off_t offset, off_t count) {
  LossyDisk* const disk = the_disk;
  if (disk != nullptr) return disk->allocate(file, mode, offset, count);
  return static_cast<int>(::syscall(SYS_fallocate, file, mode, offset, count));
}

int fsync(int file) {
  LossyDisk* const disk = the_disk;
  if (disk != nullptr) return disk->sync(file, true);
  return static_cast<int>(::syscall(SYS_fsync, file));
}

int fdatasync(int file) {
  LossyDisk* const disk = the_disk;
  if (disk != nullptr) return disk->sync(file, false);
  return static_cast<int>(::syscall(SYS_fdatasync, file));
}

int rename(const char* from, const char* to) noexcept {
  LossyDisk* const disk = the_disk;
  if (disk != nullptr) return disk->rename(from, to);
  return troupe::tests::system_rename(from, to);
}

int link(const char* from, const char* to) noexcept {
  LossyDisk* const disk = the_disk;
  if (disk != nullptr) return disk->link(from, to);
  return troupe::tests::system_link(from, to);
}

int unlink(const char* path) noexcept {
  LossyDisk* const disk = the_disk;
  if (disk != nullptr) return disk->remove(path, false);
  return troupe::tests::system_remove(path, false);
}

int rmdir(const char* path) noexcept {
  LossyDisk* const disk = the_disk;
  if (disk != nullptr) return disk->remove(path, true);
  return troupe::tests::system_remove(path, true);
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  LossyDisk* const disk = the_disk;
  if (disk != nullptr) {
    return disk->remove(path_at(folder, path).c_str(), (flags & AT_REMOVEDIR) != 0);
  }
  return static_cast<int>(::syscall(SYS_unlinkat, folder, path, flags));
}

int remove(const char* path) noexcept {
  struct stat status {};
  const bool is_folder = ::lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
  return is_folder ? ::rmdir(path) : ::unlink(path);
}

int mkdir(const char* path, mode_t mode) noexcept {
  LossyDisk* const disk = the_disk;
  if (disk != nullptr) return disk->make_folder(path, mode);
  return static_cast<int>(::syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

// The database waits a second where it could not write a table, for a person to make space.
int wait_for_nobody(useconds_t) __asm__("usleep");
int wait_for_nobody(useconds_t) { return 0; }

}  // extern "C"
