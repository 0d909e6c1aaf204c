#include "cluster/nodes/file_part.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "schemas/descriptor.h"
#include "schemas/system_error.h"

namespace troupe::cluster {

Result<std::vector<std::byte>> read_part(int file, uint64_t offset, uint32_t size,
                                         const std::string& path) {
  std::vector<std::byte> bytes(size);
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n =
        ::pread(file, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("cannot read " + path, errno);
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

Result<std::vector<std::byte>> read_part(const ReadFile& what) {
  const Descriptor file(::open(what.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return system_error("cannot open " + what.path, errno);
  return read_part(file.get(), what.offset, what.size, what.path);
}

}  // namespace troupe::cluster
