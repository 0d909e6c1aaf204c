#include "model/formats/gguf_model.h"

#include <doctest/doctest.h>

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>

#include "model/formats/file.h"
#include "model/formats/hf_config.h"
#include "model/formats/sharded_safetensors.h"
#include "model/formats/tensor_reading.h"

namespace troupe::model {
namespace {

using Json = nlohmann::json;

const std::string kGolden = std::string(TROUPE_SOURCE_DIR) + "/tests/model/golden/formats/";

struct Opened {
  explicit Opened(const std::string& name) {
    auto text = read_file(kGolden + name, 1 << 20);
    REQUIRE(text);
    bytes = *std::move(text);
  }
  Result<GgufModel> describe() {
    auto parsed = parse_gguf(std::as_bytes(std::span(bytes)));
    REQUIRE_MESSAGE(parsed, parsed.error().message);
    contents = *std::move(parsed);
    return describe_gguf(contents, "x.gguf");
  }
  // Replaces every `from` in the file by `to`, which has the same length.
  Opened& replace(std::string_view from, std::string_view to) {
    REQUIRE(from.size() == to.size());
    size_t count = 0;
    for (size_t at = bytes.find(from); at != bytes.npos; at = bytes.find(from, at + 1)) {
      bytes.replace(at, from.size(), to);
      ++count;
    }
    REQUIRE(count > 0);
    return *this;
  }
  // Sets a u32 value.
  Opened& set(std::string_view key, uint32_t value) {
    const size_t at = bytes.find(key);
    REQUIRE(at != bytes.npos);
    std::memcpy(bytes.data() + at + key.size() + 4, &value, 4);
    return *this;
  }
  std::string refusal() {
    const auto described = describe();
    REQUIRE_FALSE(described);
    CHECK(described.error().code == ErrorCode::kInvalidArgument);
    CHECK(described.error().message.find('\n') == std::string::npos);
    CHECK(described.error().message.starts_with("x.gguf: "));
    return described.error().message.substr(8);
  }

  std::string bytes{};
  Gguf contents{};
};

// What config.json of transformers 5 says in another place, or leaves to the class.
void check_config(const Json& ours, const Json& golden) {
  const std::set<std::string> only_ours = {
      "rope_theta",      "rope_scaling",   "num_experts",  "decoder_sparse_step",
      "mlp_only_layers", "moe_layer_freq", "scoring_func", "topk_method",
      "mlp_bias",        "attention_bias", "head_dim"};
  for (const auto& [key, value] : ours.items()) {
    CAPTURE(key);
    if (key == "num_nextn_predict_layers") continue;  // transformers writes 1 and ignores it.
    if (golden.contains(key)) {
      CHECK(value == golden[key]);
    } else {
      CHECK(only_ours.count(key) == 1);
    }
  }
  if (ours.contains("num_experts")) CHECK(ours["num_experts"] == golden["num_local_experts"]);
  const Json& rope = golden["rope_parameters"];
  CHECK(ours["rope_theta"] == rope["rope_theta"]);
  if (rope["rope_type"] == "default") {
    CHECK(ours["rope_scaling"].is_null());
  } else {
    Json scaling = ours["rope_scaling"];
    CHECK(scaling["type"] == scaling["rope_type"]);
    scaling.erase("type");
    scaling["rope_theta"] = rope["rope_theta"];
    CHECK(scaling == rope);
  }
}

void check_model(const std::string& folder, const std::string& file) {
  CAPTURE(folder);
  CAPTURE(file);
  Opened opened(folder + "/" + file);
  const auto model = opened.describe();
  REQUIRE_MESSAGE(model, model.error().message);
  const auto text = read_file(kGolden + folder + "/config.json", 1 << 20);
  REQUIRE(text);
  check_config(model->config, Json::parse(*text));
  // The same model, wherever this program can run it.
  const auto ours = parse_hf_config(model->config.dump(), file);
  const auto theirs = parse_hf_config(*text, folder);
  REQUIRE(static_cast<bool>(ours) == static_cast<bool>(theirs));
  if (ours) CHECK(*ours == *theirs);
  if (!ours) CHECK(ours.error().message.find("attention_bias is true") != std::string::npos);

  const auto golden = ShardedSafetensors::open(kGolden + folder);
  REQUIRE_MESSAGE(golden, golden.error().message);
  CHECK(model->tensors.size() == golden->tensors().size());
  for (const TensorView& tensor : golden->tensors()) {
    CAPTURE(tensor.name);
    const GgufSource* source = model->find(tensor.name);
    REQUIRE(source != nullptr);
    CHECK(source->shape == tensor.shape);
    std::vector<float> wanted(static_cast<size_t>(source->size()));
    REQUIRE(read_as_float(tensor, nullptr, {}, wanted.data()));
    std::vector<float> values(wanted.size());
    read_as_float(*source, values.data());
    CHECK(values == wanted);
  }
}

TEST_CASE("gguf_model: Llama's rows are turned back, its RoPE scaling and biases found") {
  check_model("llama", "model.gguf");
}
TEST_CASE("gguf_model: Qwen2 with biases") { check_model("qwen2", "model.gguf"); }
TEST_CASE("gguf_model: Qwen3 with norms of heads") { check_model("qwen3", "model.gguf"); }
TEST_CASE("gguf_model: Qwen3's experts come out of their stacks") {
  check_model("qwen3moe", "model.gguf");
}
TEST_CASE("gguf_model: DeepSeek-V2, with kv_b split and whole") {
  check_model("deepseek_v2", "model.gguf");
  check_model("deepseek_v2", "old.gguf");
}
TEST_CASE("gguf_model: DeepSeek-V3 with its bias of scores") {
  check_model("deepseek_v3", "model.gguf");
}

TEST_CASE("gguf_model: what is not supported or contradicts itself is refused by name") {
  const auto contains = [](const std::string& text, const char* part) {
    CAPTURE(text);
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  };
  contains(Opened("types.gguf").refusal(), "llama.block_count is missing");
  contains(Opened("qwen2/model.gguf").replace("qwen2", "gemma").refusal(),
           "\"gemma\" is not supported; llama");
  contains(Opened("qwen2/model.gguf").replace("blk.1.attn_q.bias", "blk.1.attn_x.bias").refusal(),
           "tensor \"blk.1.attn_x.bias\": is not known");
  contains(Opened("qwen2/model.gguf").replace("blk.1.attn_q.bias", "blk.7.attn_q.bias").refusal(),
           "tensor \"blk.7.attn_q.bias\": is not known");
  contains(Opened("qwen2/model.gguf").replace("token_embd.weight", "token_embd.weighs").refusal(),
           "\"token_embd.weight\" is missing");
  contains(Opened("qwen2/model.gguf").set("qwen2.block_count", 1).refusal(), "is not known");
  contains(Opened("qwen2/model.gguf").set("qwen2.block_count", 1u << 31).refusal(),
           "qwen2.block_count is 2147483648");
  contains(Opened("llama/model.gguf").set("llama.attention.head_count_kv", 3).refusal(),
           "does not divide 4");
  contains(Opened("llama/model.gguf").set("llama.attention.head_count_kv", 4).refusal(),
           "has 16 rows; its heads have 32");
  contains(Opened("llama/model.gguf").set("llama.rope.dimension_count", 4).refusal(), "4 rotated");
  contains(Opened("llama/model.gguf").set("llama.rope.freq_base", 0x47000000).refusal(),
           "another scaling of RoPE");
  contains(Opened("qwen3moe/model.gguf").set("qwen3moe.expert_count", 3).refusal(),
           "is not a stack of 3 experts");
  contains(Opened("qwen3moe/model.gguf").set("qwen3moe.expert_count", 2000).refusal(),
           "expert_count is 2000");
  contains(Opened("deepseek_v3/model.gguf").set("deepseek2.attention.kv_lora_rank", 8).refusal(),
           "\"blk.0.attn_k_b.weight\": is not [4, 8, 8]");
  contains(Opened("deepseek_v3/model.gguf").set("deepseek2.expert_gating_func", 3).refusal(),
           "expert_gating_func is 3");
  contains(Opened("deepseek_v3/model.gguf").replace("blk.1.attn_v_b", "blk.1.attn_x_b").refusal(),
           "\"blk.1.attn_k_b.weight\": is there without attn_v_b");
  contains(Opened("deepseek_v2/model.gguf").replace("yarn", "ntk!").refusal(), "is not supported");
  // Two tensors of the file for one of the model.
  contains(Opened("deepseek_v2/model.gguf")
               .replace("blk.0.attn_norm.weight", "blk.0.attn_kv_b.weight")
               .refusal(),
           "are both model.layers.0.self_attn.kv_b_proj.weight");
}

// A model from the wild, where somebody has one: TROUPE_TEST_GGUF=MODEL.gguf. Writes what
// tests/support/oracle/make_formats_golden.py --check compares to $TROUPE_TEST_GGUF.json.
TEST_CASE("gguf_model: a published model is read to the end") {
  const char* path = std::getenv("TROUPE_TEST_GGUF");
  if (path == nullptr) {
    std::printf("skipped: TROUPE_TEST_GGUF names no file\n");
    return;
  }
  const auto file = GgufFile::open(path);
  REQUIRE_MESSAGE(file, file.error().message);
  const auto model = describe_gguf(file->contents(), path);
  REQUIRE_MESSAGE(model, model.error().message);
  Json listing = {{"config", model->config}};
  std::vector<float> values;
  for (const GgufSource& source : model->tensors) {
    values.resize(static_cast<size_t>(source.size()));
    read_as_float(source, values.data());
    uint64_t sum = 0;
    for (size_t i = 0; i < values.size(); ++i) sum += (i + 1) * std::bit_cast<uint32_t>(values[i]);
    listing["tensors"][source.name] = {
        {"shape", source.shape}, {"from", source.tensor->name}, {"sum", sum}};
  }
  CHECK(write_file(std::string(path) + ".json", listing.dump(1)));
}

}  // namespace
}  // namespace troupe::model
