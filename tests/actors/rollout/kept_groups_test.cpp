#include "actors/rollout/kept_groups.h"

#include <doctest/doctest.h>

namespace troupe::actors {
namespace {

GenerateGroups request_of(std::vector<uint32_t> ordinals) {
  GenerateGroups request{.version = PolicyVersion{7}, .max_response_tokens = 9, .stop_tokens = {1}};
  for (const uint32_t ordinal : ordinals) {
    request.groups.push_back({.id = {Round{3}, ordinal}, .prompt = {4, 5}, .num_samples = 2});
  }
  return request;
}

GeneratedGroup group_of(uint32_t ordinal) {
  return {.id = {Round{3}, ordinal},
          .version = PolicyVersion{7},
          .responses = {{.tokens = {static_cast<int32_t>(ordinal)}, .logprobs = {-1}}}};
}

std::vector<uint32_t> ordinals_of(const auto& groups) {
  std::vector<uint32_t> found;
  for (const auto& group : groups) found.push_back(group.id.ordinal);
  return found;
}

std::vector<uint32_t> held(const KeptGroups& kept) { return ordinals_of(kept.held()); }

using Ordinals = std::vector<uint32_t>;

// Of three groups, the first and the last are done.
void fill(KeptGroups& kept) {
  kept.loaded(PolicyVersion{7}, "weights");
  auto request = request_of({0, 1, 2});
  CHECK(kept.begin(request).empty());
  CHECK(ordinals_of(request.groups) == Ordinals{0, 1, 2});
  kept.add(group_of(0));
  kept.add(group_of(2));
}

TEST_CASE("kept groups: what is asked for again is there, the rest is left to be done") {
  KeptGroups kept;
  CHECK(kept.held().empty());
  fill(kept);
  CHECK(held(kept) == Ordinals{0, 1, 2});  // One is under way.
  kept.end();
  CHECK(held(kept) == Ordinals{0, 2});
  auto again = request_of({1, 2, 3});
  const auto found = kept.begin(again);
  REQUIRE(ordinals_of(found) == Ordinals{2});
  CHECK(found[0].responses[0].tokens == std::vector<int32_t>{2});
  CHECK(ordinals_of(again.groups) == Ordinals{1, 3});
  // A third time, also what comes from a request before the last.
  auto third = request_of({0, 2});
  CHECK(ordinals_of(kept.begin(third)) == Ordinals{0, 2});
  CHECK(third.groups.empty());
}

TEST_CASE("kept groups: of two requests and no more") {
  KeptGroups kept;
  fill(kept);
  for (const uint32_t ordinal : {10u, 11u}) {
    auto other = request_of({ordinal});
    CHECK(kept.begin(other).empty());
    kept.add(group_of(ordinal));
  }
  CHECK(held(kept) == Ordinals{10, 11});
  auto again = request_of({0});
  CHECK(kept.begin(again).empty());
}

TEST_CASE("kept groups: by other weights or asked for in another way it is another group") {
  const auto finds = [](auto change) {
    KeptGroups kept;
    fill(kept);
    auto request = request_of({0, 1, 2});
    change(kept, request);
    return kept.begin(request).size();
  };
  CHECK(finds([](auto&, auto&) {}) == 2);
  CHECK(finds([](auto& kept, auto&) { kept.loaded(PolicyVersion{7}, "other"); }) == 0);
  CHECK(finds([](auto&, auto& request) { request.version = PolicyVersion{8}; }) == 0);
  CHECK(finds([](auto&, auto& request) { request.temperature = 0.5f; }) == 0);
  CHECK(finds([](auto&, auto& request) { request.top_p = 0.5f; }) == 0);
  CHECK(finds([](auto&, auto& request) { request.max_response_tokens = 8; }) == 0);
  CHECK(finds([](auto&, auto& request) { request.stop_tokens = {2}; }) == 0);
  CHECK(finds([](auto&, auto& request) { request.groups[0].prompt = {4}; }) == 1);
  CHECK(finds([](auto&, auto& request) { request.groups[0].num_samples = 3; }) == 1);
  CHECK(finds([](auto&, auto& request) { request.groups[0].purpose = GroupPurpose::kEvaluate; }) ==
        1);
  CHECK(finds([](auto& kept, auto&) { kept.clear(); }) == 0);
}

TEST_CASE("kept groups: a worker says what weights it is ready with") {
  KeptGroups kept;
  CHECK(kept.ready().weights_sha256.empty());
  fill(kept);
  CHECK(kept.ready().version == PolicyVersion{7});
  CHECK(kept.ready().weights_sha256 == "weights");
  kept.clear();
  CHECK(kept.ready().weights_sha256.empty());
}

}  // namespace
}  // namespace troupe::actors
