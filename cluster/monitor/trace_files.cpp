#include "cluster/monitor/trace_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

#include "model/formats/file.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kEnd = ".jsonl";
constexpr const char* kHeldOut = "/held_out.jsonl";
constexpr size_t kAnswerBytesMax = 64 << 10;
constexpr size_t kLineBytesMax = 64 << 20;
constexpr int kDepthMax = 8;
constexpr double kThousand = 1'000;

// Bytes that a character which begins so has; 1 where none does.
size_t character_bytes(unsigned char first) {
  if (first >= 0xf0 && first < 0xf8) return 4;
  if (first >= 0xe0 && first < 0xf0) return 3;
  if (first >= 0xc0 && first < 0xe0) return 2;
  return 1;
}

// Its last character has all its bytes, as far as can be told.
bool is_whole(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(4, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xc0) == 0x80) continue;
    return character_bytes(byte) <= back;
  }
  return true;
}

Json sample_of(const Trajectory& trajectory, const model::Tokenizer& tokenizer) {
  Json parts = Json::array();
  for (const VerdictPart& part : trajectory.verdict.parts) {
    parts.push_back({{"name", part.name},
                     {"kind", name(part.kind)},
                     {"value", part.value},
                     {"weight", part.weight},
                     {"reason", part.reason}});
  }
  Json texts = Json::array();
  Json logprobs = Json::array();
  Json versions = Json::array();
  std::string text;
  double logprob = 0;
  auto range = trajectory.versions.begin();
  const auto take = [&](size_t token) {
    while (range != trajectory.versions.end() && range->end <= token) ++range;
    if (range != trajectory.versions.end() &&
        (versions.empty() || versions.back()[1] != number(range->version))) {
      versions.push_back({texts.size(), number(range->version)});  // From this piece on.
    }
    texts.push_back(text);
    logprobs.push_back(std::round(logprob * kThousand) / kThousand);
    text.clear();
    logprob = 0;
  };
  bool is_cut = false;
  size_t last = 0;
  for (size_t t = 0; t < trajectory.tokens.size(); ++t) {
    if (trajectory.loss_mask[t] == 0) continue;
    if (texts.size() == TraceFiles::kPiecesMax) {
      is_cut = true;
      break;
    }
    text +=
        tokenizer.decode(std::span(&trajectory.tokens[t], 1), model::Tokenizer::Special::kShown);
    logprob += trajectory.rollout_logprobs[t];
    last = t;
    if (!text.empty() && is_whole(text)) take(t);
  }
  if (!text.empty()) take(last);
  return {{"sample", trajectory.id.sample},
          {"reward", trajectory.verdict.reward()},
          {"parts", std::move(parts)},
          {"length", trajectory.num_response_tokens()},
          {"is_cut", trajectory.finish_reason == FinishReason::kLength},
          {"is_shortened", is_cut},
          {"versions", std::move(versions)},
          {"texts", std::move(texts)},
          {"logprobs", std::move(logprobs)}};
}

// Of a line about an evaluation; nothing for another line.
std::optional<uint64_t> version_of(const nlohmann::json& evaluation) {
  if (!evaluation.is_object()) return std::nullopt;
  const auto found = evaluation.find("version");
  if (found == evaluation.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<uint64_t>();
}

std::optional<uint64_t> round_in(const std::string& file) {
  if (!file.ends_with(kEnd)) return std::nullopt;
  uint64_t round = 0;
  const char* end = file.data() + file.size() - kEnd.size();
  const auto [at, error] = std::from_chars(file.data(), end, round);
  if (error != std::errc{} || at != end) return std::nullopt;
  return round;
}

}  // namespace

Json trace_of(const GroupRecord& group, const actors::PromptTokens& prompt,
              const model::Tokenizer& tokenizer) {
  Json samples = Json::array();
  for (const Trajectory& trajectory : group.trajectories) {
    samples.push_back(sample_of(trajectory, tokenizer));
  }
  const GroupId id = group.trajectories.empty() ? GroupId{} : group.trajectories.front().id.group;
  return {{"round", number(id.round)},
          {"ordinal", id.ordinal},
          {"prompt", prompt.text.substr(0, TraceFiles::kPromptBytesMax)},
          {"gold", prompt.gold_for_people().substr(0, TraceFiles::kPromptBytesMax)},
          {"samples", std::move(samples)}};
}

TraceFiles::TraceFiles(std::string folder, uint64_t bytes_max, bool goes_on)
    : folder_(std::move(folder)), bytes_max_(bytes_max) {
  if (!goes_on) {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
    return;
  }
  for (const Round& one : rounds(folder_)) {
    bytes_[one.round] = one.bytes;
    total_ += one.bytes;
  }
}

std::string TraceFiles::path(uint64_t round) const {
  return fmt::format("{}/{}{}", folder_, round, kEnd);
}

void TraceFiles::add(uint64_t round, const Json& trace) {
  if (bytes_max_ == 0) return;
  const std::string line = to_text(trace, {.replaces_invalid = true}) + '\n';
  const auto known = bytes_.find(round);
  const uint64_t of_round = known == bytes_.end() ? 0 : known->second;
  if (of_round + line.size() > bytes_max_ / kRoundShare) return;
  std::error_code ignored;
  if (bytes_.empty()) fs::create_directories(folder_, ignored);
  // Traces are for people: where the disk does not take one, there is one less.
  std::FILE* const file = std::fopen(path(round).c_str(), "a");
  if (file == nullptr) return;
  const size_t written = std::fwrite(line.data(), 1, line.size(), file);
  std::fclose(file);
  bytes_[round] = of_round + written;
  total_ += written;
  make_room();
}

void TraceFiles::make_room() {
  while (total_ > bytes_max_ && bytes_.size() > 1) {
    const size_t before = bytes_.size();
    bool is_odd = false;
    for (auto at = bytes_.begin(); std::next(at) != bytes_.end(); is_odd = !is_odd) {
      if (!is_odd && before > 2) {
        ++at;
        continue;
      }
      std::error_code ignored;
      fs::remove(path(at->first), ignored);
      total_ -= at->second;
      at = bytes_.erase(at);
    }
  }
}

void TraceFiles::add_evaluation(PolicyVersion version, const std::vector<Trace>& traces) {
  if (bytes_max_ == 0 || traces.empty()) return;
  Json all = Json::array();
  for (const Trace& trace : traces) {
    all.push_back({{"prompt", trace.prompt.substr(0, kPromptBytesMax)},
                   {"response", trace.response.substr(0, kAnswerBytesMax)},
                   {"gold", trace.gold.substr(0, kPromptBytesMax)},
                   {"is_solved", trace.is_solved}});
  }
  const std::string line = to_text(Json{{"version", number(version)}, {"traces", std::move(all)}},
                                   {.replaces_invalid = true}) +
                           '\n';
  std::error_code ignored;
  fs::create_directories(folder_, ignored);
  const std::string path = folder_ + kHeldOut;
  std::vector<std::string> lines;
  std::ifstream old(path);
  // What was evaluated from this version on is another history.
  for (std::string one; std::getline(old, one);) {
    if (version_of(parse_json(one, kDepthMax)) < number(version)) lines.push_back(one + '\n');
  }
  lines.push_back(line);
  const auto bytes = [&lines] {
    size_t sum = 0;
    for (const std::string& one : lines) sum += one.size();
    return sum;
  };
  while (lines.size() > 2 && bytes() > bytes_max_ / kRoundShare) {
    std::vector<std::string> fewer;
    // The newest stays.
    for (size_t i = (lines.size() - 1) % 2; i < lines.size(); i += 2) {
      fewer.push_back(std::move(lines[i]));
    }
    lines = std::move(fewer);
  }
  std::string text;
  for (const std::string& one : lines) text += one;
  (void)model::write_file(path, text);
}

std::vector<ProblemAnswers> TraceFiles::held_out(const std::string& folder) {
  std::vector<ProblemAnswers> problems;
  std::map<std::string, size_t> by_prompt;
  std::ifstream file(folder + kHeldOut);
  for (std::string line; std::getline(file, line);) {
    if (line.size() > kLineBytesMax) continue;
    const auto evaluation = parse_json(line, kDepthMax);
    if (!version_of(evaluation)) continue;
    for (const nlohmann::json& trace : evaluation.value("traces", nlohmann::json::array())) {
      if (!trace.is_object()) continue;
      const auto text = [&trace](const char* name) {
        const auto found = trace.find(name);
        return found != trace.end() && found->is_string() ? found->get<std::string>()
                                                          : std::string();
      };
      const std::string prompt = text("prompt");
      const auto [at, is_new] = by_prompt.emplace(prompt, problems.size());
      if (is_new) problems.push_back({.prompt = prompt, .gold = text("gold")});
      const auto solved = trace.find("is_solved");
      problems[at->second].answers.push_back(
          {.version = *version_of(evaluation),
           .response = text("response"),
           .is_solved = solved != trace.end() && solved->is_boolean() && solved->get<bool>()});
    }
  }
  return problems;
}

std::vector<TraceFiles::Round> TraceFiles::rounds(const std::string& folder) {
  std::vector<Round> rounds;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (const auto round = round_in(entry->path().filename().string())) {
      rounds.push_back({*round, static_cast<uint64_t>(entry->file_size(ignored))});
    }
  }
  std::sort(rounds.begin(), rounds.end(),
            [](const Round& a, const Round& b) { return a.round < b.round; });
  return rounds;
}

std::vector<nlohmann::json> TraceFiles::groups(const std::string& folder, uint64_t round) {
  std::map<uint64_t, nlohmann::json> by_ordinal;
  std::ifstream file(fmt::format("{}/{}{}", folder, round, kEnd));
  for (std::string line; std::getline(file, line);) {
    if (line.size() > kLineBytesMax) continue;
    auto group = parse_json(line, kDepthMax);
    if (!group.is_object() || !group.contains("samples") || !group["samples"].is_array()) continue;
    const auto ordinal = group.find("ordinal");
    if (ordinal == group.end() || !ordinal->is_number_unsigned()) continue;
    const auto key = ordinal->get<uint64_t>();
    by_ordinal[key] = std::move(group);
  }
  std::vector<nlohmann::json> groups;
  for (auto& [ordinal, group] : by_ordinal) groups.push_back(std::move(group));
  return groups;
}

}  // namespace troupe::cluster
