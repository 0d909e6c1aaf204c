#include "cluster/daemon/allowed_paths.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "cluster/nodes/file_service.h"
#include "schemas/descriptor.h"
#include "schemas/node.h"

namespace troupe::cluster {
namespace {

namespace fs = std::filesystem;

// Nothing where there is no such thing.
std::string real_path(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  return error ? "" : real.string();
}

// Walks from `folder` to `path`, which has no links, in one call of the system: what was exchanged
// for a link since its links were resolved is not followed.
bool is_still_there(const std::string& folder, const std::string& path) {
  const Descriptor root(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return false;
  const std::string rest = path == folder ? "." : path.substr(folder.size() + 1);
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  const Descriptor found(
      static_cast<int>(::syscall(SYS_openat2, root.get(), rest.c_str(), &how, sizeof(how))));
  // A system without this call has been asked by the names already.
  return static_cast<bool>(found) || errno == ENOSYS || errno == EPERM;
}

}  // namespace

Result<AllowedPaths> AllowedPaths::open(const std::vector<std::string>& folders,
                                        const std::string& home) {
  AllowedPaths allowed;
  allowed.home_ = real_path(home);
  for (const std::string& folder : folders) {
    const std::string real = folder.empty() || folder.front() != '/' ? "" : real_path(folder);
    std::error_code ignored;
    if (real.empty() || !fs::is_directory(real, ignored)) {
      return invalid_argument(fmt::format(
          "--allow-path {} is no folder of this host with a path that begins with /", folder));
    }
    if (real == "/") return invalid_argument("--allow-path / is all there is; name folders of it");
    if (is_below(real, allowed.home_)) {
      return invalid_argument(fmt::format(
          "--allow-path {} lies in {}, where all users' jobs are; users may name their own jobs' "
          "folders as it is",
          folder, home));
    }
    allowed.folders_.push_back({fs::path(folder).lexically_normal().string(), real});
    std::string& given = allowed.folders_.back().given;
    if (given.size() > 1 && given.back() == '/') given.pop_back();
  }
  return allowed;
}

Error AllowedPaths::refused(const std::string& path) const {
  std::vector<std::string> given;
  for (const Folder& folder : folders_) given.push_back(folder.given);
  return invalid_argument(fmt::format(
      "{} is not a file that users of the daemon may name: {}; a relative path is one of the "
      "user's "
      "own files, which is sent with the job",
      path,
      given.empty()
          ? "it allows none of its host's, see trouped --allow-path"
          : fmt::format(
                "it allows what lies in {}, wherever links lead, and their own jobs' folders",
                fmt::join(given, ", "))));
}

Result<std::string> AllowedPaths::find(const std::string& path,
                                       std::span<const std::string> own) const {
  // By its name first: of what is elsewhere not even that it is there is told.
  std::string said = fs::path(path).lexically_normal().string();
  if (said.size() > 1 && said.back() == '/') said.pop_back();
  std::vector<std::string> roots;
  bool may_ask = false;
  for (const Folder& folder : folders_) {
    may_ask = may_ask || is_below(said, folder.given) || is_below(said, folder.real);
    roots.push_back(folder.real);
  }
  const size_t num_allowed = roots.size();
  for (const std::string& folder : own) {
    may_ask = may_ask || is_below(said, folder);
    if (std::string real = real_path(folder); !real.empty()) roots.push_back(std::move(real));
  }
  if (!may_ask) return refused(path);
  // The root that a path without links lies in; nothing where it lies elsewhere.
  const auto root_of = [&](const std::string& real) -> const std::string* {
    for (size_t i = 0; i < roots.size(); ++i) {
      if (!is_below(real, roots[i])) continue;
      if (i < num_allowed && is_below(real, home_)) continue;
      return &roots[i];
    }
    return nullptr;
  };
  const std::string real = real_path(path);
  if (real.empty()) {
    return invalid_argument(fmt::format("{} is not there at the daemon's host", path));
  }
  const std::string* root = root_of(real);
  if (root == nullptr || !is_still_there(*root, real)) return refused(path);
  std::error_code error;
  if (!fs::is_directory(real, error)) return real;
  size_t count = 0;
  for (fs::recursive_directory_iterator at(real, error), end; !error && at != end;
       at.increment(error)) {
    if (++count > kFolderFilesMax) {
      return invalid_argument(fmt::format("{} holds more than {} files; is it the right folder?",
                                          path, kFolderFilesMax));
    }
    if (!at->is_symlink(error)) continue;
    const std::string led_to = real_path(at->path().string());
    // A link to nothing is nothing.
    if (!led_to.empty() && root_of(led_to) == nullptr) return refused(at->path().string());
  }
  if (error) return invalid_argument(fmt::format("cannot list {}: {}", path, error.message()));
  return real;
}

}  // namespace troupe::cluster
