// Recovery points: written by some ranks, read by others, bit for bit, or refused by name.
#include "model/formats/recovery_point.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "model/formats/file.h"
#include "model/formats/safetensors.h"
#include "schemas/bounds.h"
#include "schemas/hash.h"
#include "tests/support/point_in_parts.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_policy.h"

namespace troupe::model {
namespace {

namespace fs = std::filesystem;
using tests::is_equal;
using tests::ranges_of;
using tests::shard_of;

constexpr PolicyVersion kVersion{7};

// Its embedding has several chunks.
TransformerConfig config_of_many_chunks() {
  TransformerConfig config = tests::tiny_config();
  config.vocab_size = 3'000;
  return config;
}

// A learner's state, and the points that ranks make of it.
struct Example {
  explicit Example(TransformerConfig model = tests::tiny_config(), uint64_t seed = 1)
      : config(std::move(model)), layout(config) {
    whole.masters = tests::lively_parameters(config, layout, seed);
    whole.m = tests::lively_parameters(config, layout, seed + 10);
    whole.v = tests::lively_parameters(config, layout, seed + 20);
    whole.reference = tests::lively_parameters(config, layout, seed + 30);
    whole.beta1_power = 0.1 / static_cast<double>(seed);
    whole.beta2_power = 0.3 / static_cast<double>(seed);
  }

  int64_t num_floats() const { return layout.num_floats(); }
  Checkpoint checkpoint() const { return {.config = config, .values = whole.masters}; }

  PointRecord save(const std::string& folder, std::span<const FloatRange> ranges) const {
    fs::remove_all(folder);
    const auto saved =
        tests::save_in_parts(folder, kVersion, checkpoint(), whole, /*policies=*/{}, ranges);
    REQUIRE_MESSAGE(saved, (saved ? "" : saved.error().message));
    return *saved;
  }
  PointRecord save(const std::string& folder, int ranks) const {
    return save(folder, ranges_of(layout, ranks));
  }

  Result<LearnerState> load(const std::string& folder, const PointRecord& point,
                            const FloatRange& own, bool has_reference = true) const {
    return load_recovery_point(folder, point, layout, own, has_reference);
  }

  // The refusal that the rank that owns `own` hears; it names the file.
  std::string refusal(const std::string& folder, const PointRecord& point, const FloatRange& own,
                      const std::string& file, bool has_reference = true) const {
    const auto state = load(folder, point, own, has_reference);
    REQUIRE_FALSE(state);
    CAPTURE(state.error().message);
    CHECK(state.error().code == ErrorCode::kCorruption);
    CHECK(state.error().message.find(folder + "/" + file) != std::string::npos);
    CHECK(state.error().message.find('\n') == std::string::npos);
    return state.error().message;
  }

  TransformerConfig config;
  ParameterLayout layout;
  LearnerState whole{};
};

std::string part(int number) { return point_part_name(number); }

std::map<std::string, std::string> files_in(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const auto bytes = read_file(entry.path().string(), 1 << 26);
    REQUIRE(bytes);
    files[fs::relative(entry.path(), folder).string()] = *bytes;
  }
  return files;
}

void flip_bit(const std::string& path, size_t at) {
  auto bytes = read_file(path, 1 << 26);
  REQUIRE(bytes);
  (*bytes)[at] = static_cast<char>((*bytes)[at] ^ 1);
  REQUIRE(write_file(path, *bytes));
}

void copy_over(const std::string& from, const std::string& to) {
  fs::copy_file(from, to, fs::copy_options::overwrite_existing);
}

// The point that this folder's files are, whatever they say.
PointRecord agreeing_point(const std::string& folder, int parts) {
  std::vector<PointFile> files;
  for (const auto& [name, bytes] : files_in(folder)) {
    if (name == "manifest.json") continue;
    files.push_back({name, sha256_hex(std::as_bytes(std::span(bytes.data(), bytes.size())))});
  }
  const auto point = finish_point(folder, kVersion, "weights", {}, files, parts);
  REQUIRE_MESSAGE(point, (point ? "" : point.error().message));
  return *point;
}

TEST_CASE("recovery point: what any number of ranks wrote, any other number reads") {
  const Example example(config_of_many_chunks());
  const tests::TempDir dir;
  for (const int writers : {4, 1, 2, 3}) {
    CAPTURE(writers);
    const std::string folder = dir.file("by_" + std::to_string(writers));
    const PointRecord point = example.save(folder, writers);
    CHECK(verify_recovery_point(folder, point));
    CHECK(point.weights_sha256 == checkpoint_sha256(example.config, example.whole.masters));
    for (const int readers : {1, 2, 3, 4}) {
      CAPTURE(readers);
      for (const FloatRange& own : ranges_of(example.layout, readers)) {
        const auto state = example.load(folder, point, own);
        REQUIRE_MESSAGE(state, (state ? "" : state.error().message));
        CHECK(is_equal(*state, shard_of(example.whole, own)));
      }
    }
    const auto whole = load_recovery_point(folder, point, example.layout, true);
    REQUIRE(whole);
    CHECK(is_equal(*whole, example.whole));
  }
}

TEST_CASE("recovery point: four ranks, then three, then four again leave the same files") {
  const Example example(config_of_many_chunks());
  const tests::TempDir dir;
  const PointRecord first = example.save(dir.file("first"), 4);
  const auto go_on = [&](const std::string& from, const PointRecord& point, int ranks,
                         const std::string& to) {
    auto shared = save_point_checkpoint(to, example.checkpoint(), {});
    REQUIRE(shared);
    const auto ranges = ranges_of(example.layout, ranks);
    for (int rank = 0; rank < ranks; ++rank) {
      const FloatRange& own = ranges[static_cast<size_t>(rank)];
      const auto state = example.load(from, point, own);
      REQUIRE(state);
      const auto files = save_point_part(to, rank, ranks, own, *state);
      REQUIRE(files);
      shared->files.insert(shared->files.begin(), files->begin(), files->end());
    }
    const auto finished =
        finish_point(to, kVersion, point.weights_sha256, shared->policies, shared->files, ranks);
    REQUIRE(finished);
    return *finished;
  };
  const PointRecord second = go_on(dir.file("first"), first, 3, dir.file("second"));
  const PointRecord third = go_on(dir.file("second"), second, 4, dir.file("third"));
  CHECK(files_in(dir.file("first")) == files_in(dir.file("third")));
  CHECK(third.manifest_sha256 == first.manifest_sha256);
  CHECK(second.manifest_sha256 != first.manifest_sha256);
}

TEST_CASE("recovery point: one rank writes all of it with one call, older policies too") {
  const Example example;
  const tests::TempDir dir;
  const std::vector<PolicyFile> policies = {{PolicyVersion{3}, dir.file("published")}};
  REQUIRE(write_policy_file(policies[0].path, example.config, example.whole.v));
  const std::string folder = dir.file("point");
  const auto point =
      save_recovery_point(folder, kVersion, example.checkpoint(), example.whole, policies);
  REQUIRE_MESSAGE(point, (point ? "" : point.error().message));
  CHECK(verify_recovery_point(folder, *point));
  REQUIRE(point->policies.size() == 1);
  CHECK(point->policies[0].version == PolicyVersion{3});
  CHECK(point->policies[0].weights_sha256 == checkpoint_sha256(example.config, example.whole.v));
  CHECK(read_policy_file(policy_path(folder, PolicyVersion{3}), example.config));
  CHECK(load_checkpoint(folder));
  const auto state = load_recovery_point(folder, *point, example.layout, true);
  REQUIRE(state);
  CHECK(is_equal(*state, example.whole));
}

TEST_CASE("recovery point: shards without floats, and learners without a reference") {
  Example example;
  const tests::TempDir dir;
  const int64_t n = example.num_floats();
  const std::vector<FloatRange> ranges = {{0, 0}, {0, n}, {n, n}};
  PointRecord point = example.save(dir.file("point"), ranges);
  for (const FloatRange own : {FloatRange{0, 0}, FloatRange{16, 16}, FloatRange{n, n}}) {
    for (const bool has_reference : {false, true}) {
      const auto state = example.load(dir.file("point"), point, own, has_reference);
      REQUIRE(state);
      CHECK(state->masters.empty());
      CHECK(state->reference.size() == (has_reference ? example.whole.reference.size() : 0));
      CHECK(state->beta1_power == example.whole.beta1_power);
      CHECK(state->beta2_power == example.whole.beta2_power);
    }
  }
  const auto whole = load_recovery_point(dir.file("point"), point, example.layout, true);
  REQUIRE(whole);
  CHECK(is_equal(*whole, example.whole));

  example.whole.reference.clear();
  point = example.save(dir.file("point"), 2);
  const auto state = load_recovery_point(dir.file("point"), point, example.layout, false);
  REQUIRE(state);
  CHECK(is_equal(*state, example.whole));
  example.refusal(dir.file("point"), point, {0, n}, part(0));  // Without the reference it wants.
}

TEST_CASE("recovery point: a damaged part is refused by those who need it, and by nobody else") {
  const Example example;
  const tests::TempDir dir;
  const std::string folder = dir.file("point");
  const PointRecord point = example.save(folder, 4);
  const auto ranges = ranges_of(example.layout, 4);
  flip_bit(folder + "/" + part(2), fs::file_size(folder + "/" + part(2)) - 1);
  for (size_t rank = 0; rank < 4; ++rank) {
    CAPTURE(rank);
    example.refusal(folder, point, ranges[rank], part(2));
    if (rank == 2) {
      example.refusal(folder, point, ranges[rank], part(2), false);
      continue;
    }
    const auto state = example.load(folder, point, ranges[rank], /*has_reference=*/false);
    REQUIRE(state);
    CHECK(state->masters == shard_of(example.whole, ranges[rank]).masters);
  }
  const Status verified = verify_recovery_point(folder, point);
  REQUIRE_FALSE(verified);
  CHECK(verified.error().message.find(part(2)) != std::string::npos);
}

TEST_CASE("recovery point: a part that is missing, swapped or another point's is refused") {
  const Example example;
  const tests::TempDir dir;
  const std::string folder = dir.file("point");
  const auto first = ranges_of(example.layout, 4)[0];
  const auto refusal = [&](const PointRecord& point, int of_part) {
    // Also by a rank that needs another part only, where the file itself says what is wrong.
    const Status verified = verify_recovery_point(folder, point);
    REQUIRE_FALSE(verified);
    CHECK(verified.error().code == ErrorCode::kCorruption);
    return example.refusal(folder, point, first, part(of_part));
  };
  const auto contains = [](const std::string& text, const char* what) {
    CAPTURE(text);
    CHECK(text.find(what) != std::string::npos);
  };

  PointRecord point = example.save(folder, 4);
  fs::remove(folder + "/" + part(3));
  contains(refusal(point, 3), "is missing");
  example.refusal(folder, point, first, part(3), /*has_reference=*/false);
  fs::create_directory(folder + "/" + part(3));
  contains(refusal(point, 3), "is missing");

  // Of the same version, and says of itself what it should.
  point = example.save(folder, 4);
  const Example other(tests::tiny_config(), /*seed=*/2);
  Example same_powers = other;
  same_powers.whole.beta1_power = example.whole.beta1_power;
  same_powers.whole.beta2_power = example.whole.beta2_power;
  same_powers.save(dir.file("other"), 4);
  copy_over(dir.file("other") + "/" + part(1), folder + "/" + part(1));
  contains(refusal(point, 1), "digest");
  other.save(dir.file("other"), 4);
  copy_over(dir.file("other") + "/" + part(1), folder + "/" + part(1));
  contains(refusal(point, 1), "powers of beta");

  point = example.save(folder, 4);
  fs::rename(folder + "/" + part(1), folder + "/kept");
  fs::rename(folder + "/" + part(2), folder + "/" + part(1));
  fs::rename(folder + "/kept", folder + "/" + part(2));
  contains(refusal(point, 1), "is part 2 of 4 and should be part 1 of 4");
  example.refusal(folder, point, first, part(1), /*has_reference=*/false);

  point = example.save(folder, 4);
  example.save(dir.file("other"), 3);
  copy_over(dir.file("other") + "/" + part(0), folder + "/" + part(0));
  contains(refusal(point, 0), "is part 0 of 3 and should be part 0 of 4");
}

TEST_CASE(
    "recovery point: parts that do not make a whole are refused, whatever the manifest says") {
  const Example example;
  const tests::TempDir dir;
  const std::string folder = dir.file("point");
  const int64_t n = example.num_floats();
  const int64_t half = n / 2;
  struct Part {
    FloatRange range{};
    int part = 0;
    int parts = 2;
    double beta1_power = 1;
  };
  // The file that is named, and why.
  const auto refusal = [&](const std::vector<Part>& parts, int named) {
    fs::remove_all(folder);
    for (size_t i = 0; i < parts.size(); ++i) {
      const Part& one = parts[i];
      LearnerState state;
      state.masters.resize(static_cast<size_t>(one.range.count()));
      state.m = state.v = state.masters;
      state.beta1_power = one.beta1_power;
      REQUIRE(save_point_part(folder, one.part, one.parts, one.range, state));
      fs::rename(folder + "/" + part(one.part), folder + "/" + std::to_string(i));
    }
    for (size_t i = 0; i < parts.size(); ++i) {
      fs::rename(folder + "/" + std::to_string(i), folder + "/" + part(static_cast<int>(i)));
    }
    const PointRecord point = agreeing_point(folder, static_cast<int>(parts.size()));
    CHECK(verify_recovery_point(folder, point));
    return example.refusal(folder, point, {0, n}, part(named), /*has_reference=*/false);
  };
  const auto check = [&](const std::vector<Part>& parts, int named, const char* what) {
    const std::string text = refusal(parts, named);
    CAPTURE(text);
    CHECK(text.find(what) != std::string::npos);
  };
  check({{{0, half}, 0}, {{half - 16, n}, 1}}, 1, "those before it end at");
  check({{{0, half}, 0}, {{half + 16, n}, 1}}, 1, "those before it end at");
  check({{{0, half}, 0}, {{half, n + 16}, 1}}, 1, "those before it end at");
  check({{{half, n}, 0}, {{0, half}, 1}}, 0, "those before it end at");
  check({{{16, half}, 0}, {{half, n}, 1}}, 0, "those before it end at");
  check({{{-16, half}, 0}, {{half, n}, 1}}, 0, "those before it end at");
  check({{{0, half}, 0}, {{half, n - 16}, 1}}, 1, "is the last part");
  check({{{0, half}, 1}, {{half, n}, 0}}, 0, "should be part 0 of 2");
  check({{{0, half}, 0}, {{half, n}, 1, 3}}, 1, "should be part 1 of 2");
  check({{{0, half}, 0}, {{half, n}, 1, 2, 0.5}}, 1, "powers of beta");
}

TEST_CASE("recovery point: one that is not whole cannot be finished") {
  const Example example;
  const tests::TempDir dir;
  const std::string folder = dir.file("point");
  example.save(folder, 2);
  const auto refused = [&](std::vector<PointFile> files, int parts, const char* what) {
    const auto point = finish_point(folder, kVersion, "weights", {}, std::move(files), parts);
    REQUIRE_FALSE(point);
    CAPTURE(point.error().message);
    CHECK(point.error().message.find(what) != std::string::npos);
  };
  refused({{part(0), "0"}}, 2, "does not name recovery/part_1.safetensors");
  refused({{part(0), "0"}, {part(1), "1"}, {part(1), "2"}}, 2, "twice");
  refused({{part(0), "0"}, {"../other/part", "1"}}, 1, "which is no file of its folder");
  refused({}, 0, "0 parts");
  refused({}, static_cast<int>(kRanksMax) + 1, "parts");
  CHECK(finish_point(folder, kVersion, "\xff", {}, {{part(0), "\xff\n\""}}, 1));
}

TEST_CASE("recovery point: a hostile manifest is refused, also when it is the one that is meant") {
  const Example example;
  const tests::TempDir dir;
  const std::string folder = dir.file("point");
  example.save(folder, 2);
  const auto good = nlohmann::json::parse(*read_file(folder + "/manifest.json", 1 << 20));
  const auto check_refused = [&](const std::string& text) {
    CAPTURE(text.substr(0, 500));
    REQUIRE(write_file(folder + "/manifest.json", text));
    const PointRecord point{
        .version = kVersion,
        .manifest_sha256 = sha256_hex(std::as_bytes(std::span(text.data(), text.size())))};
    example.refusal(folder, point, {0, example.num_floats()}, "manifest.json");
    const Status verified = verify_recovery_point(folder, point);
    REQUIRE_FALSE(verified);
    CHECK(verified.error().code == ErrorCode::kCorruption);
  };
  const auto with = [&good](const char* key, const nlohmann::json& value) {
    auto changed = good;
    changed[key] = value;
    return changed.dump();
  };
  const auto naming = [&](const std::string& name) {
    auto files = good["files"];
    files[name] = sha256_hex({});
    return with("files", files);
  };
  for (const char* text : {"", "{", "[]", "7", "null", "{}", "{\"files\": {}}"}) {
    check_refused(text);
  }
  for (const nlohmann::json& parts :
       {nlohmann::json(), nlohmann::json(0), nlohmann::json(-1), nlohmann::json(1.5),
        nlohmann::json(3), nlohmann::json(static_cast<int>(kRanksMax) + 1),
        nlohmann::json(UINT64_MAX), nlohmann::json(4294967298), nlohmann::json("2")}) {
    check_refused(with("parts", parts));
  }
  check_refused(with("files", nlohmann::json::array()));
  check_refused(with("files", nlohmann::json::object()));
  check_refused(with("files", {{part(0), 7}, {part(1), 8}}));
  check_refused(with("policy_version", -1));
  check_refused(with("weights_sha256", 5));
  REQUIRE(write_file(dir.file("outside"), ""));
  for (const std::string& name :
       {std::string(), std::string("../outside"), dir.file("outside"), std::string(".."),
        std::string("recovery/../../outside"), std::string("recovery/"), std::string("/"),
        std::string("a\0b", 3)}) {
    check_refused(naming(name));
  }
  check_refused(good.dump() + std::string(2 << 20, ' '));
  check_refused(std::string(1 << 19, '['));
}

TEST_CASE("recovery point: no bytes of a part crash whoever believes its manifest") {
  const Example example;
  const tests::TempDir dir;
  const std::string folder = dir.file("point");
  example.save(folder, 2);
  const std::string path = folder + "/" + part(1);
  const auto original = read_file(path, 1 << 26);
  REQUIRE(original);
  std::mt19937 random(1);
  const auto below = [&random](size_t bound) { return static_cast<size_t>(random()) % bound; };
  size_t refused = 0;
  constexpr size_t kRuns = 400;
  for (size_t run = 0; run < kRuns; ++run) {
    CAPTURE(run);
    std::string bytes = *original;
    constexpr size_t kHeader = 480;
    for (size_t changes = 1 + below(3); changes > 0; --changes) {
      const size_t at = below(kHeader);
      const size_t kind = below(4);
      // Digits, so that headers stay what they are and numbers do not.
      if (kind < 2) bytes[at] = static_cast<char>('0' + below(10));
      if (kind == 2) bytes[at] = static_cast<char>(random());
      if (kind == 3) bytes.insert(at, 1 + below(12), static_cast<char>('0' + below(10)));
    }
    if (below(8) == 0) bytes.resize(below(bytes.size()));
    const std::span<const std::byte> piece = std::as_bytes(std::span(bytes.data(), bytes.size()));
    REQUIRE(write_file(path, std::span(&piece, 1), Durability::kNone));
    const PointRecord point = agreeing_point(folder, 2);
    const auto state = example.load(folder, point, {0, example.num_floats()});
    if (!state) {
      ++refused;
      CHECK(state.error().code == ErrorCode::kCorruption);
      CHECK(state.error().message.find(part(1)) != std::string::npos);
      continue;
    }
    CHECK(state->masters.size() == example.whole.masters.size());
    CHECK(state->reference.size() == example.whole.reference.size());
  }
  CHECK(refused > kRuns / 2);
}

TEST_CASE("recovery point: each rank makes the folder where it is not there, or says why not") {
  const Example example;
  const tests::TempDir dir;
  example.save(dir.file("not/there/yet"), 2);
  CHECK(fs::is_directory(dir.file("not/there/yet") + "/recovery"));
  REQUIRE(write_file(dir.file("file"), "text"));
  const auto refused = save_point_checkpoint(dir.file("file") + "/point", example.checkpoint(), {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find(dir.file("file")) != std::string::npos);
}

}  // namespace
}  // namespace troupe::model
