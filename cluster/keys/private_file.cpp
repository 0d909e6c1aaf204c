#include "cluster/keys/private_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "model/formats/file.h"
#include "schemas/descriptor.h"
#include "schemas/system_error.h"

namespace troupe::cluster {
namespace {

Error refused(std::string_view what, const std::string& path) {
  return invalid_argument(fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
}

Status write_all(int file, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error("cannot write " + path, errno);
    text.remove_prefix(static_cast<size_t>(written));
  }
  if (::fsync(file) != 0) return system_error("cannot write " + path, errno);
  return ok();
}

}  // namespace

Status create_private_file(const std::string& path, std::string_view text) {
  std::string unfinished = path + ".XXXXXX";
  Descriptor file(::mkostemp(unfinished.data(), O_CLOEXEC));  // Mode 0600.
  if (!file) return refused("create", path);
  Status done = write_all(file.get(), text, path);
  // A second name, because renaming would replace what is there.
  if (done && ::link(unfinished.c_str(), path.c_str()) != 0) {
    done = errno == EEXIST
               ? invalid_argument(path + " is there already; remove it or name another file")
               : refused("create", path);
  }
  ::unlink(unfinished.c_str());
  if (!done) return done;
  const auto folder = std::filesystem::path(path).parent_path().string();
  return model::sync_folder(folder.empty() ? "." : folder);
}

Result<std::string> read_private_file(const std::string& path, size_t bytes_max) {
  // Not waiting, where somebody has put a pipe there.
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return refused("read", path);
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return refused("read", path);
  if (!S_ISREG(about.st_mode)) return invalid_argument(path + " is no plain file");
  if (about.st_uid != ::geteuid()) {
    return invalid_argument(path + " belongs to another user; use a file of your own");
  }
  if ((about.st_mode & 077) != 0) {
    return invalid_argument(
        fmt::format("{} is open to other users; close it with: chmod 600 {}", path, path));
  }
  std::string text(bytes_max + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refused("read", path);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > bytes_max) {
    return invalid_argument(
        fmt::format("{} has more than the {} bytes that it may have", path, bytes_max));
  }
  text.resize(size);
  return text;
}

}  // namespace troupe::cluster
