#include "actors/verifier/sandbox/descriptor.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>

namespace troupe::actors::sandbox {

Pipe make_pipe() {
  std::array<int, 2> ends = {-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {};
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

Descriptor sealed_file(std::string_view content) {
  Descriptor file(::memfd_create("box", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return {};
  while (!content.empty()) {
    const ssize_t written = ::write(file.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return {};
    content.remove_prefix(static_cast<size_t>(written));
  }
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return {};
  const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (::fcntl(file.get(), F_ADD_SEALS, seals) != 0) return {};
  return file;
}

std::string read_small(int file) {
  std::string content;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t count =
        ::pread(file, buffer.data(), buffer.size(), static_cast<off_t>(content.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return content;
    content.append(buffer.data(), static_cast<size_t>(count));
  }
}

std::string read_small(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file ? read_small(file.get()) : "";
}

bool write_small(int file, std::string_view text) {
  return ::pwrite(file, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
}

bool write_small(const std::string& path, std::string_view text) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file && write_small(file.get(), text);
}

}  // namespace troupe::actors::sandbox
