#include "actors/replay/mark_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "model/formats/file.h"
#include "schemas/hash.h"
#include "schemas/system_error.h"

namespace troupe::actors {
namespace {

// A slot is one sector, so that two slots never share what a failing write may tear.
constexpr size_t kSlotBytes = 512;
constexpr std::array<char, 8> kMagic = {'T', 'R', 'P', 'M', 'A', 'R', 'K', '1'};
using Slot = std::array<std::byte, kSlotBytes>;

struct Content {
  uint64_t counter = 0;
  uint64_t value = 0;
};

void put_u64(std::byte* to, uint64_t x) {
  for (int i = 0; i < 8; ++i) to[i] = static_cast<std::byte>(x >> (8 * i));
}
uint64_t get_u64(const std::byte* from) {
  uint64_t x = 0;
  for (int i = 0; i < 8; ++i) x |= static_cast<uint64_t>(from[i]) << (8 * i);
  return x;
}

// magic(8) counter(8) value(8), both little-endian, their SHA-256 in hexadecimal (64), zeros.
Slot encode(const Content& content) {
  Slot slot{};
  std::memcpy(slot.data(), kMagic.data(), kMagic.size());
  put_u64(slot.data() + 8, content.counter);
  put_u64(slot.data() + 16, content.value);
  const std::string digest = sha256_hex(std::span(slot).first(24));
  std::memcpy(slot.data() + 24, digest.data(), digest.size());
  return slot;
}

std::optional<Content> decode(const Slot& slot) {
  const Content content{get_u64(slot.data() + 8), get_u64(slot.data() + 16)};
  if (encode(content) != slot) return std::nullopt;
  return content;
}

off_t offset_of(uint64_t counter) { return static_cast<off_t>((counter & 1) * kSlotBytes); }

Error failed(const char* what, const std::string& path) {
  return system_error(fmt::format("cannot {} {}", what, path), errno);
}

}  // namespace

Result<std::optional<MarkFile>> MarkFile::open(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return std::optional<MarkFile>();
  if (file < 0) return failed("open", path);
  std::optional<Content> newest;
  for (uint64_t i = 0; i < 2; ++i) {
    Slot slot{};
    if (::pread(file, slot.data(), slot.size(), offset_of(i)) != kSlotBytes) continue;
    const auto content = decode(slot);
    // A whole slot in the other's place was not written by us.
    if (!content || (content->counter & 1) != i) continue;
    if (!newest || content->counter > newest->counter) newest = content;
  }
  if (!newest) {
    ::close(file);
    return Error{ErrorCode::kCorruption,
                 fmt::format("{}: both slots are damaged, so nobody can say how many commits were "
                             "acknowledged; restore the whole folder from a copy",
                             path)};
  }
  // Who wrote it may have been killed before syncing it.
  MarkFile mark(file, path, newest->counter - 1, newest->value);
  mark.is_synced_ = false;
  return std::optional(std::move(mark));
}

Result<MarkFile> MarkFile::create(const std::string& path, uint64_t value) {
  const Slot slots[2] = {encode({2, value}), encode({1, value})};
  const std::span<const std::byte> pieces[] = {slots[0], slots[1]};
  if (Status status = model::write_file(path, pieces); !status) return status.error();
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return failed("open", path);
  return MarkFile(file, path, 2, value);
}

MarkFile::MarkFile(int file, std::string path, uint64_t counter, uint64_t value)
    : file_(file), path_(std::move(path)), counter_(counter), value_(value) {}

MarkFile::MarkFile(MarkFile&& other) noexcept
    : file_(std::exchange(other.file_, -1)),
      path_(std::move(other.path_)),
      counter_(other.counter_),
      value_(other.value_),
      is_synced_(other.is_synced_) {}

MarkFile& MarkFile::operator=(MarkFile&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(path_, other.path_);
  std::swap(counter_, other.counter_);
  std::swap(value_, other.value_);
  std::swap(is_synced_, other.is_synced_);
  return *this;
}

MarkFile::~MarkFile() {
  if (file_ >= 0) ::close(file_);
}

Status MarkFile::write(uint64_t value) {
  // Until a sync succeeds it is the same slot: the other one is known to be on the disk.
  is_synced_ = false;
  const Slot slot = encode({counter_ + 1, value});
  const ssize_t written = ::pwrite(file_, slot.data(), slot.size(), offset_of(counter_ + 1));
  if (written != static_cast<ssize_t>(slot.size())) {
    // Of a full disk a part is written first.
    if (written >= 0) errno = ENOSPC;
    return failed("write", path_);
  }
  value_ = value;
  return ok();
}

Status MarkFile::sync() {
  if (is_synced_) return ok();
  if (::fdatasync(file_) != 0) return failed("sync", path_);
  ++counter_;
  is_synced_ = true;
  return ok();
}

}  // namespace troupe::actors
