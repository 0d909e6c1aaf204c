// What the files are that jobs of users of other hosts name: those that were sent ahead of them,
// and those of the head's host that they may name. One thread does what takes long.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "cluster/daemon/allowed_paths.h"
#include "cluster/gateway/content_store.h"
#include "cluster/nodes/link_mailbox.h"
#include "schemas/control.h"
#include "schemas/records.h"

namespace troupe::cluster {

class InputDesk {
 public:
  using Answer = std::function<void(ControlReply)>;

  // `jobs` are those that the daemon has: what they name stays.
  InputDesk(ContentStore store, AllowedPaths allowed, std::span<const JobRecord> jobs);
  ~InputDesk();

  // All below from any thread. What is called back is called once, from the desk's thread, or not
  // at all when the desk ends before.
  void offer(OfferContent offer, const Asker& asker, Answer answer);
  void send(SendContent part, const Asker& asker, Answer answer);
  // Whether the job may be submitted: all that it names was sent, or may be named by the asker.
  void check(const SubmitJob& submit, const Asker& asker, std::function<void(Status)> checked);

  // A job's record changed: what only jobs name that are over goes in time.
  void job_changed(const JobRecord& record);

  // The job with this host's paths in place of what was sent, and without links. kInvalidArgument
  // for what is not there any more, has changed or must not be named any more.
  Result<JobSpec> with_paths(const JobRecord& record) const;

 private:
  void run();
  void note(const JobRecord& record);
  // The folder of the owner's jobs that a path lies in, if any.
  std::vector<std::string> own_folder(const std::string& owner, const std::string& path) const;
  Status check_now(const JobSpec& job, const Asker& asker);

  ContentStore store_;  // The thread's; path_of is anybody's.
  const AllowedPaths allowed_;
  LinkMailbox<std::function<void()>> mailbox_{};
  std::atomic<size_t> parts_waiting_{0};
  mutable std::mutex mutex_{};
  std::map<std::string, std::set<std::string>> homes_{};  // Of jobs, by owner; guarded by mutex_.
  std::thread thread_{};
};

}  // namespace troupe::cluster
