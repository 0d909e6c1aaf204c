// A job of seconds for tests of the real program, and its data.
#pragma once

#include <filesystem>

#include "tests/support/process.h"

namespace troupe::tests {

// A folder with `job.toml` and its data: tiny-moe, a few steps of each stage.
class ShortJob {
 public:
  ShortJob() {
    const Ended made =
        troupe({"make-data", "arithmetic", "--out", dir_.file("data"), "--train", "200",
                "--cold-start-clean", "200", "--cold-start-noisy", "100", "--held-out", "20"});
    REQUIRE_MESSAGE(made.exit_code == 0, made.error);
    std::filesystem::copy_file(TROUPE_SOURCE_DIR "/tests/support/short_job.toml", job());
  }

  std::string folder() const { return dir_.path(); }
  std::string job() const { return dir_.file("job.toml"); }
  std::string file(const std::string& name) const { return dir_.file(name); }

  // `troupe run` of it into HOME, with --json.
  Invocation run(const std::string& home, const std::vector<std::string>& set = {}) const {
    Invocation invocation{.arguments = {"run", job(), "--json", "--home", file(home)}};
    for (const auto& one : set) {
      invocation.arguments.push_back("--set");
      invocation.arguments.push_back(one);
    }
    return invocation;
  }

 private:
  TempDir dir_{};
};

}  // namespace troupe::tests
