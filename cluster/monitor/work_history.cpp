#include "cluster/monitor/work_history.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "cluster/monitor/text.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kLineBytesMax = 4'096;
constexpr int kLineDepthMax = 2;
constexpr double kThousand = 1'000;

std::string newer_path(const std::string& home) { return home + "/work.jsonl"; }
std::string older_path(const std::string& home) { return home + "/work.old.jsonl"; }

double to_milliseconds(double seconds) { return std::round(seconds * kThousand) / kThousand; }

std::string line_of(const PieceOfWork& piece) {
  Json json{{"slot", piece.slot},
            {"role", piece.role},
            {"what", piece.what},
            {"start", to_milliseconds(piece.start)},
            {"end", to_milliseconds(piece.end)}};
  if (piece.round) json["round"] = *piece.round;
  return to_text(json, {.replaces_invalid = true}) + '\n';
}

std::optional<PieceOfWork> piece_in(const nlohmann::json& line) {
  if (!line.is_object()) return std::nullopt;
  const auto has = [&line](const char* name, auto is) {
    const auto found = line.find(name);
    return found != line.end() && is(*found);
  };
  const auto is_text = [](const nlohmann::json& one) { return one.is_string(); };
  const auto is_number = [](const nlohmann::json& one) { return one.is_number(); };
  const auto is_count = [](const nlohmann::json& one) { return one.is_number_unsigned(); };
  if (!has("slot", is_count) || !has("role", is_text) || !has("what", is_text) ||
      !has("start", is_number) || !has("end", is_number)) {
    return std::nullopt;
  }
  PieceOfWork piece{.slot = line["slot"].get<uint32_t>(),
                    .role = line["role"].get<std::string>(),
                    .what = line["what"].get<std::string>(),
                    .start = line["start"].get<double>(),
                    .end = line["end"].get<double>()};
  if (has("round", is_count)) piece.round = line["round"].get<uint64_t>();
  return piece;
}

void read_file(const std::string& path, const std::function<void(const PieceOfWork&)>& use) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.size() > kLineBytesMax) continue;
    if (const auto piece = piece_in(parse_json(line, kLineDepthMax))) use(*piece);
  }
}

}  // namespace

std::deque<PieceOfWork> work_in(const RunSample& sample, double time) {
  std::deque<PieceOfWork> work;
  for (const WorkSpan& span : sample.work) {
    PieceOfWork piece{.slot = span.slot,
                      .role = span.role,
                      .what = printable(span.what),
                      .start = time - span.began_ago,
                      .end = time - span.ended_ago};
    if (span.round) piece.round = number(*span.round);
    work.push_back(std::move(piece));
  }
  std::stable_sort(work.begin(), work.end(),
                   [](const PieceOfWork& a, const PieceOfWork& b) { return a.end < b.end; });
  return work;
}

WorkFile::WorkFile(const std::string& home, bool goes_on, uint64_t file_bytes_max)
    : home_(home), file_bytes_max_(file_bytes_max) {
  std::error_code error;
  if (goes_on) {
    const auto size = fs::file_size(newer_path(home_), error);
    if (!error) bytes_ = size;
    return;
  }
  fs::remove(newer_path(home_), error);
  fs::remove(older_path(home_), error);
}

void WorkFile::add(const std::deque<PieceOfWork>& work) {
  if (work.empty()) return;
  std::string text;
  for (const PieceOfWork& piece : work) text += line_of(piece);
  if (bytes_ > 0 && bytes_ + text.size() > file_bytes_max_) {
    std::error_code ignored;
    fs::rename(newer_path(home_), older_path(home_), ignored);
    bytes_ = 0;
  }
  std::FILE* const file = std::fopen(newer_path(home_).c_str(), bytes_ == 0 ? "w" : "a");
  if (file == nullptr) return;
  bytes_ += std::fwrite(text.data(), 1, text.size(), file);
  std::fclose(file);
}

void WorkFile::read(const std::string& home, const std::function<void(const PieceOfWork&)>& use) {
  read_file(older_path(home), use);
  read_file(newer_path(home), use);
}

}  // namespace troupe::cluster
