#include "model/formats/sharded_safetensors.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>

#include "model/formats/file.h"
#include "tests/support/temp_dir.h"

namespace troupe::model {
namespace {

namespace fs = std::filesystem;

// A copy of a checkpoint in three shards, to be damaged.
struct Shards {
  Shards() {
    fs::copy(std::string(TROUPE_SOURCE_DIR) + "/tests/model/golden/formats/sharded", folder);
  }

  std::string path(const std::string& name) const { return folder + "/" + name; }
  std::string index() const { return path("model.safetensors.index.json"); }
  std::string shard(int i) const {
    return "model-0000" + std::to_string(i) + "-of-00003.safetensors";
  }
  template <class Change>
  void change_index(Change change) const {
    auto json = nlohmann::json::parse(*read_file(index(), 1 << 20));
    change(json);
    REQUIRE(write_file(index(), json.dump()));
  }
  template <class Change>
  void change_shard(int i, Change change) const {
    const auto bytes = read_file(path(shard(i)), 1 << 20);
    auto file = parse_safetensors(std::as_bytes(std::span(*bytes)));
    REQUIRE(file);
    change(file->tensors);
    REQUIRE(write_safetensors(path(shard(i)), file->tensors));
  }
  std::string refusal() const {
    const auto opened = ShardedSafetensors::open(folder);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code != ErrorCode::kInternal);
    CHECK(opened.error().message.find('\n') == std::string::npos);
    CHECK(opened.error().message.find(folder) != std::string::npos);
    return opened.error().message;
  }

  tests::TempDir dir{};
  std::string folder = dir.file("policy");
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("sharded_safetensors: a tensor is found by name in whichever shard has it") {
  const Shards shards;
  const auto opened = ShardedSafetensors::open(shards.folder);
  REQUIRE_MESSAGE(opened, opened.error().message);
  const auto index = nlohmann::json::parse(*read_file(shards.index(), 1 << 20));
  CHECK(opened->tensors().size() == index["weight_map"].size());
  for (const auto& [name, shard] : index["weight_map"].items()) {
    CAPTURE(name);
    const TensorView* tensor = opened->find(name);
    REQUIRE(tensor != nullptr);
    const auto alone = SafetensorsFile::open(shards.path(shard));
    const TensorView* wanted = alone->find(name);
    REQUIRE(wanted != nullptr);
    CHECK(std::ranges::equal(tensor->bytes, wanted->bytes));
  }
  CHECK(opened->find("none") == nullptr);
  CHECK(contains(opened->path(), "index.json"));
}

TEST_CASE("sharded_safetensors: one file comes before an index") {
  const Shards shards;
  fs::copy(shards.path(shards.shard(1)), shards.path("model.safetensors"));
  const auto opened = ShardedSafetensors::open(shards.folder);
  REQUIRE(opened);
  CHECK(opened->path() == shards.path("model.safetensors"));
}

TEST_CASE("sharded_safetensors: missing, extra and doubled tensors are named with their file") {
  const auto name_of = [](const Shards& shards, int i) {
    return SafetensorsFile::open(shards.path(shards.shard(i)))->tensors().front().name;
  };
  {
    const Shards shards;
    const std::string name = name_of(shards, 2);
    shards.change_shard(2, [](auto& tensors) { tensors.erase(tensors.begin()); });
    CHECK(contains(shards.refusal(), shards.shard(2) + ": tensor \"" + name + "\" is missing"));
  }
  {
    const Shards shards;
    const std::string name = name_of(shards, 2);
    shards.change_index([&](auto& json) { json["weight_map"].erase(name); });
    CHECK(contains(shards.refusal(), shards.shard(2) + ": tensor \"" + name + "\" is not in"));
  }
  {
    const Shards shards;
    const std::string name = name_of(shards, 2);
    const std::vector<float> value = {1};
    shards.change_shard(1, [&](auto& tensors) {
      tensors.push_back({name, DType::kF32, {1}, std::as_bytes(std::span(value))});
    });
    CHECK(contains(shards.refusal(), shards.shard(1) + ": tensor \"" + name + "\" should be in"));
  }
  {
    const Shards shards;
    fs::remove(shards.path(shards.shard(3)));
    CHECK(contains(shards.refusal(), shards.shard(3)));
  }
  {
    const Shards shards;
    fs::resize_file(shards.path(shards.shard(3)), 20000);
    CHECK(contains(shards.refusal(), shards.shard(3)));
  }
}

TEST_CASE("sharded_safetensors: an index that is not one is refused") {
  const Shards shards;
  const auto refused = [&shards](const std::string& text, const char* what) {
    CAPTURE(text.substr(0, 100));
    REQUIRE(write_file(shards.index(), text));
    const std::string refusal = shards.refusal();
    CAPTURE(refusal);
    CHECK(contains(refusal, what));
  };
  refused("", "not a JSON object");
  refused("[]", "not a JSON object");
  refused("{}", "no weight_map");
  refused(R"({"weight_map": []})", "no weight_map");
  refused(R"({"weight_map": {}})", "empty");
  refused(R"({"weight_map": {"a": 1}})", "\"a\" is not the name of a file");
  refused(R"({"weight_map": {"a": "../a.safetensors"}})", "\"a\" is not the name of a file");
  refused(R"({"weight_map": {"a": ".."}})", "\"a\" is not the name of a file");
  refused(R"({"weight_map": {"a": "x\u0000y"}})", "\"a\" is not the name of a file");
  refused(R"({"weight_map": {"a": "none.safetensors"}})", "none.safetensors");
  refused(R"({"weight_map": {"a": "b", "a": "c"}})", "\"a\" is there twice");
  refused(std::string(100'000, '['), "nested too deeply");
  std::string many = R"({"weight_map": {)";
  for (int i = 0; i < 5000; ++i) {
    many += (i == 0 ? "\"" : ", \"") + std::to_string(i) + "\": \"s" + std::to_string(i) + "\"";
  }
  refused(many + "}}", "names 5000 files");
}

TEST_CASE("sharded_safetensors: a mutated index never crashes") {
  const Shards shards;
  const std::string original = *read_file(shards.index(), 1 << 20);
  std::mt19937 random(3);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = original;
    for (uint32_t changes = 1 + random() % 3; changes > 0; --changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    // Whole files of the same length: what is left of an old one plays no part.
    REQUIRE(
        write_file(shards.index(), std::array{std::as_bytes(std::span(bytes))}, Durability::kNone));
    const auto opened = ShardedSafetensors::open(shards.folder);
    if (opened) continue;
    ++refused;
    CHECK(opened.error().message.find('\n') == std::string::npos);
  }
  CHECK(refused > 1000);
}

}  // namespace
}  // namespace troupe::model
