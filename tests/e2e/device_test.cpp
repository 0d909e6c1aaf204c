// A job that asks for a GPU where there is none: it says so in one line and goes on on the CPU.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/support/killed_run.h"
#include "tests/support/short_job.h"

namespace troupe {
namespace {

using tests::Ended;
using tests::Invocation;
using tests::ShortJob;

TEST_CASE("device: without a GPU a job that wants one is the CPU's, bit for bit, and says so") {
  const ShortJob job;
  const auto run = [&job](const std::string& device) {
    Invocation invocation = job.run(device, {"resources.device=\"" + device + "\""});
    invocation.environment.emplace_back("TROUPE_CUDA_LIBRARY", "/nowhere/libtroupe_cuda.so");
    return tests::troupe(invocation);
  };
  const Ended cpu = run("cpu"), cuda = run("cuda"), automatic = run("auto");
  const std::string want = tests::result_of(cpu)["weights_sha256"];
  CHECK(tests::result_of(cuda)["weights_sha256"] == want);
  CHECK(tests::result_of(automatic)["weights_sha256"] == want);
  const std::string line = "no GPU is used, the CPU goes on: /nowhere/libtroupe_cuda.so";
  CHECK(cuda.error.find(line) != std::string::npos);
  CHECK(cpu.error.find("GPU") == std::string::npos);
  CHECK(automatic.error.find("GPU") == std::string::npos);
}

TEST_CASE("device: another word is refused with those that are there") {
  const ShortJob job;
  const Ended ended = tests::troupe(job.run("gpu", {"resources.device=\"gpu\""}));
  CHECK(ended.exit_code != 0);
  CHECK(ended.error.find("resources.device") != std::string::npos);
  CHECK(ended.error.find("cuda") != std::string::npos);
}

}  // namespace
}  // namespace troupe
