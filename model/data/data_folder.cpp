#include "model/data/data_folder.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>
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

// Whether a file is there and does not hold just this text.
bool is_other(const std::filesystem::path& path, std::string_view text) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return false;
  std::ifstream file(path, std::ios::binary);
  const std::string there(std::istreambuf_iterator<char>(file), {});
  return there != text;
}

}  // namespace

Status write_files(const std::string& dir,
                   const std::vector<std::pair<std::string, std::string>>& files,
                   ExistingFiles existing) {
  for (const auto& [name, text] : files) {
    const std::filesystem::path path = std::filesystem::path(dir) / name;
    if (existing == ExistingFiles::kReplace || !is_other(path, text)) continue;
    return invalid_argument(
        fmt::format("{}: is already there with another content; name another folder, or replace it "
                    "with --overwrite",
                    path.string()));
  }
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
