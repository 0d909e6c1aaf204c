#include "model/formats/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace troupe::model {

Result<MappedFile> MappedFile::open(const std::string& path) {
  const auto unreadable = [&path](int error) {
    return invalid_argument(fmt::format("cannot read {}: {}", path, std::strerror(error)));
  };
  // Without O_NONBLOCK a named pipe would wait for its writer.
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return unreadable(errno);
  struct stat facts {};
  void* address = MAP_FAILED;
  size_t size = 0;
  int error = 0;
  if (::fstat(file, &facts) != 0) {
    error = errno;
  } else if (S_ISDIR(facts.st_mode)) {
    error = EISDIR;
  } else if (!S_ISREG(facts.st_mode)) {
    error = ENODEV;
  } else {
    size = static_cast<size_t>(facts.st_size);
    if (size > 0) address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (size > 0 && address == MAP_FAILED) error = errno;
  }
  ::close(file);  // The mapping keeps the file.
  if (error != 0) return unreadable(error);

  MappedFile mapped;
  if (size > 0) mapped.bytes_ = {static_cast<const std::byte*>(address), size};
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace troupe::model
