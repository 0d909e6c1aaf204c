// What moves a team's bytes, by the device that it computes on.
#include "kernels/collective/device_team.h"

#include "tests/kernels/collective/team_fixture.h"

namespace troupe::kernels::collective {
namespace {

using namespace tests;  // NOLINT: the fixture is this file's language.

const DeviceLibraries kHost{.gpus = TROUPE_GPU_HOST_CUDA, .nccl = TROUPE_GPU_HOST_NCCL};

// What rank 0 has when two ranks have told each other theirs.
std::vector<std::byte> gathered(std::string_view arithmetic_id, size_t size) {
  const auto meshes = loopback_team(2, 1);
  std::vector<std::vector<std::byte>> heard[2];
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    auto& all = heard[rank];
    for (int from = 0; from < 2; ++from) {
      all.push_back(from == rank ? bytes_between(rank, 0, size) : std::vector<std::byte>(size));
    }
    threads.emplace_back([&, rank] {
      auto team = device_team(arithmetic_id, meshes[static_cast<size_t>(rank)], 0, kHost);
      REQUIRE(team);
      std::vector<Part> parts;
      for (auto& one : all) parts.push_back(part_of(one));
      CHECK(good((*team)->all_gather(nullptr, parts[static_cast<size_t>(rank)], parts, soon())));
    });
  }
  for (auto& thread : threads) thread.join();
  return heard[0][1];
}

TEST_CASE("device team: ranks hear each other on processors and on GPUs") {
  for (const char* arithmetic : {"cpu-1", "cuda-sm90-1", "cuda-sm80-1"}) {
    CAPTURE(std::string(arithmetic));
    CHECK(gathered(arithmetic, 100'000) == bytes_between(1, 0, 100'000));
  }
}

TEST_CASE("device team: what is missing for GPUs is said") {
  const auto mesh = loopback_team(1, 1).front();
  const auto no_nccl = device_team("cuda-sm90-1", mesh, 0,
                                   {.gpus = TROUPE_GPU_HOST_CUDA, .nccl = "libno-nccl.so.2"});
  REQUIRE_FALSE(no_nccl);
  CHECK(no_nccl.error().code == ErrorCode::kUnavailable);
  CHECK(no_nccl.error().message.find("need NCCL: ") != std::string::npos);
  CHECK(no_nccl.error().message.find("is not installed") != std::string::npos);
  const auto other = device_team("cuda-sm90-1", mesh, 0, {.gpus = "libm.so.6"});
  REQUIRE_FALSE(other);
  CHECK(other.error().message.find("libm.so.6: it does not say") != std::string::npos);
  // Of both nothing is asked where there are no GPUs.
  CHECK(device_team("cpu-1", mesh, 0, {.gpus = "libm.so.6", .nccl = "libno-nccl.so.2"}));
}

}  // namespace
}  // namespace troupe::kernels::collective
