// A folder that loses power: below it this program's own calls of the system (open, write,
// fdatasync, rename, ...) are written down, whoever makes them, the database's library included, so
// that it is known what was asked to be on the disk. A restart then leaves what a file system may
// leave of the rest.
//
// A file: what its last sync covered, and of what was written since nothing, all, or the first
// bytes, as where lengths are written after contents (the usual modes of ext4, XFS, Btrfs). Or it
// is torn, as where they are not: any 512-byte sectors are there, or any 4096-byte pages, and zeros
// for the others behind its old end. What a sync covers are the pages that were written.
//
// A folder: what its last sync covered, and of what was created, renamed or removed in it since
// either the first few (a journal), or a rename with everything before it and, after that, any of
// the rest, as long as what happened to one name is kept in order (entries written late). Syncing a
// file does not keep its name, and a folder whose own name is lost takes everything in it along. A
// file with several names (link) is one file, and what is left of it is the same under each.
//
// A sync that fails has written some of the pages, and forgets the others: the next one succeeds
// without writing them, as it does on Linux. Who else has the file open hears of it once too. What
// is read meanwhile does not change.
//
// Only one at a time. Any thread may be in a call, except during restart() and difference().
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/random.h"

namespace troupe::tests {

class LossyDisk {
 public:
  // kCreate: also of another name for a file.
  enum class Call : uint8_t { kWrite, kResize, kSync, kCreate, kRename, kRemove, kSyncFolder };
  static constexpr std::array kCallNames = {"write",  "resize", "sync",       "create",
                                            "rename", "remove", "sync folder"};

  enum class Fault : uint8_t {
    kPowerLoss,  // This call may happen or not; it and all later ones fail until restart().
    kKill,       // The same, but nothing is lost.
    kError,      // This call fails with EIO, a write perhaps half done; later ones do not.
  };

  // The `count`-th matching call from now on, from 1, meets the fault.
  struct Trigger {
    Fault fault = Fault::kPowerLoss;
    std::string kind{};          // Of the file, see kind_of; empty for any.
    std::optional<Call> call{};  // Nothing for any; an error is met by writes and syncs only.
    uint64_t count = 1;
  };
  // What a trigger has met.
  struct Met {
    Call call = Call::kWrite;
    std::string kind{};
  };

  // How files and folders came out of losses of power.
  struct Outcomes {
    uint64_t files_kept = 0;  // With all that was not synced.
    uint64_t files_cut = 0;   // After some of what was not synced.
    uint64_t files_torn = 0;  // Sectors of it are there and others are not.
    uint64_t pages_zeroed = 0;
    uint64_t files_as_synced = 0;  // Without what was not synced.
    uint64_t creations_lost = 0;
    uint64_t renames_lost = 0;
    uint64_t removals_lost = 0;
    uint64_t names_kept = 0;     // Creations, renames and removals that were not synced.
    uint64_t pages_dropped = 0;  // By a sync that failed.
  };

  // `folder` exists and is empty, and is on the disk itself.
  LossyDisk(const std::string& folder, uint64_t seed);
  ~LossyDisk();
  LossyDisk(const LossyDisk&) = delete;
  LossyDisk& operator=(const LossyDisk&) = delete;

  void arm(const Trigger& trigger);
  void disarm();
  // What the armed trigger met, if it did.
  std::optional<Met> met() const;
  bool is_off() const;

  // Between two calls.
  void lose_power() { stop(Fault::kPowerLoss); }
  void kill() { stop(Fault::kKill); }

  // After a loss of power or a kill: the folder holds what it left.
  void restart();

  // Whether the last restart tore a file of this kind.
  bool has_torn(const std::string& kind) const { return torn_.count(kind) > 0; }

  // The first file or folder that is not what the calls say, that is, what changed in another way.
  std::optional<std::string> difference();

  const Outcomes& outcomes() const { return outcomes_; }
  uint64_t num_calls() const;

  // "log", "sst", "MANIFEST", "CURRENT", "OPTIONS", "mark", ..., or "" for a folder.
  static std::string kind_of(const std::string& path);

  // What the system's calls become. -1 with errno set, or what the system said.
  int open(const char* path, int flags, mode_t mode);
  void forget(int file);
  ssize_t write(int file, const void* bytes, size_t count, std::optional<off_t> offset);
  int resize(int file, off_t size);
  int allocate(int file, int mode, off_t offset, off_t count);
  int sync(int file, bool with_times);
  int rename(const char* from, const char* to);
  int link(const char* from, const char* to);
  int remove(const char* path, bool is_folder);
  int make_folder(const char* path, mode_t mode);

 private:
  struct Node;
  using NodePtr = std::shared_ptr<Node>;
  struct Change {  // Of a file.
    enum class Kind : uint8_t { kWrite, kResize } kind = Kind::kWrite;
    size_t offset = 0;  // Or the new size.
    std::string bytes{};
  };
  struct NameChange {  // Of a folder.
    enum class Kind : uint8_t { kCreate, kRename, kRemove } kind = Kind::kCreate;
    std::string name{};
    std::string to{};  // Of a rename.
    NodePtr node{};    // Created.
  };
  struct Node {
    bool is_folder = false;
    std::string now{}, synced{};
    std::vector<Change> changes{};  // Since the last sync, in order.
    std::map<std::string, NodePtr> entries{}, synced_entries{};
    std::vector<NameChange> name_changes{};
    uint64_t num_errors = 0;  // Of syncs.
  };
  struct OpenFile {
    NodePtr node{};
    std::string path{};
    uint64_t num_errors = 0;  // Of the node, as far as this one has heard of them.
    bool is_writable = false;
  };
  struct Place {
    NodePtr folder{};
    std::string name{};
    NodePtr node() const;
  };
  enum class Step : uint8_t { kDo, kFail, kDoAndFail, kError };

  void stop(Fault fault);
  Step next_step(Call call, const std::string& kind);
  // Nothing outside the folder, or where there is no such parent.
  std::optional<Place> place_of(const char* path) const;
  OpenFile* find(int file);

  static void sync_file(Node& node);
  void fail_sync(Node& node);
  std::string left_of(const Node& file, const std::string& kind);
  std::map<std::string, NodePtr> left_in(const Node& folder);
  struct Restored {
    NodePtr node{};
    std::string path{};
  };
  using RestoredFiles = std::map<const Node*, Restored>;
  NodePtr restored(const Node& node, const std::string& path, RestoredFiles& files);

  const std::string folder_;
  mutable std::mutex mutex_{};
  kernels::RandomStream random_;
  NodePtr root_;
  std::map<int, OpenFile> files_{};
  std::optional<Trigger> trigger_{};
  std::optional<Met> met_{};
  std::optional<Fault> off_{};
  Outcomes outcomes_{};
  std::set<std::string> torn_{};
  uint64_t num_calls_ = 0;
};

}  // namespace troupe::tests
