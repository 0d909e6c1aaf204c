// A place for one run at a time: a user that no other run of this host has, a control group,
// and the thread that starts it.
#pragma once

#include <sys/types.h>

#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "actors/verifier/sandbox/cgroup.h"
#include "actors/verifier/sandbox/descriptor.h"
#include "actors/verifier/sandbox/launcher.h"
#include "schemas/result.h"

namespace troupe::actors::sandbox {

// Nobody's on a usual host; the system's own begin at 100 or 1000 and systemd's at 61184.
inline constexpr uid_t kFirstUid = 60100;
inline constexpr int kSlotsMax = 900;

struct Slot {
  int number = 0;
  uid_t uid = 0;       // 0: the caller's own, because only root can give another.
  Descriptor lease{};  // The kernel gives it back when the process ends, however that happens.
  std::optional<Cgroup> cgroup{};
  std::unique_ptr<Launcher> launcher{};  // Ends before its group is removed.
};

class Slots {
 public:
  // Removes the control groups that dead processes left.
  explicit Slots(CgroupHome home);

  const CgroupHome& home() const { return home_; }
  // kOverloaded when all are taken.
  Result<std::unique_ptr<Slot>> acquire();
  void release(std::unique_ptr<Slot> slot);

 private:
  Result<std::unique_ptr<Slot>> make();

  const CgroupHome home_;
  std::mutex mutex_;
  std::deque<std::unique_ptr<Slot>> free_;
  int next_ = 0;
};

}  // namespace troupe::actors::sandbox
