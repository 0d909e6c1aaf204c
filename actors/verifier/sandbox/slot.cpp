#include "actors/verifier/sandbox/slot.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <string_view>

namespace troupe::actors::sandbox {
namespace {

constexpr std::string_view kPrefix = "troupe-box-";

std::string name_of(int number) { return fmt::format("{}{}-{}", kPrefix, ::geteuid(), number); }

// A name in the kernel's table of sockets, which only one can have.
Descriptor lease(const std::string& name) {
  Descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());  // The leading 0: no file.
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (!socket || ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return {};
  return socket;
}

void sweep(const std::string& folder) {
  const std::string ours = fmt::format("{}{}-", kPrefix, ::geteuid());
  std::error_code error;
  std::vector<std::string> found;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().filename().string().rfind(ours, 0) == 0) found.push_back(it->path().string());
  }
  for (const std::string& path : found) {
    if (const auto taken = lease(path.substr(path.rfind('/') + 1)); taken) remove_cgroup(path);
  }
}

}  // namespace

Slots::Slots(CgroupHome home) : home_(std::move(home)) {
  for (const auto* part : {&home_.memory, &home_.processes, &home_.cpu}) {
    if (*part) sweep(part->folder);
  }
}

Result<std::unique_ptr<Slot>> Slots::acquire() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) return make();
  auto slot = std::move(free_.front());
  free_.pop_front();
  return slot;
}

void Slots::release(std::unique_ptr<Slot> slot) {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(slot));
}

Result<std::unique_ptr<Slot>> Slots::make() {
  for (int tried = 0; tried < kSlotsMax; ++tried) {
    auto slot = std::make_unique<Slot>();
    slot->number = next_;
    next_ = (next_ + 1) % kSlotsMax;
    const std::string name = name_of(slot->number);
    slot->lease = lease(name);
    if (!slot->lease) continue;
    if (::geteuid() == 0) slot->uid = kFirstUid + static_cast<uid_t>(slot->number);
    if (home_.memory || home_.processes || home_.cpu) {
      auto cgroup = Cgroup::make(home_, name);
      if (!cgroup) return cgroup.error();
      slot->cgroup.emplace(std::move(*cgroup));
    }
    auto launcher = Launcher::create(slot->cgroup ? slot->cgroup->thread_entries()
                                                  : std::vector<std::string>{});
    if (!launcher) return launcher.error();
    slot->launcher = std::move(*launcher);
    return slot;
  }
  return Error{ErrorCode::kOverloaded, fmt::format("all {} boxes of this host run", kSlotsMax)};
}

}  // namespace troupe::actors::sandbox
