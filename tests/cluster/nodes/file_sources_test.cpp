// From which host a node reads a file: the state machine alone.
#include "cluster/nodes/file_sources.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <random>
#include <vector>

using namespace troupe;
using namespace troupe::cluster;

namespace {

const FileVersion kFile{"/models/m/weights", 100, 7};

std::string node_name(int i) { return fmt::format("n{:03}", i); }

FileSources with_nodes(int count) {
  FileSources sources;
  for (int i = 0; i < count; ++i) {
    sources.up(node_name(i), {.address = "10.0.0.1", .port = static_cast<uint16_t>(i + 1)});
  }
  return sources;
}

}  // namespace

TEST_CASE("file sources: who has a file gives it, else the head, else who is about to have it") {
  FileSources sources = with_nodes(5);
  CHECK(sources.find(node_name(0), kFile, "").node.empty());
  CHECK(sources.find(node_name(1), kFile, "").node.empty());
  // The head is busy with two.
  const CopySource third = sources.find(node_name(2), kFile, "");
  CHECK(third == CopySource{.node = node_name(0), .address = "10.0.0.1", .port = 1});
  CHECK(sources.find(node_name(3), kFile, "").node == node_name(1));
  sources.has(node_name(0), kFile);
  CHECK(sources.find(node_name(4), kFile, "").node == node_name(0));
  // Another version is another file.
  CHECK(sources.find(node_name(4), {kFile.path, kFile.bytes, 8}, "").node.empty());
}

TEST_CASE("file sources: 512 nodes at once form a tree without a ring, two below each") {
  constexpr int kNodes = 512;
  FileSources sources = with_nodes(kNodes);
  std::map<std::string, std::string> source_of;
  std::map<std::string, int> readers;
  for (int i = 0; i < kNodes; ++i) {
    source_of[node_name(i)] = sources.find(node_name(i), kFile, "").node;
    ++readers[source_of[node_name(i)]];
  }
  int deepest = 0;
  for (const auto& [node, source] : source_of) {
    int depth = 1;
    for (std::string at = source; !at.empty(); at = source_of.at(at)) {
      REQUIRE(++depth < kNodes);
    }
    deepest = std::max(deepest, depth);
  }
  for (const auto& [source, count] : readers) CHECK(count <= 2);
  CHECK(deepest <= 16);
}

TEST_CASE("file sources: who failed is not named again, and nobody reads from below itself") {
  FileSources sources = with_nodes(8);
  std::mt19937 random(3);
  std::map<std::string, std::string> source_of;
  std::map<std::string, std::set<std::string>> failed;
  for (int i = 0; i < 2'000; ++i) {
    const std::string node = node_name(static_cast<int>(random() % 8));
    std::string bad;
    if (random() % 3 == 0 && source_of.count(node) > 0) bad = source_of[node];
    if (!bad.empty()) failed[node].insert(bad);
    const std::string source = sources.find(node, kFile, bad).node;
    CHECK(source != node);
    CHECK(failed[node].count(source) == 0);
    source_of[node] = source;
    int steps = 0;
    for (std::string at = source; !at.empty() && source_of.count(at) > 0; at = source_of[at]) {
      REQUIRE(++steps < 9);
    }
  }
}

TEST_CASE("file sources: who is gone, and what was dropped, is nobody's source") {
  FileSources sources = with_nodes(3);
  sources.has(node_name(0), kFile);
  CHECK(sources.find(node_name(1), kFile, "").node == node_name(0));
  sources.gone(node_name(0));
  CHECK(sources.find(node_name(1), kFile, "").node.empty());
  // A stranger's word counts for nothing.
  sources.has(node_name(0), kFile);
  CHECK(sources.find(node_name(2), kFile, "").node.empty());
  sources.has(node_name(1), kFile);
  CHECK(sources.find(node_name(2), kFile, "").node == node_name(1));
  sources.dropped("/models/m/weig");
  CHECK(sources.find(node_name(2), kFile, "").node == node_name(1));
  sources.dropped("/models/m");
  CHECK(sources.find(node_name(2), kFile, "").node.empty());
}

TEST_CASE("file sources: what is known is bounded") {
  FileSources sources({.files_max = 10});
  sources.up("a", {});
  sources.up("b", {});
  for (int i = 0; i < 100; ++i) sources.has("a", {fmt::format("/f{}", i), 1, 1});
  CHECK(sources.find("b", {"/f99", 1, 1}, "").node == "a");
  CHECK(sources.find("b", {"/f0", 1, 1}, "").node.empty());
}
