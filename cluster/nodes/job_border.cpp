#include "cluster/nodes/job_border.h"

#include <fmt/format.h>

#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

#include "cluster/nodes/file_service.h"
#include "schemas/hash.h"
#include "schemas/overloaded.h"
#include "schemas/work_codec.h"

namespace troupe::cluster {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIpc = "ipc://";
// The system allows a socket's path little more than a hundred characters.
constexpr size_t kSocketFolderMax = 70;

std::string moved(const std::string& path, const std::string& from, const std::string& to) {
  if (path.compare(0, from.size(), from) != 0) return path;
  if (path.size() > from.size() && path[from.size()] != '/') return path;
  return to + path.substr(from.size());
}

std::string short_name_of(const std::string& text) {
  return sha256_hex(std::as_bytes(std::span(text.data(), text.size()))).substr(0, 16);
}

// With everything but the message of the envelope that it replaces.
template <class Message>
Envelope resealed(const Envelope& old, Message message) {
  Envelope envelope = seal(std::move(message));
  envelope.job = old.job;
  envelope.epoch = old.epoch;
  envelope.request_id = old.request_id;
  envelope.deadline_ms = old.deadline_ms;
  return envelope;
}

}  // namespace

std::string JobBorder::here(const std::string& at_head) const {
  return moved(at_head, places_.home_at_head, places_.home_here);
}
std::string JobBorder::at_head(const std::string& here) const {
  return moved(here, places_.home_here, places_.home_at_head);
}

// Of ranks that are all on this host.
std::string JobBorder::team_address(const std::string& at_head) const {
  if (at_head.compare(0, kIpc.size(), kIpc) != 0) return at_head;
  std::string folder = places_.home_here + "/team";
  // In a folder of several hosts a socket would be everybody's, and no host's.
  if (folder.size() > kSocketFolderMax || places_.is_shared)
    folder = "/tmp/troupe-team-" + short_name_of(folder);
  return std::string(kIpc) + folder;
}

Result<Crossing> JobBorder::to_worker(const Envelope& envelope) {
  auto message = open_to_worker(envelope);
  if (!message) return message.error();
  Crossing crossing;
  bool is_changed = true;
  std::visit(Overloaded{
                 [&](Lease& lease) {
                   crossing.is_lease = true;
                   if (!lease.point_path.empty()) {
                     const std::string path = here(lease.point_path);
                     if (lease.roles.learner) crossing.files.push_back({lease.point_path, path});
                     lease.point_path = path;
                   }
                   std::string& model = lease.job.policy.model;
                   if (!model.empty()) {
                     std::string place = here(model);
                     const bool is_in_home = is_below(model, places_.home_at_head);
                     if (place == model && !(places_.is_shared && is_in_home)) {
                       place = places_.models_here + "/" + short_name_of(model) + "/" +
                               fs::path(model).filename().string();
                     }
                     crossing.files.push_back({model, place, !lease.roles.learner});
                     model = place;
                   }
                   lease.seat.address = team_address(lease.seat.address);
                 },
                 [&](LoadPolicy& load) {
                   crossing.files.push_back({load.path, here(load.path)});
                   load.path = here(load.path);
                 },
                 [&](PublishPolicy& publish) { publish.path = here(publish.path); },
                 [&](SavePoint& save) {
                   for (PolicyFile& policy : save.policies) {
                     crossing.files.push_back({policy.path, here(policy.path)});
                     policy.path = here(policy.path);
                   }
                   save.folder = here(save.folder);
                   points_[envelope.request_id] = save.folder;
                 },
                 [&](auto&) { is_changed = false; },
             },
             *message);
  crossing.envelope = is_changed ? resealed(envelope, std::move(*message)) : envelope;
  leave_shared(crossing);
  return crossing;
}

Result<Crossing> JobBorder::from_worker(const Envelope& envelope) {
  auto message = open_from_worker(envelope);
  if (!message) return message.error();
  Crossing crossing;
  if (auto* published = std::get_if<PolicyPublished>(&*message)) {
    const std::string path = at_head(published->path);
    crossing.files.push_back({path, published->path});
    published->path = path;
    crossing.envelope = resealed(envelope, std::move(*message));
    leave_shared(crossing);
    return crossing;
  }
  if (const auto* written = std::get_if<PointWritten>(&*message)) {
    const auto point = points_.find(envelope.request_id);
    if (point != points_.end()) {
      for (const PointFile& file : written->files) {
        const std::string path = point->second + "/" + file.name;
        crossing.files.push_back({at_head(path), path});
      }
      points_.erase(point);
    }
  }
  crossing.envelope = envelope;
  leave_shared(crossing);
  return crossing;
}

// What is one file here and at the head.
void JobBorder::leave_shared(Crossing& crossing) const {
  if (!places_.is_shared) return;
  std::erase_if(crossing.files, [](const FileMove& file) { return file.at_head == file.here; });
}

}  // namespace troupe::cluster
