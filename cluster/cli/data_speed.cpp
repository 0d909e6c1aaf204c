#include "cluster/cli/data_speed.h"

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "cluster/cli/bench_folder.h"
#include "cluster/cli/policy_speed.h"
#include "kernels/random.h"
#include "model/formats/recovery_point.h"
#include "model/transformer/initialise.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

std::vector<std::string> invented_words(kernels::RandomStream& random, size_t count) {
  constexpr const char* kSyllables[] = {"ka", "to", "ri", "mel", "an", "so", "ne", "tru",
                                        "pe", "lo", "gi", "ver", "in", "da", "us", "th"};
  std::vector<std::string> words;
  while (words.size() < count) {
    std::string word;
    for (uint64_t left = 1 + random.below(4); left > 0; --left) {
      word += kSyllables[random.below(std::size(kSyllables))];
    }
    words.push_back(word);
  }
  return words;
}

}  // namespace

TokenizerText tokenizer_text() {
  constexpr size_t kWords = 6000, kVocabulary = 8192, kTextBytes = 1 << 20;
  kernels::RandomStream random(1, kernels::StreamId::kEval);
  const std::vector<std::string> words = invented_words(random, kWords);
  auto vocabulary = nlohmann::json::object();
  auto merges = nlohmann::json::array();
  // What a space and the end of a line are called in byte pair vocabularies.
  const std::string space = "\u0120", line_end = "\u010a";
  const auto add = [&](const std::string& token) { vocabulary.emplace(token, vocabulary.size()); };
  for (char c = '!'; c <= '~'; ++c) add(std::string(1, c));
  add(space);
  add(line_end);
  for (const std::string& word : words) {
    // Letter by letter from the left, each beginning a token of its own.
    std::string begun = space;
    for (char c : word) {
      if (vocabulary.size() == kVocabulary) break;
      const std::string longer = begun + c;
      if (!vocabulary.contains(longer)) {
        merges.push_back({begun, std::string(1, c)});
        add(longer);
      }
      begun = longer;
    }
  }
  const nlohmann::json file = {
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"type", "BPE"}, {"merges", merges}, {"vocab", vocabulary}}}};
  auto tokenizer = model::Tokenizer::parse(to_text(file), "bench");
  TROUPE_CHECK(tokenizer);
  TokenizerText made{.text = {}, .tokenizer = *std::move(tokenizer)};
  while (made.text.size() < kTextBytes) {
    made.text += ' ' + words[random.below(words.size())];
    if (random.below(12) == 0) made.text += ", " + std::to_string(random.below(1000)) + "\n";
  }
  return made;
}

Result<CheckpointSpeed> measure_checkpoint() {
  constexpr int kRuns = 3;
  const auto scratch = BenchFolder::make();
  if (!scratch) return scratch.error();
  model::Checkpoint checkpoint;
  checkpoint.config = bench_config("bench-moe");
  const model::ParameterLayout layout(checkpoint.config);
  checkpoint.values = model::initial_parameters(checkpoint.config, layout, /*seed=*/1);
  const model::LearnerState state{
      .masters = checkpoint.values, .m = checkpoint.values, .v = checkpoint.values};
  const auto seconds_since = [](std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  CheckpointSpeed speed;
  for (int run = 0; run < kRuns; ++run) {
    const std::string folder = (*scratch)->file(std::to_string(run));
    auto start = std::chrono::steady_clock::now();
    const auto point = model::save_recovery_point(folder, PolicyVersion{}, checkpoint, state, {});
    if (!point) return point.error();
    const double write_seconds = seconds_since(start);
    speed.bytes = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file()) speed.bytes += static_cast<double>(entry.file_size());
    }
    start = std::chrono::steady_clock::now();
    const auto loaded = model::load_checkpoint(folder);
    if (!loaded) return loaded.error();
    const auto resumed = model::load_recovery_point(folder, *point, layout, false);
    if (!resumed) return resumed.error();
    speed.read.push_back(speed.bytes / seconds_since(start));
    speed.written.push_back(speed.bytes / write_seconds);
    std::filesystem::remove_all(folder);
  }
  return speed;
}

}  // namespace troupe::cluster
