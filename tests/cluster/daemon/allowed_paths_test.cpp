#include "cluster/daemon/allowed_paths.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

using namespace troupe;
using namespace troupe::cluster;
using namespace troupe::tests;

namespace fs = std::filesystem;

namespace {

struct Fixture {
  TempDir dir{};

  Fixture() {
    for (const char* folder : {"models/m", "secret", "home/jobs/1", "home/jobs/2"}) {
      fs::create_directories(dir.file(folder));
    }
    for (const char* file : {"models/m/config.json", "secret/x", "home/jobs/1/x", "home/x"}) {
      write_text(dir.file(file), "x");
    }
  }
  AllowedPaths allow(const std::vector<std::string>& folders) const {
    std::vector<std::string> paths;
    for (const auto& folder : folders) paths.push_back(dir.file(folder));
    auto allowed = AllowedPaths::open(paths, dir.file("home"));
    REQUIRE_MESSAGE(allowed, allowed.error().message);
    return *allowed;
  }
};

bool is_refused(const Result<std::string>& found) {
  return !found && found.error().code == ErrorCode::kInvalidArgument &&
         found.error().message.find("is not a file that users of the daemon may name") !=
             std::string::npos;
}

}  // namespace

TEST_CASE("allowed_paths: what lies below an allowed folder, by its real path") {
  const Fixture f;
  const AllowedPaths allowed = f.allow({"models"});
  CHECK(*allowed.find(f.dir.file("models/m"), {}) == fs::canonical(f.dir.file("models/m")));
  CHECK(allowed.find(f.dir.file("models/./m/../m/config.json"), {}));
  CHECK(allowed.find(f.dir.file("models"), {}));
  fs::create_symlink("m", f.dir.file("models/newest"));
  CHECK(*allowed.find(f.dir.file("models/newest"), {}) == fs::canonical(f.dir.file("models/m")));
  const auto none = allowed.find(f.dir.file("models/none"), {});
  REQUIRE_FALSE(none);
  CHECK(none.error().message == f.dir.file("models/none") + " is not there at the daemon's host");
  for (const char* other :
       {"secret/x", "secret", "models/../secret/x", "modelsx", "home/x", "none"}) {
    CAPTURE(other);
    CHECK(is_refused(allowed.find(f.dir.file(other), {})));
  }
  CHECK(is_refused(allowed.find("/", {})));
  CHECK(is_refused(allowed.find("models/m", {})));
}

TEST_CASE("allowed_paths: links that lead out are refused, of a folder all that it holds") {
  const Fixture f;
  const AllowedPaths allowed = f.allow({"models"});
  fs::create_symlink(f.dir.file("secret"), f.dir.file("models/out"));
  CHECK(is_refused(allowed.find(f.dir.file("models/out"), {})));
  CHECK(is_refused(allowed.find(f.dir.file("models/out/x"), {})));
  // Before the dots are what the link leads to.
  CHECK(is_refused(allowed.find(f.dir.file("models/out/../secret/x"), {})));
  CHECK(allowed.find(f.dir.file("models/m"), {}));
  fs::create_symlink(f.dir.file("secret/x"), f.dir.file("models/m/model.safetensors"));
  CHECK(is_refused(allowed.find(f.dir.file("models/m"), {})));
  // As caches of models are laid out.
  fs::remove(f.dir.file("models/m/model.safetensors"));
  write_text(f.dir.file("models/blob"), "x");
  fs::create_symlink("../blob", f.dir.file("models/m/model.safetensors"));
  CHECK(allowed.find(f.dir.file("models/m"), {}));
  CHECK(f.allow({"models", "secret"}).find(f.dir.file("models/out/x"), {}));
}

TEST_CASE("allowed_paths: of the daemon's folder a user has own jobs' folders only") {
  const Fixture f;
  const std::vector<std::string> own = {f.dir.file("home/jobs/1")};
  const AllowedPaths allowed = f.allow({"."});  // All of it lies below an allowed one.
  CHECK(allowed.find(f.dir.file("home/jobs/1/x"), own));
  CHECK(is_refused(allowed.find(f.dir.file("home/jobs/1/x"), {})));
  CHECK(is_refused(allowed.find(f.dir.file("home/jobs/2"), own)));
  CHECK(is_refused(allowed.find(f.dir.file("home/jobs/1/../2"), own)));
  CHECK(is_refused(allowed.find(f.dir.file("home"), own)));
  CHECK(allowed.find(f.dir.file("secret/x"), own));
  const auto none = f.allow({}).find(f.dir.file("secret/x"), own);
  REQUIRE(is_refused(none));
  CHECK(none.error().message.find("it allows none of its host's, see trouped --allow-path") !=
        std::string::npos);
}

TEST_CASE("allowed_paths: what cannot be allowed is said when the daemon starts") {
  const Fixture f;
  const auto fault = [&](const std::string& folder) {
    const auto allowed = AllowedPaths::open({folder}, f.dir.file("home"));
    REQUIRE_FALSE(allowed);
    CHECK(allowed.error().code == ErrorCode::kInvalidArgument);
    return allowed.error().message;
  };
  CHECK(fault(f.dir.file("none")).find("is no folder of this host") != std::string::npos);
  CHECK(fault(f.dir.file("secret/x")).find("is no folder of this host") != std::string::npos);
  CHECK(fault("models").find("with a path that begins with /") != std::string::npos);
  CHECK(fault("/").find("is all there is") != std::string::npos);
  CHECK(fault(f.dir.file("home/jobs")).find("where all users' jobs are") != std::string::npos);
}
