// A disk of a few megabytes that a test can fill and empty: a file system in memory of its own.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace troupe::tests {

class SmallDisk {
 public:
  // Nothing, and a line that says so, where this process may not mount.
  static std::unique_ptr<SmallDisk> mount(int megabytes) {
    std::unique_ptr<SmallDisk> disk(new SmallDisk());
    const std::string size = "mode=700,size=" + std::to_string(megabytes) + "m";
    if (::mount("troupe-test", disk->path().c_str(), "tmpfs", MS_NOSUID | MS_NODEV, size.c_str())) {
      std::printf("skipped: no small disk here: mounting a tmpfs: %s\n", std::strerror(errno));
      return nullptr;
    }
    disk->is_mounted_ = true;
    return disk;
  }
  ~SmallDisk() {
    // Also where a process that is about to end has files open.
    if (is_mounted_) ::umount2(path().c_str(), MNT_DETACH);
  }

  const std::string& path() const { return folder_.path(); }
  std::string file(const std::string& name) const { return folder_.file(name); }
  size_t bytes_free() const {
    struct statvfs about {};
    REQUIRE(::statvfs(path().c_str(), &about) == 0);
    return about.f_bavail * about.f_bsize;
  }

  // Puts a ballast file on it that leaves `bytes_left`, up to a page.
  void fill(size_t bytes_left = 0) {
    const int ballast = ::open(file("ballast").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    REQUIRE(ballast >= 0);
    struct stat about {};
    REQUIRE(::fstat(ballast, &about) == 0);
    const std::vector<char> page(4096, 'x');
    if (const size_t bytes = bytes_free(); bytes > bytes_left + 16 * page.size()) {
      // Most of it at once. Others may be faster with the last pages.
      const auto rest = static_cast<off_t>(bytes - bytes_left - 16 * page.size());
      static_cast<void>(::posix_fallocate(ballast, about.st_size, rest));
      static_cast<void>(::lseek(ballast, 0, SEEK_END));
    }
    ssize_t written = 1;
    while (written > 0 && bytes_free() >= bytes_left + page.size()) {
      written = ::write(ballast, page.data(), page.size());
    }
    ::close(ballast);
  }
  void empty() { REQUIRE(::unlink(file("ballast").c_str()) == 0); }

 private:
  SmallDisk() = default;

  TempDir folder_{};
  bool is_mounted_ = false;
};

}  // namespace troupe::tests
