#include "cluster/cli/bench_folder.h"

#include <stdlib.h>

#include <filesystem>
#include <system_error>

namespace troupe::cluster {

namespace fs = std::filesystem;

Result<std::unique_ptr<BenchFolder>> BenchFolder::make() {
  std::string path = (fs::temp_directory_path() / "troupe-bench-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) {
    return Error{ErrorCode::kInternal, "cannot make a folder like " + path};
  }
  std::unique_ptr<BenchFolder> folder(new BenchFolder(std::move(path)));
  std::error_code error;
  if (!fs::create_directory(folder->data(), error)) {
    return Error{ErrorCode::kInternal, "cannot make the folder " + folder->data()};
  }
  return folder;
}

BenchFolder::~BenchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace troupe::cluster
