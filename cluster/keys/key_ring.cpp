#include "cluster/keys/key_ring.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <utility>

namespace troupe::cluster {
namespace {

int64_t nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

KeyRing::KeyRing(Options options, CurveKeys head_keys)
    : options_(std::move(options)), head_keys_(std::move(head_keys)) {}

Result<std::shared_ptr<KeyRing>> KeyRing::open(Options options) {
  auto head_keys = read_head_keys(options.folder);
  if (!head_keys) return head_keys.error();
  // What is damaged from the start is an error of whoever starts.
  if (auto keys = list_keys(options.folder); !keys) return keys.error();
  return std::shared_ptr<KeyRing>(new KeyRing(std::move(options), std::move(*head_keys)));
}

std::optional<Identity> KeyRing::find(const PublicKey& key, Time now) {
  const std::lock_guard lock(mutex_);
  if (looked_at_ == Time{} || now - looked_at_ >= options_.look_every) {
    looked_at_ = now;
    look();
  }
  const auto found = identities_.find(key);
  if (found == identities_.end()) return std::nullopt;
  return found->second;
}

Result<std::vector<KeyRing::Stamp>> KeyRing::stamps() const {
  const auto names = allowed_names(options_.folder);
  if (!names) return names.error();
  std::vector<Stamp> stamps;
  for (const std::string& name : *names) {
    struct stat about {};
    // One that has gone since is missing next time.
    if (::lstat(allowed_path(options_.folder, name).c_str(), &about) != 0) continue;
    stamps.push_back({name, about.st_ino, about.st_size, nanoseconds(about.st_mtim),
                      nanoseconds(about.st_ctim)});
  }
  return stamps;
}

void KeyRing::look() {
  auto now = stamps();
  if (!now) {
    // It cannot be told any more whose key was taken away.
    identities_.clear();
    stamps_.clear();
    note_once({now.error().message + "; nobody is let in"});
    return;
  }
  if (*now == stamps_) return;
  identities_.clear();
  std::set<std::string> faults;
  std::set<PublicKey> doubtful;
  for (const Stamp& stamp : *now) {
    auto allowed = read_allowed(options_.folder, stamp.name);
    if (!allowed) {
      faults.insert(allowed.error().message + "; it lets nobody in");
      continue;
    }
    const auto [same, is_new] = identities_.emplace(allowed->key, allowed->identity);
    if (is_new) continue;
    faults.insert(fmt::format("{} and {} have one key, which lets nobody in; remove one of them",
                              allowed_path(options_.folder, same->second.name),
                              allowed_path(options_.folder, stamp.name)));
    doubtful.insert(allowed->key);
  }
  for (const PublicKey& key : doubtful) identities_.erase(key);
  stamps_ = std::move(*now);
  note_once(std::move(faults));
}

void KeyRing::note_once(std::set<std::string> faults) {
  for (const std::string& fault : faults) {
    if (faults_.count(fault) == 0) options_.noted(fault);
  }
  faults_ = std::move(faults);
}

}  // namespace troupe::cluster
