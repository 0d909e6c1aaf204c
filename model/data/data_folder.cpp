#include "model/data/data_folder.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <string_view>

namespace troupe::model {
namespace {

Status write_whole(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::path temporary = path;
  temporary += ".tmp";
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(temporary, path, error);
  if (file && !error) return ok();
  std::error_code ignored;
  std::filesystem::remove(temporary, ignored);
  return invalid_argument(
      fmt::format("{}: cannot be written; check that the folder is writable and the disk has space",
                  path.string()));
}

}  // namespace

Status write_files(const std::string& dir,
                   const std::vector<std::pair<std::string, std::string>>& files) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) {
    return invalid_argument(fmt::format("{}: cannot be created: {}", dir, error.message()));
  }
  for (const auto& [name, text] : files) {
    if (Status status = write_whole(std::filesystem::path(dir) / name, text); !status) {
      return status;
    }
  }
  return ok();
}

}  // namespace troupe::model
