// A job that asks for a GPU where there is none: it is refused, or goes on on the CPU, as it asked.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/killed_run.h"
#include "tests/support/short_job.h"

namespace troupe {
namespace {

using tests::Ended;
using tests::Invocation;
using tests::ShortJob;

constexpr const char* kNowhere = "/nowhere/libtroupe_cuda.so";

Ended run_on(const ShortJob& job, const std::string& device) {
  Invocation invocation = job.run(device, {"resources.device=\"" + device + "\""});
  invocation.environment.emplace_back("TROUPE_CUDA_LIBRARY", kNowhere);
  return tests::troupe(invocation);
}

TEST_CASE("device: without a GPU auto is the CPU, bit for bit, and says so") {
  const ShortJob job;
  const Ended cpu = run_on(job, "cpu"), automatic = run_on(job, "auto");
  const std::string want = tests::result_of(cpu)["weights_sha256"];
  CHECK(want.size() == 64);
  CHECK(tests::result_of(automatic)["weights_sha256"] == want);
  const std::string line = std::string("no GPU is used, the CPU goes on: ") + kNowhere;
  CHECK(automatic.error.find(line) != std::string::npos);
  CHECK(cpu.error.find("GPU") == std::string::npos);
}

TEST_CASE("device: without a GPU cuda is refused before anything is written, with what to do") {
  const ShortJob job;
  const Ended ended = run_on(job, "cuda");
  CHECK(ended.exit_code != 0);
  CHECK(ended.error.find("resources.device: there is no GPU to use") != std::string::npos);
  CHECK(ended.error.find(kNowhere) != std::string::npos);
  CHECK(ended.error.find("\"auto\"") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(job.file("cuda")));
}

TEST_CASE("device: a benchmark of a GPU is refused where there is none") {
  const Ended ended = tests::troupe({.arguments = {"bench", "--device", "cuda", "--only", "train."},
                                     .environment = {{"TROUPE_CUDA_LIBRARY", kNowhere}}});
  CHECK(ended.exit_code == 2);
  CHECK(ended.error.find("--device: there is no GPU to use") != std::string::npos);
}

TEST_CASE("device: another word is refused with those that are there") {
  const ShortJob job;
  for (const char* word : {"gpu", "cuda-emulated"}) {
    const Ended ended = run_on(job, word);
    CHECK(ended.exit_code != 0);
    CHECK(ended.error.find("resources.device") != std::string::npos);
    CHECK(ended.error.find("cuda") != std::string::npos);
  }
}

}  // namespace
}  // namespace troupe
