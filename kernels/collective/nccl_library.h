// The few functions of NCCL that are used, opened at run time: a host without the library, and the
// compiler, need nothing of it. They are those of NCCL 2.19 and later.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "schemas/result.h"

namespace troupe::kernels::collective {

// Names the ranks that meet; made by one of them.
struct NcclId {
  std::array<char, 128> bytes{};
};

// As nccl.h has them, as far as they are used.
inline constexpr int kNcclSuccess = 0;
inline constexpr int kNcclInProgress = 7;
inline constexpr int kNcclBytes = 1;  // Its type of numbers: ncclUint8.

class NcclLibrary {
 public:
  // What is told of a new communicator: the beginning of ncclConfig_t. The library fills in what a
  // version knows that this is older than.
  struct Config {
    size_t size = sizeof(Config);
    unsigned magic = 0xcafebeef;
    unsigned version = 21'400;
    int blocking = 0;
  };

  // kUnavailable: it is not installed, or older.
  static Result<std::shared_ptr<const NcclLibrary>> open(const std::string& path = "libnccl.so.2");
  ~NcclLibrary();
  NcclLibrary(const NcclLibrary&) = delete;
  NcclLibrary& operator=(const NcclLibrary&) = delete;

  // "2.28.9"
  std::string version() const;
  // "unhandled system error: connection refused by 10.0.0.7"; of a communicator or of none.
  std::string describe(int code, void* communicator) const;

  int (*get_version)(int*) = nullptr;
  int (*get_unique_id)(NcclId*) = nullptr;
  int (*init)(void** communicator, int num_ranks, NcclId id, int rank, Config*) = nullptr;
  int (*async_error)(void* communicator, int* state) = nullptr;
  int (*abort)(void* communicator) = nullptr;
  int (*destroy)(void* communicator) = nullptr;
  int (*group_start)() = nullptr;
  int (*group_end)() = nullptr;
  int (*send)(const void*, size_t count, int type, int peer, void* communicator,
              void* stream) = nullptr;
  int (*receive)(void*, size_t count, int type, int peer, void* communicator,
                 void* stream) = nullptr;
  const char* (*error_string)(int) = nullptr;
  const char* (*last_error)(void* communicator) = nullptr;

 private:
  explicit NcclLibrary(void* handle) : handle_(handle) {}
  bool find_all();

  void* const handle_;
};

// Lets NCCL of this process use the network interface that has this address ("10.0.0.7"), before
// its first use, unless the user has said which. Nothing happens where there is no such interface.
void use_interface_of(const std::string& address);

// What NCCL's own watcher of this host says of all its ranks, at most a few kilobytes; empty where
// none answers within a second.
std::string nccl_report(int port = 28'028);

}  // namespace troupe::kernels::collective
