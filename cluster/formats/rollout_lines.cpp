#include "cluster/formats/rollout_lines.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cluster/monitor/trace_files.h"
#include "cluster/monitor/watched_job.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

using Json = nlohmann::ordered_json;

// What is not there, or is something else, is `otherwise`.
template <class T>
T read(const nlohmann::json& object, const char* name, T otherwise) {
  const auto found = object.find(name);
  if (found == object.end()) return otherwise;
  if constexpr (std::is_same_v<T, bool>) {
    return found->is_boolean() ? found->get<bool>() : otherwise;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return found->is_string() ? found->get<std::string>() : otherwise;
  } else {
    return found->is_number() ? found->get<T>() : otherwise;
  }
}

bool passes(const nlohmann::json& sample, const RolloutFilter& filter) {
  const auto reward = read<double>(sample, "reward", 0);
  if (reward < filter.reward_min || reward > filter.reward_max) return false;
  return !filter.is_whole ||
         (!read(sample, "is_cut", false) && !read(sample, "is_shortened", false));
}

std::string line_of(const nlohmann::json& group, const nlohmann::json& sample) {
  std::string output;
  for (const nlohmann::json& piece : sample.value("texts", nlohmann::json::array())) {
    if (piece.is_string()) output += piece.get_ref<const std::string&>();
  }
  const nlohmann::json versions = sample.value("versions", nlohmann::json::array());
  const bool has_version = !versions.empty() && versions[0].is_array() && versions[0].size() == 2;
  Json line{{"input", read<std::string>(group, "prompt", "")},
            {"output", output},
            {"gts", read<std::string>(group, "gold", "")},
            {"score", read<double>(sample, "reward", 0)},
            {"step", has_version ? Json(versions[0][1]) : Json(nullptr)},
            {"round", read<uint64_t>(group, "round", 0)},
            {"group", read<uint64_t>(group, "ordinal", 0)},
            {"sample", read<uint64_t>(sample, "sample", 0)},
            {"tokens", read<int64_t>(sample, "length", 0)},
            {"is_cut", read(sample, "is_cut", false)}};
  for (const nlohmann::json& part : sample.value("parts", nlohmann::json::array())) {
    if (!part.is_object()) continue;
    const auto name = read<std::string>(part, "name", "");
    line["rewards/" + name] = read<double>(part, "value", 0);
    line["verdicts/" + name] = read<std::string>(part, "kind", "");
  }
  return to_text(line, {.replaces_invalid = true}) + '\n';
}

}  // namespace

Result<uint64_t> write_rollout_lines(const std::string& home, const RolloutFilter& filter,
                                     const std::function<void(std::string_view)>& write) {
  const auto rounds = TraceFiles::rounds(traces_folder(home));
  if (rounds.empty()) {
    return invalid_argument(fmt::format(
        "{} has no traces: nothing was judged yet, or resources.traces_kept_mib is 0", home));
  }
  uint64_t count = 0;
  for (const auto& [round, bytes] : rounds) {
    if (round < filter.round_min || round > filter.round_max) continue;
    for (const nlohmann::json& group : TraceFiles::groups(traces_folder(home), round)) {
      for (const nlohmann::json& sample : group.at("samples")) {
        if (!sample.is_object() || !passes(sample, filter)) continue;
        write(line_of(group, sample));
        ++count;
      }
    }
  }
  return count;
}

}  // namespace troupe::cluster
