#include "model/formats/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "schemas/system_error.h"

namespace troupe::model {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int value) : value_(value) {}
  ~FileDescriptor() {
    if (value_ >= 0) ::close(value_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;

  int get() const { return value_; }
  // The last chance to hear of a failed write, so writers call it and look.
  int close() { return ::close(std::exchange(value_, -1)); }

 private:
  int value_;
};

Error failed(const char* what, const std::string& path) {
  return system_error(fmt::format("{} {}", what, path), errno);
}

Status write_all(int file, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("cannot write", path);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return ok();
}

Status write_new(const std::string& path, std::span<const std::span<const std::byte>> pieces,
                 Durability durability) {
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.get() < 0) return failed("cannot create", path);
  for (const auto& piece : pieces) {
    if (Status status = write_all(file.get(), piece, path); !status) return status;
  }
  if (durability == Durability::kSynced && ::fsync(file.get()) != 0) {
    return failed("cannot sync", path);
  }
  if (file.close() != 0) return failed("cannot write", path);
  return ok();
}

}  // namespace

Status share_file(const std::string& from, const std::string& to, Durability durability) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_hard_link(from, to, error);
  if (error) fs::copy_file(from, to, error);
  if (error) {
    return system_error(fmt::format("cannot copy {} to {}", from, to), error.value());
  }
  if (durability == Durability::kNone) return ok();
  const FileDescriptor file(::open(to.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 || ::fsync(file.get()) != 0) return failed("cannot sync", to);
  return ok();
}

bool is_file(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

Result<std::string> read_file(const std::string& path, size_t bytes_max) {
  auto text = read_start(path, bytes_max + 1);
  if (text && text->size() > bytes_max) {
    return invalid_argument(
        fmt::format("{} is longer than {} bytes; is it the right file?", path, bytes_max));
  }
  return text;
}

Result<std::string> read_start(const std::string& path, size_t bytes) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    return invalid_argument(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  }
  std::string text;
  std::array<char, 65536> buffer{};
  while (text.size() < bytes) {
    const ssize_t count =
        ::read(file.get(), buffer.data(), std::min(buffer.size(), bytes - text.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return invalid_argument(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
    }
    if (count == 0) break;
    text.append(buffer.data(), static_cast<size_t>(count));
  }
  return text;
}

Status write_file(const std::string& path, std::span<const std::span<const std::byte>> pieces,
                  Durability durability) {
  // The process id keeps two processes that write the same file from sharing a temporary one.
  const std::string temporary = fmt::format("{}.{}.tmp", path, ::getpid());
  if (Status status = write_new(temporary, pieces, durability); !status) {
    ::unlink(temporary.c_str());
    return status;
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const Error error = failed("cannot rename a temporary file to", path);
    ::unlink(temporary.c_str());
    return error;
  }
  if (durability == Durability::kNone) return ok();
  // Without this the new name itself may be lost in a power failure.
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::string folder = parent.empty() ? std::string(1, '.') : parent.string();
  return sync_folder(folder);
}

Status write_file(const std::string& path, const std::string& text) {
  const std::span<const std::byte> piece = std::as_bytes(std::span(text.data(), text.size()));
  return write_file(path, std::span(&piece, 1));
}

Status create_folders(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path folder = fs::absolute(path, error).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  // The innermost is synced also when it is there: who created it may have been killed since.
  fs::path last_synced = folder.parent_path();
  while (!fs::exists(last_synced, error) && last_synced.has_relative_path()) {
    last_synced = last_synced.parent_path();
  }
  fs::create_directories(folder, error);
  if (is_exhaustion(error.value())) return system_error("cannot create " + path, error.value());
  if (error) return invalid_argument("cannot create " + path + ": " + error.message());
  while (folder != last_synced && folder.has_relative_path()) {
    folder = folder.parent_path();
    if (Status status = sync_folder(folder.string()); !status) return status;
  }
  return ok();
}

Status sync_folder(const std::string& folder) {
  const FileDescriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || ::fsync(directory.get()) != 0) return failed("cannot sync", folder);
  return ok();
}

}  // namespace troupe::model
