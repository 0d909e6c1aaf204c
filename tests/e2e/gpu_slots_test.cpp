// The real program on a host with GPUs, as far as their driver's library and a library of
// operations tell: the arithmetic is the CPU's under another name.
#include <doctest/doctest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/support/killed_run.h"
#include "tests/support/short_job.h"

namespace troupe {
namespace {

using tests::Ended;
using tests::Invocation;
using tests::ShortJob;

class GpuHost {
 public:
  GpuHost() {
    std::filesystem::create_symlink(TROUPE_GPU_HOST_NVML, dir_.file("libnvidia-ml.so.1"));
  }

  Ended run(const std::string& home, const std::string& gpus, std::vector<std::string> set) {
    Invocation invocation = job_.run(home, std::move(set));
    invocation.environment = {{"LD_LIBRARY_PATH", dir_.path()},
                              {"TROUPE_TEST_GPUS", gpus},
                              {"TROUPE_TEST_GPU_LOG", log()},
                              {"TROUPE_CUDA_LIBRARY", TROUPE_GPU_HOST_CUDA}};
    return tests::troupe(invocation);
  }
  // By process: what it was let see.
  std::map<int, std::string> seen() const {
    std::map<int, std::string> all;
    std::istringstream lines(tests::contents(log()));
    std::string gpu;
    for (int pid = 0; lines >> pid >> gpu;) all[pid] = gpu;
    return all;
  }
  std::string file(const std::string& name) const { return job_.file(name); }

 private:
  std::string log() const { return dir_.file("seen"); }

  const tests::TempDir dir_{};
  const ShortJob job_{};
};

const std::vector<std::string> kSplit = {"resources.placement=\"split\"", "resources.rollout=2",
                                         "resources.verifier=1", "sft.steps=2"};

std::vector<std::string> split_on(const std::string& device) {
  std::vector<std::string> set = kSplit;
  set.push_back("resources.device=\"" + device + "\"");
  return set;
}

TEST_CASE("gpu slots: learner and rollouts have a GPU each, and a verifier has none") {
  GpuHost host;
  const Ended cpu = host.run("cpu", "4", split_on("cpu"));
  REQUIRE_MESSAGE(cpu.exit_code == 0, cpu.error);
  CHECK(host.seen().empty());
  const Ended gpu = host.run("gpu", "4", split_on("cuda"));
  REQUIRE_MESSAGE(gpu.exit_code == 0, gpu.error);
  CHECK(tests::result_of(gpu)["weights_sha256"] == tests::result_of(cpu)["weights_sha256"]);
  std::multiset<std::string> gpus;
  for (const auto& [pid, one] : host.seen()) gpus.insert(one);
  CHECK(gpus == std::multiset<std::string>{"all", "GPU-0", "GPU-1", "GPU-2"});
}

TEST_CASE("gpu slots: auto takes GPUs where there are some") {
  GpuHost host;
  const Ended gpu = host.run("auto", "1", {"resources.device=\"auto\""});
  REQUIRE_MESSAGE(gpu.exit_code == 0, gpu.error);
  CHECK(host.seen().size() == 2);
  CHECK(gpu.error.find("the CPU goes on") == std::string::npos);
}

TEST_CASE("gpu slots: a job that needs more GPUs than there are is refused with what to do") {
  GpuHost host;
  const Ended ended = host.run("few", "2", split_on("cuda"));
  CHECK(ended.exit_code != 0);
  CHECK(ended.error.find("together 3, and this host has 2") != std::string::npos);
  CHECK(ended.error.find("colocated") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(host.file("few")));
}

}  // namespace
}  // namespace troupe
