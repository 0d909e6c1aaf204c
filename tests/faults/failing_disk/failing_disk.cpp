// A disk that fails or is slow, for a real process that is started with this library in LD_PRELOAD:
// its calls to write and to sync fail with EIO while a trigger file asks for it.
//
// $TROUPE_DISK_TRIGGER names the file. Its text is "write PART" or "sync PART": the next call on a
// file whose path contains PART fails, and then the trigger is removed. "write PART always" fails
// until somebody else removes it.
//
// A sync that failed has lost what was to be written, and the next one succeeds all the same. Who
// goes on with such a file is found out: "$TROUPE_DISK_TRIGGER.trusted" appears, with its path.
//
// Each sync takes $TROUPE_DISK_SYNC_MS more.
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <set>
#include <sstream>
#include <string>

namespace {

std::mutex mutex;
std::set<std::string> lost;  // Files whose sync failed and that were not written to since.

std::string path_of(int file) {
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  char path[PATH_MAX];
  const ssize_t size = ::readlink(link.c_str(), path, sizeof(path));
  return size < 0 ? "" : std::string(path, static_cast<size_t>(size));
}

// Whether the call is to fail.
bool fails(const char* call, int file) {
  const char* const trigger = std::getenv("TROUPE_DISK_TRIGGER");
  if (trigger == nullptr) return false;
  const int before = errno;
  const std::string path = path_of(file);
  bool is_failing = false;
  if (!path.empty() && path[0] == '/' && path.find(trigger) == std::string::npos) {
    const std::lock_guard guard(mutex);
    const bool is_sync = std::strcmp(call, "sync") == 0;
    // The slots of a mark are written as a whole before each sync; other files begin anew, also
    // under the same name, or only grow.
    const bool is_whole =
        path.find("/mark") != std::string::npos || ::lseek(file, 0, SEEK_CUR) == 0;
    if (lost.count(path) > 0 && (is_sync || !is_whole)) {
      std::ofstream(std::string(trigger) + ".trusted") << path << "\n";
    }
    if (!is_sync) lost.erase(path);
    std::string wanted, part, always;
    if (::access(trigger, F_OK) == 0) std::ifstream(trigger) >> wanted >> part >> always;
    is_failing = wanted == call && path.find(part) != std::string::npos;
    if (is_failing && is_sync) lost.insert(path);
    if (is_failing && always.empty()) ::unlink(trigger);
  }
  errno = is_failing ? EIO : before;
  return is_failing;
}

void take_time() {
  const char* const ms = std::getenv("TROUPE_DISK_SYNC_MS");
  if (ms != nullptr) ::poll(nullptr, 0, std::atoi(ms));
}

}  // namespace

extern "C" {

ssize_t write(int file, const void* bytes, size_t size) {
  if (fails("write", file)) return -1;
  return ::syscall(SYS_write, file, bytes, size);
}
ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) {
  if (fails("write", file)) return -1;
  return ::syscall(SYS_pwrite64, file, bytes, size, offset);
}
ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t offset) {
  if (fails("write", file)) return -1;
  return ::syscall(SYS_pwrite64, file, bytes, size, offset);
}
int fdatasync(int file) {
  take_time();
  if (fails("sync", file)) return -1;
  return static_cast<int>(::syscall(SYS_fdatasync, file));
}
int fsync(int file) {
  take_time();
  if (fails("sync", file)) return -1;
  return static_cast<int>(::syscall(SYS_fsync, file));
}

}  // extern "C"
