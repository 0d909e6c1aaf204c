#include "cluster/nodes/shared_home.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <filesystem>
#include <span>
#include <system_error>

#include "model/formats/file.h"
#include "schemas/hash.h"

namespace troupe::cluster {
namespace {

namespace fs = std::filesystem;

constexpr size_t kCanaryBytesMax = 256;

std::string folder_of(const std::string& home, const std::string& node) {
  return home + "/canary/" + node;
}

std::string digest_of(const std::string& text) {
  return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace

Result<Canary> Canary::set(const std::string& shared_home, const std::string& node,
                           uint64_t instance) {
  Canary canary;
  if (shared_home.empty()) return canary;
  std::array<uint64_t, 2> random{};
  if (::getrandom(random.data(), sizeof(random), 0) != sizeof(random)) {
    return Error{ErrorCode::kInternal, "the system has no random numbers"};
  }
  std::error_code error;
  if (shared_home.front() != '/' || !fs::is_directory(shared_home, error)) {
    return invalid_argument(fmt::format(
        "--shared-home {} is no folder of this host with a path that begins with /", shared_home));
  }
  canary.folder_ = folder_of(shared_home, node);
  fs::remove_all(canary.folder_, error);  // What an earlier run has left.
  canary.path_ = fmt::format("{}/{}", canary.folder_, instance);
  canary.text_ = fmt::format("{:016x}{:016x}", random[0], random[1]);
  Status written = model::create_folders(canary.folder_);
  if (written) written = model::write_file(canary.path_, canary.text_);
  if (!written) {
    return invalid_argument(fmt::format("--shared-home {} cannot be written to from here: {}",
                                        shared_home, written.error().message));
  }
  return canary;
}

Canary::~Canary() {
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

Status Canary::check_answer() const {
  if (folder_.empty()) return ok();
  const auto answer = model::read_file(path_ + ".seen", kCanaryBytesMax);
  if (answer && *answer == digest_of(text_)) return ok();
  return invalid_argument(fmt::format(
      "the head sees what this host writes to {}, and this host does not see what the head writes "
      "there: {}; join without --shared-home, and files are moved",
      folder_, answer ? "another text is there" : answer.error().message));
}

std::optional<std::string> answer_canary(const std::string& home, const std::string& node,
                                         const NodeHello& hello) {
  const auto normal = [](const std::string& path) {
    return (fs::path(path) / "").lexically_normal();
  };
  if (normal(hello.shared_home) != normal(home)) {
    return fmt::format("the node says to share {}, and the head's --home is {}", hello.shared_home,
                       home);
  }
  const std::string path = fmt::format("{}/{}", folder_of(home, node), hello.instance);
  const auto text = model::read_file(path, kCanaryBytesMax);
  if (!text || *text != hello.canary || hello.canary.empty()) {
    return fmt::format(
        "{} is not shared: what the node has written there is not seen by the head: {}; let it "
        "join "
        "without --shared-home, and files are moved",
        home, text ? "another text is there" : text.error().message);
  }
  if (Status written = model::write_file(path + ".seen", digest_of(*text)); !written) {
    return fmt::format("the head cannot answer in the shared folder: {}", written.error().message);
  }
  return std::nullopt;
}

}  // namespace troupe::cluster
