#include "cluster/nodes/sign_of_life.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "schemas/descriptor.h"

namespace troupe::cluster {
namespace {

constexpr size_t kTextBytesMax = 512;

std::string path_in(const std::string& home) { return home + "/alive"; }

}  // namespace

void give_sign_of_life(const std::string& home, const std::string& text) {
  const Descriptor file(
      ::open(path_in(home).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file) return;
  // In one write, so that nobody reads half of it.
  const std::string line = text.substr(0, kTextBytesMax - 1) + "\n";
  if (::pwrite(file.get(), line.data(), line.size(), 0) == static_cast<ssize_t>(line.size())) {
    (void)!::ftruncate(file.get(), static_cast<off_t>(line.size()));
  }
}

Result<SignOfLife> find_sign_of_life(const std::string& home) {
  const Descriptor file(::open(path_in(home).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat about {};
  if (!file || ::fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode)) {
    return invalid_argument(fmt::format(
        "{} is not the home of a host that has joined a head: no sign of life there", home));
  }
  std::array<char, kTextBytesMax> text{};
  const ssize_t size = ::pread(file.get(), text.data(), text.size(), 0);
  SignOfLife sign{.text = std::string(text.data(), size < 0 ? 0 : static_cast<size_t>(size))};
  sign.text = sign.text.substr(0, sign.text.find('\n'));
  const auto modified = std::chrono::system_clock::time_point(
      std::chrono::seconds(about.st_mtim.tv_sec) +
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::nanoseconds(about.st_mtim.tv_nsec)));
  sign.age = std::chrono::system_clock::now() - modified;
  return sign;
}

}  // namespace troupe::cluster
