// GPUs as their driver's library tells of them; here a library that tells of what a test wants.
#include "cluster/monitor/gpu_reader.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <utility>

using namespace troupe;
using namespace troupe::cluster;

namespace {

class Environment {
 public:
  explicit Environment(std::initializer_list<std::pair<const char*, const char*>> values) {
    for (const auto& [name, value] : values) {
      ::setenv(name, value, 1);
      names_.emplace_back(name);
    }
  }
  ~Environment() {
    for (const std::string& name : names_) ::unsetenv(name.c_str());
  }

 private:
  std::vector<std::string> names_{};
};

}  // namespace

TEST_CASE("gpu reader: a host without a driver has no GPUs, and says why") {
  const auto none = GpuReader::open("libno-such-library.so.1");
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ErrorCode::kUnavailable);
  CHECK(none.error().message == "no driver for GPUs is installed");
  const auto other = GpuReader::open("libm.so.6");
  REQUIRE_FALSE(other);
  CHECK(other.error().message.find("install a newer driver") != std::string::npos);
  const Environment set({{"TROUPE_TEST_NO_DRIVER", "1"}});
  const auto silent = GpuReader::open(TROUPE_GPU_HOST_NVML);
  REQUIRE_FALSE(silent);
  CHECK(silent.error().message == "the driver for GPUs does not answer: Driver Not Loaded");
}

TEST_CASE("gpu reader: those that a process may use, as CUDA reads its variable") {
  using Ids = std::vector<std::string>;
  const std::vector<GpuFacts> facts = {{.id = "GPU-ab0"}, {.id = "GPU-ab1"}, {.id = "GPU-c"}};
  CHECK(usable_gpus(facts, nullptr) == Ids{"GPU-ab0", "GPU-ab1", "GPU-c"});
  CHECK(usable_gpus(facts, "").empty());
  CHECK(usable_gpus(facts, "-1").empty());
  CHECK(usable_gpus(facts, "2,0") == Ids{"GPU-c", "GPU-ab0"});
  CHECK(usable_gpus(facts, "GPU-c,1") == Ids{"GPU-c", "GPU-ab1"});
  CHECK(usable_gpus(facts, "GPU-ab") == Ids{});          // Of two, nobody knows which.
  CHECK(usable_gpus(facts, "1,3,0") == Ids{"GPU-ab1"});  // Behind what there is not nothing counts.
  CHECK(usable_gpus(facts, "0,,1") == Ids{"GPU-ab0"});
  CHECK(usable_gpus(facts, "1,1,2") == Ids{"GPU-ab1"});
  CHECK(usable_gpus({}, nullptr).empty());
}

TEST_CASE("gpu reader: what a host has, which reach each other, and how they are") {
  const Environment set({{"TROUPE_TEST_GPUS", "3"}});
  const auto reader = GpuReader::open(TROUPE_GPU_HOST_NVML);
  REQUIRE(reader);
  CHECK((*reader)->driver() == "580.65.06");
  const auto& facts = (*reader)->facts();
  REQUIRE(facts.size() == 3);
  CHECK(facts[2].name == "NVIDIA H800");
  CHECK(facts[2].id == "GPU-2");
  CHECK(facts[2].major == 9);
  CHECK(facts[2].memory_bytes == uint64_t{80} << 30);
  CHECK(facts[0].peers == std::vector<bool>{true, true, false});
  CHECK(facts[2].peers == std::vector<bool>{false, false, true});
  const auto readings = (*reader)->read();
  REQUIRE(readings.size() == 3);
  CHECK(readings[0].busy == doctest::Approx(0.25));
  CHECK(readings[0].watts == doctest::Approx(350.5));
  CHECK(readings[0].memory_used_bytes == doctest::Approx(2.0 * (1 << 30)));
  CHECK(readings[1].watts < 0);
  CHECK(readings[1].failure.empty());
}

TEST_CASE("gpu reader: a GPU that is lost is named, and the others are read") {
  const Environment set({{"TROUPE_TEST_GPUS", "2"}, {"TROUPE_TEST_GPU_LOST", "0"}});
  const auto reader = GpuReader::open(TROUPE_GPU_HOST_NVML);
  REQUIRE(reader);
  const auto readings = (*reader)->read();
  REQUIRE(readings.size() == 2);
  CHECK(readings[0].failure == "GPU is lost");
  CHECK(readings[1].failure.empty());
  CHECK(readings[1].busy == doctest::Approx(0.26));
}
