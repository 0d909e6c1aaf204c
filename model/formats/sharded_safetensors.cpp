#include "model/formats/sharded_safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/formats/file.h"
#include "model/formats/in_quotes.h"
#include "schemas/json_text.h"

namespace troupe::model {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr size_t kIndexBytesMax = kSafetensorsHeaderBytesMax;
constexpr int kIndexDepthMax = 8;

// Tensor to shard.
using WeightMap = std::map<std::string, std::string>;

// JSON in which no object has a key twice: the tree would silently keep the last one.
Result<Json> parse_index(const std::string& text, const std::string& path) {
  std::vector<std::vector<std::string>> keys;
  bool is_too_deep = false;
  std::string duplicate;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start) {
      is_too_deep = is_too_deep || depth >= kIndexDepthMax;
      if (event == Json::parse_event_t::object_start) keys.emplace_back();
      return !is_too_deep;
    }
    if (event == Json::parse_event_t::key && !keys.empty()) {
      keys.back().push_back(value.get<std::string>());
    }
    if (event == Json::parse_event_t::object_end && !keys.empty()) {
      auto& names = keys.back();
      std::sort(names.begin(), names.end());
      const auto twice = std::adjacent_find(names.begin(), names.end());
      if (twice != names.end()) duplicate = *twice;
      keys.pop_back();
    }
    return true;
  };
  const auto bad = [&path](std::string what) {
    return Error{ErrorCode::kCorruption, path + ": " + what};
  };
  Json index = parse_json(text, watch);
  if (is_too_deep) return bad("is nested too deeply");
  if (!duplicate.empty()) return bad(in_quotes(duplicate) + " is there twice");
  if (!index.is_object()) return bad("is not a JSON object");
  return index;
}

bool is_plain_name(const std::string& file) {
  return !file.empty() && file.front() != '.' && file.find('/') == std::string::npos &&
         file.find('\0') == std::string::npos;
}

Result<WeightMap> read_index(const std::string& path) {
  const auto text = read_file(path, kIndexBytesMax);
  if (!text) return text.error();
  const auto index = parse_index(*text, path);
  if (!index) return index.error();
  const auto bad = [&path](std::string what) {
    return Error{ErrorCode::kCorruption, path + ": " + what};
  };
  const auto found = index->find("weight_map");
  if (found == index->end() || !found->is_object()) return bad("has no weight_map");
  WeightMap shard_of;
  for (const auto& [tensor, shard] : found->items()) {
    if (!shard.is_string() || !is_plain_name(shard.get_ref<const std::string&>())) {
      return bad("weight_map " + in_quotes(tensor) + " is not the name of a file in this folder");
    }
    shard_of[tensor] = shard.get<std::string>();
  }
  if (shard_of.empty()) return bad("weight_map is empty");
  return shard_of;
}

}  // namespace

Result<ShardedSafetensors> ShardedSafetensors::open_file(const std::string& path) {
  auto file = SafetensorsFile::open(path);
  if (!file) return file.error();
  ShardedSafetensors opened;
  opened.path_ = path;
  opened.tensors_ = file->tensors();
  opened.files_.push_back(*std::move(file));
  return opened;
}

Result<ShardedSafetensors> ShardedSafetensors::open(const std::string& folder) {
  const std::string single = folder + "/model.safetensors";
  const std::string index = single + ".index.json";
  std::error_code ignored;
  if (fs::exists(single, ignored) || !fs::exists(index, ignored)) return open_file(single);

  const auto shard_of = read_index(index);
  if (!shard_of) return shard_of.error();
  std::map<std::string, size_t> num_named;  // Tensors that the index names, by shard.
  for (const auto& [tensor, shard] : *shard_of) ++num_named[shard];
  if (num_named.size() > kShardsMax) {
    return invalid_argument(fmt::format("{}: names {} files, at most {} are read", index,
                                        num_named.size(), kShardsMax));
  }
  ShardedSafetensors opened;
  opened.path_ = index;
  for (const auto& [shard, count] : num_named) {
    const std::string path = folder + "/" + shard;
    auto file = SafetensorsFile::open(path);
    if (!file) return file.error();
    for (const TensorView& tensor : file->tensors()) {
      const auto named = shard_of->find(tensor.name);
      if (named == shard_of->end()) {
        return invalid_argument(fmt::format("{}: tensor {} is not in model.safetensors.index.json",
                                            path, in_quotes(tensor.name)));
      }
      if (named->second != shard) {
        return invalid_argument(
            fmt::format("{}: tensor {} should be in {} by model.safetensors.index.json", path,
                        in_quotes(tensor.name), in_quotes(named->second)));
      }
      opened.tensors_.push_back(tensor);
    }
    if (file->tensors().size() != count) {
      for (const auto& [tensor, its_shard] : *shard_of) {
        if (its_shard == shard && file->find(tensor) == nullptr) {
          return invalid_argument(fmt::format("{}: tensor {} is missing", path, in_quotes(tensor)));
        }
      }
    }
    opened.files_.push_back(*std::move(file));
  }
  std::sort(opened.tensors_.begin(), opened.tensors_.end(),
            [](const TensorView& a, const TensorView& b) { return a.name < b.name; });
  return opened;
}

const TensorView* ShardedSafetensors::find(std::string_view name) const {
  const auto found = std::lower_bound(
      tensors_.begin(), tensors_.end(), name,
      [](const TensorView& tensor, std::string_view n) { return tensor.name < n; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace troupe::model
