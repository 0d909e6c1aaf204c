#include "cluster/nodes/copy_shelf.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>

#include "cluster/nodes/file_part.h"

namespace troupe::cluster {
namespace {

// A node holds models and the newest versions and points of its jobs: far fewer.
constexpr size_t kCopiesMax = 4'096;

}  // namespace

void CopyShelf::begin(const FileVersion& file, const std::string& here) {
  auto open = std::make_shared<const Descriptor>(::open(here.c_str(), O_RDONLY | O_CLOEXEC));
  put(file, {.here = here, .file = std::move(open)});
}

void CopyShelf::put(const FileVersion& file, Copy copy) {
  {
    const std::lock_guard lock(mutex_);
    if (copies_.size() >= kCopiesMax) copies_.erase(copies_.begin());
    copies_[file] = std::move(copy);
  }
  changed();
}

void CopyShelf::grew(const FileVersion& file, uint64_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    const auto copy = copies_.find(file);
    if (copy == copies_.end()) return;
    copy->second.bytes = bytes;
  }
  changed();
}

bool CopyShelf::finish(const FileVersion& file, const std::string& here) {
  {
    const std::lock_guard lock(mutex_);
    const auto copy = copies_.find(file);
    if (copy != copies_.end() && !copy->second.file && copy->second.here == here) return false;
  }
  put(file, {.here = here, .bytes = file.bytes});
  return true;
}

void CopyShelf::give_up(const FileVersion& file) {
  {
    const std::lock_guard lock(mutex_);
    copies_.erase(file);
  }
  changed();
}

std::optional<Result<std::vector<std::byte>>> CopyShelf::read(const ReadCopy& what) const {
  Copy copy;
  {
    const std::lock_guard lock(mutex_);
    const auto found = copies_.find(what.file);
    if (found == copies_.end() || what.offset > what.file.bytes) {
      return Error{ErrorCode::kInternal, fmt::format("no copy of {} is here", what.file.path)};
    }
    copy = found->second;
  }
  if (std::min(what.offset + what.size, what.file.bytes) > copy.bytes) return std::nullopt;
  // What was put in its place since has other digests.
  if (copy.file) return read_part(copy.file->get(), what.offset, what.size, copy.here);
  return read_part({.path = std::move(copy.here), .offset = what.offset, .size = what.size});
}

void CopyShelf::on_change(std::function<void()> changed) {
  const std::lock_guard lock(mutex_);
  changed_ = std::move(changed);
}

void CopyShelf::changed() const {
  const std::lock_guard lock(mutex_);
  if (changed_) changed_();
}

}  // namespace troupe::cluster
