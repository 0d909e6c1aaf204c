// A file descriptor that closes itself, and the few ways in which the sandbox makes them.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>

namespace troupe::actors::sandbox {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { close(); }

  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }
  void close() {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }

 private:
  int number_ = -1;
};

struct Pipe {
  Descriptor read{};
  Descriptor write{};
};
// Both ends close on exec; invalid where there are no descriptors left.
Pipe make_pipe();

// A file in memory with these bytes, read from its start, that nobody can change any more.
Descriptor sealed_file(std::string_view content);

// Small files of /proc and /sys: the whole content, or empty where it cannot be read.
std::string read_small(const std::string& path);
std::string read_small(int file);  // From its start.
// One write() of the whole text, which is how files of /sys want it.
bool write_small(int file, std::string_view text);
bool write_small(const std::string& path, std::string_view text);

}  // namespace troupe::actors::sandbox
