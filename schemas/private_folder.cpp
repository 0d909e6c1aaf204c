#include "schemas/private_folder.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace troupe {

Status make_private_folder(const std::string& folder) {
  std::error_code error;
  const auto parent = std::filesystem::path(folder).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return invalid_argument(
        fmt::format("cannot make the folder {}: {}", folder, std::strerror(errno)));
  }
  return check_private_folder(folder);
}

Status check_private_folder(const std::string& folder) {
  struct stat about {};
  if (::lstat(folder.c_str(), &about) != 0) {
    return invalid_argument(fmt::format("cannot look at {}: {}", folder, std::strerror(errno)));
  }
  if (!S_ISDIR(about.st_mode)) return invalid_argument(folder + " is not a folder");
  if (about.st_uid != ::geteuid()) {
    return invalid_argument(folder + " belongs to another user; name a folder of your own");
  }
  if ((about.st_mode & 077) != 0) {
    return invalid_argument(
        fmt::format("{} is open to other users; close it with: chmod 700 {}", folder, folder));
  }
  return ok();
}

}  // namespace troupe
