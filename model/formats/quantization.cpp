#include "model/formats/quantization.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "model/formats/file.h"
#include "model/tokenizer/json_fields.h"
#include "schemas/json_text.h"

namespace troupe::model {
namespace {

using Json = nlohmann::json;

constexpr size_t kConfigBytesMax = 1 << 20;
constexpr int64_t kBlockMax = 1 << 16;

std::string shown(const Json& value) {
  std::string text = to_text(value, {.is_ascii = true, .replaces_invalid = true});
  if (text.size() <= 80) return text;
  text.resize(77);
  return text + "...";
}

}  // namespace

Result<std::optional<ScaleBlocks>> parse_quantization(const Json& config, std::string_view origin) {
  const auto found = config.is_object() ? config.find("quantization_config") : config.end();
  if (!config.is_object() || found == config.end() || found->is_null()) {
    return std::optional<ScaleBlocks>();
  }
  const auto bad = [&](std::string_view what) {
    return invalid_argument(fmt::format("{}: quantization_config {}", origin, what));
  };
  if (!found->is_object()) return bad(fmt::format("is {}, not an object", shown(*found)));
  const Json method = found->value("quant_method", Json());
  if (method != "fp8") {
    return bad(fmt::format("has quant_method {}; only \"fp8\" is supported", shown(method)));
  }
  const Json format = found->value("fmt", Json("e4m3"));
  if (format != "e4m3") {
    return bad(fmt::format("has fmt {}; only \"e4m3\" is supported", shown(format)));
  }
  const Json size = found->value("weight_block_size", Json());
  const auto is_size = [](const Json& n) {
    // Unsigned values beyond int64 arrive as negative numbers here.
    return n.is_number_integer() && n.get<int64_t>() >= 1 && n.get<int64_t>() <= kBlockMax;
  };
  if (!size.is_array() || size.size() != 2 || !is_size(size[0]) || !is_size(size[1])) {
    return bad(fmt::format("has weight_block_size {}; two sizes are expected, such as [128, 128]",
                           shown(size)));
  }
  return std::optional(ScaleBlocks{size[0].get<int64_t>(), size[1].get<int64_t>()});
}

Result<std::optional<ScaleBlocks>> load_quantization(const std::string& folder) {
  const std::string path = folder + "/config.json";
  const auto text = read_file(path, kConfigBytesMax);
  if (!text) return text.error();
  const Json json = parse_json(*text, kFileDepthMax);
  if (!json.is_object()) return invalid_argument(path + ": is not a JSON object");
  return parse_quantization(json, path);
}

}  // namespace troupe::model
