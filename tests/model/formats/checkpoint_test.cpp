// Checkpoints: what is saved comes back bit for bit, and what is not a whole one is refused.
#include "model/formats/checkpoint.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "model/formats/file.h"
#include "model/formats/hf_config.h"
#include "model/formats/safetensors.h"
#include "model/formats/weights_hash.h"
#include "model/parallel/shard_map.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_policy.h"

namespace troupe::model {
namespace {

namespace fs = std::filesystem;

Checkpoint tiny_checkpoint(uint64_t seed = 4) {
  const auto config = tests::tiny_config();
  Checkpoint checkpoint{.config = config,
                        .values = initial_parameters(config, ParameterLayout(config), seed),
                        .text = {.prompt_template = "r1-zero"}};
  const auto bias =
      ParameterLayout(config).offset("model.layers.1.mlp.gate.e_score_correction_bias");
  checkpoint.values[static_cast<size_t>(bias)] = 0.123456789f;  // No bf16 value.
  return checkpoint;
}

// A saved checkpoint whose parts a test may damage.
struct Saved {
  Saved() { REQUIRE(save_checkpoint(folder, checkpoint)); }

  std::string path(const std::string& name) const { return folder + "/" + name; }
  std::string read(const std::string& name) const { return *read_file(path(name), 1 << 26); }
  void write(const std::string& name, const std::string& text) const {
    REQUIRE(write_file(path(name), text));
  }
  // Changes config.json.
  void configure(const std::string& field, const nlohmann::json& value) const {
    auto json = nlohmann::json::parse(read("config.json"));
    json[field] = value;
    write("config.json", json.dump());
  }
  // Writes the tensors again after `change`.
  template <class Change>
  void rewrite(Change change) const {
    const std::string bytes = read("model.safetensors");
    auto file = parse_safetensors(std::as_bytes(std::span(bytes)));
    REQUIRE(file);
    auto tensors = file->tensors;
    change(tensors);
    REQUIRE(write_safetensors(path("model.safetensors"), tensors));
  }
  // The one line with which loading is refused.
  std::string refusal() const {
    const auto loaded = load_checkpoint(folder);
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().code != ErrorCode::kInternal);  // Exit code 2.
    CHECK(loaded.error().message.find('\n') == std::string::npos);
    CHECK(loaded.error().message.find(folder) != std::string::npos);
    return loaded.error().message;
  }

  tests::TempDir dir{};
  std::string folder = dir.file("policy");
  Checkpoint checkpoint = tiny_checkpoint();
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("checkpoint: what was published comes back bit for bit, and so does its hash") {
  const Saved saved;
  const auto loaded = load_checkpoint(saved.folder);
  REQUIRE(loaded);
  CHECK(loaded->config == saved.checkpoint.config);
  CHECK(loaded->text.prompt_template == "r1-zero");
  CHECK(loaded->text.tokenizer.is_bytes());
  const std::string hash = checkpoint_sha256(saved.checkpoint.config, saved.checkpoint.values);
  CHECK(checkpoint_sha256(loaded->config, loaded->values) == hash);
  // The same bytes when it is saved again, over the old one.
  const std::string bytes = saved.read("model.safetensors");
  REQUIRE(save_checkpoint(saved.folder, *loaded));
  CHECK(saved.read("model.safetensors") == bytes);
  const auto again = load_checkpoint(saved.folder);
  REQUIRE(again);
  CHECK(again->values == loaded->values);
  CHECK_FALSE(fs::exists(saved.folder + ".unfinished"));
  // The bias keeps all its bits; a matrix is rounded.
  const ParameterLayout layout(loaded->config);
  const auto bias =
      static_cast<size_t>(layout.offset("model.layers.1.mlp.gate.e_score_correction_bias"));
  CHECK(loaded->values[bias] == 0.123456789f);
  CHECK(loaded->values != saved.checkpoint.values);
}

TEST_CASE("checkpoint: the hash names every bit, and not what is lost in publishing") {
  Checkpoint a = tiny_checkpoint();
  const std::string hash = checkpoint_sha256(a.config, a.values);
  a.values[0] = -a.values[0];
  CHECK(checkpoint_sha256(a.config, a.values) != hash);
}

TEST_CASE("checkpoint: ranks that hash their own chunks have the hash of the whole") {
  TransformerConfig config = tests::tiny_config();
  config.vocab_size = 3'000;  // Embedding and head have several chunks each.
  const ParameterLayout layout(config);
  auto values = initial_parameters(config, layout, 4);
  const auto bias = layout.offset("model.layers.1.mlp.gate.e_score_correction_bias");
  values[static_cast<size_t>(bias)] = 0.123456789f;  // No bf16 value.
  const std::string hash = checkpoint_sha256(config, values);

  const tests::TempDir dir;
  REQUIRE(write_policy_file(dir.file("policy"), config, values));
  const auto file = SafetensorsFile::open(dir.file("policy"));
  REQUIRE(file);
  CHECK(weights_sha256(file->tensors()) == hash);
  const auto published = read_policy_file(dir.file("policy"), config);
  REQUIRE(published);
  CHECK(*published != values);
  CHECK(checkpoint_sha256(config, *published) == hash);

  for (const int ranks : {1, 2, 4, 1000}) {
    CAPTURE(ranks);
    const ShardMap shards(layout, ranks);
    std::vector<Sha256Digest> of_published, of_masters;
    for (int rank = 0; rank < ranks; ++rank) {
      const auto own = shards.chunks_of(rank);
      const FloatRange range = shards.range_of(rank);
      for (const auto& one : published_digests(layout, own, *published)) {
        of_published.push_back(one);
      }
      const auto masters = std::span(values).subspan(static_cast<size_t>(range.begin),
                                                     static_cast<size_t>(range.count()));
      for (const auto& one : published_digests(layout, own, masters, range.begin)) {
        of_masters.push_back(one);
      }
    }
    CHECK(of_published == of_masters);
    CHECK(checkpoint_sha256(layout, of_published) == hash);
    of_published.back()[31] ^= std::byte{1};
    CHECK(checkpoint_sha256(layout, of_published) != hash);
  }
}

TEST_CASE("checkpoint: a folder or file that is not there is named") {
  const Saved saved;
  CHECK_FALSE(load_checkpoint(saved.dir.file("none")));
  fs::remove(saved.path("model.safetensors"));
  CHECK(contains(saved.refusal(), "model.safetensors"));
  saved.write("model.safetensors", "");
  fs::remove(saved.path("config.json"));
  CHECK(contains(saved.refusal(), "config.json"));
}

TEST_CASE("checkpoint: a missing, an extra and a misshapen tensor are named") {
  const std::string name = "model.layers.1.mlp.experts.2.up_proj.weight";
  {
    const Saved saved;
    saved.rewrite([&](auto& tensors) {
      std::erase_if(tensors, [&](const auto& t) { return t.name == name; });
    });
    CHECK(contains(saved.refusal(), name));
  }
  {
    const Saved saved;
    saved.rewrite([&](auto& tensors) {
      auto more = tensors.front();
      more.name = "model.layers.9.mlp.up_proj.weight";
      tensors.push_back(more);
    });
    CHECK(contains(saved.refusal(), "model.layers.9.mlp.up_proj.weight"));
  }
  {
    const Saved saved;
    saved.rewrite([&](auto& tensors) {
      for (auto& t : tensors) {
        if (t.name == name) std::swap(t.shape[0], t.shape[1]);
      }
    });
    CHECK(contains(saved.refusal(), name));
  }
  {
    const Saved saved;
    saved.rewrite([&](auto& tensors) {
      for (auto& t : tensors) {
        if (t.name == name) t.dtype = DType::kI16;
      }
    });
    CHECK(contains(saved.refusal(), "I16"));
  }
}

TEST_CASE("checkpoint: weights of another configuration are refused") {
  for (const auto& [field, value] : {std::pair("hidden_size", 48),
                                     {"num_hidden_layers", 3},
                                     {"n_routed_experts", 8},
                                     {"vocab_size", 49},
                                     {"first_k_dense_replace", 0},
                                     {"q_lora_rank", 8}}) {
    CAPTURE(field);
    const Saved saved;
    saved.configure(field, value);
    if (std::string(field) == "n_routed_experts") saved.configure("num_experts_per_tok", 2);
    saved.refusal();
  }
}

TEST_CASE("checkpoint: a file cut anywhere is refused") {
  const Saved saved;
  const std::string whole = saved.read("model.safetensors");
  for (size_t length :
       {size_t{0}, size_t{7}, size_t{8}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
    CAPTURE(length);
    saved.write("model.safetensors", whole.substr(0, length));
    CHECK(contains(saved.refusal(), "model.safetensors"));
  }
  saved.write("model.safetensors", whole + "x");
  saved.refusal();
}

TEST_CASE("checkpoint: sizes that config.json only claims take no memory") {
  const Saved saved;
  // Allowed one by one and together, and 2 TB of floats.
  saved.configure("hidden_size", 1 << 18);
  saved.configure("vocab_size", 1 << 20);
  CHECK(contains(saved.refusal(), "shape"));
}

TEST_CASE("checkpoint: hostile numbers in config.json are refused") {
  for (const nlohmann::json& value :
       {nlohmann::json(0), nlohmann::json(-1), nlohmann::json(INT64_MAX),
        nlohmann::json(UINT64_MAX), nlohmann::json(1e300), nlohmann::json("32"),
        nlohmann::json(nullptr), nlohmann::json(nlohmann::json::array({32}))}) {
    for (const char* field : {"hidden_size", "vocab_size", "num_hidden_layers", "kv_lora_rank",
                              "max_position_embeddings", "qk_rope_head_dim"}) {
      CAPTURE(field);
      CAPTURE(value.dump());
      const Saved saved;
      saved.configure(field, value);
      CHECK(contains(saved.refusal(), field));
    }
  }
  const Saved saved;
  saved.write("config.json", "{");
  saved.refusal();
  saved.write("config.json", std::string(2 << 20, ' '));
  saved.refusal();
}

TEST_CASE("checkpoint: another tokenizer is refused, and no tokenizer file is a plain one") {
  const Saved saved;
  saved.write("tokenizer_config.json", "{\"troupe_tokenizer\": \"bpe\"}");
  CHECK(contains(saved.refusal(), "bpe"));
  saved.write("tokenizer_config.json", "[");
  saved.refusal();
  fs::remove(saved.path("tokenizer_config.json"));
  const auto loaded = load_checkpoint(saved.folder);
  REQUIRE(loaded);
  CHECK(loaded->text.prompt_template.empty());
}

TEST_CASE("checkpoint: shards give the same weights as one file") {
  const std::string golden = std::string(TROUPE_SOURCE_DIR) + "/tests/model/golden/";
  const auto whole = load_checkpoint(golden + "case_a");
  const auto sharded = load_checkpoint(golden + "formats/sharded");
  REQUIRE_MESSAGE(whole, whole.error().message);
  REQUIRE_MESSAGE(sharded, sharded.error().message);
  CHECK(sharded->values == whole->values);
}

TEST_CASE("checkpoint: a GGUF file gives the same policy as the folder it was made from") {
  const std::string golden = std::string(TROUPE_SOURCE_DIR) + "/tests/model/golden/formats/";
  for (const char* name : {"qwen2", "qwen3", "qwen3moe", "deepseek_v2", "deepseek_v3"}) {
    CAPTURE(name);
    const auto folder = load_checkpoint(golden + name);
    const auto file = load_checkpoint(golden + name + "/model.gguf");
    REQUIRE_MESSAGE(folder, folder.error().message);
    REQUIRE_MESSAGE(file, file.error().message);
    CHECK(file->config == folder->config);
    CHECK(file->values == folder->values);
    CHECK(*load_policy_config(golden + name + "/model.gguf") == file->config);
  }
  const Saved saved;
  std::string bytes = *read_file(golden + "qwen3/model.gguf", 1 << 26);
  saved.write("cut.gguf", bytes.substr(0, bytes.size() - 100));
  CHECK_FALSE(load_checkpoint(saved.path("cut.gguf")));
  // A tensor that the model needs, called differently.
  const size_t at = bytes.find("blk.0.ffn_down");
  REQUIRE(at != bytes.npos);
  bytes.replace(at, 14, "blk.0.ffn_norn");
  saved.write("other.gguf", bytes);
  CHECK_FALSE(load_checkpoint(saved.path("other.gguf")));
}

TEST_CASE("checkpoint: float32 keeps what bf16 rounds, and both say how much that is") {
  Saved saved;
  saved.checkpoint.values[0] = 0.1f;  // No bf16 value; all others were.
  for (float& value : saved.checkpoint.values) {
    if (&value != saved.checkpoint.values.data()) value = std::round(value * 64) / 64;
  }
  CHECK(count_rounded(saved.checkpoint) == 1);
  REQUIRE(save_checkpoint(saved.folder, saved.checkpoint, Stored::kFloat32));
  CHECK(contains(saved.read("config.json"), "float32"));
  CHECK(load_checkpoint(saved.folder)->values == saved.checkpoint.values);
  REQUIRE(save_checkpoint(saved.folder, saved.checkpoint));
  CHECK(load_checkpoint(saved.folder)->values[0] != 0.1f);
}

// A saved checkpoint, one of whose matrices is all ones in FP8 with scales for blocks of 16 x 32.
struct SavedF8 : Saved {
  SavedF8() {
    configure("quantization_config", {{"quant_method", "fp8"},
                                      {"fmt", "e4m3"},
                                      {"activation_scheme", "dynamic"},
                                      {"weight_block_size", {16, 32}}});
    rewrite([&](auto& tensors) {
      for (auto& t : tensors) {
        if (t.name != name) continue;
        REQUIRE(t.shape == std::vector<int64_t>{48, 32});
        t.dtype = DType::kF8E4M3;
        t.bytes = std::as_bytes(std::span(ones));
      }
      tensors.push_back(
          {name + "_scale_inv", DType::kF32, {3, 1}, std::as_bytes(std::span(scales))});
    });
  }

  const std::string name = "model.layers.0.mlp.up_proj.weight";
  const std::vector<uint8_t> ones = std::vector<uint8_t>(48 * 32, 0x38);
  const std::vector<float> scales = {0.5f, 2.0f, 3.0f};
};

TEST_CASE("checkpoint: FP8 matrices are read with their scales") {
  const SavedF8 saved;
  const auto loaded = load_checkpoint(saved.folder);
  REQUIRE_MESSAGE(loaded, loaded.error().message);
  const auto at = static_cast<size_t>(ParameterLayout(loaded->config).offset(saved.name));
  for (size_t i = 0; i < saved.ones.size(); ++i) {
    REQUIRE(loaded->values[at + i] == saved.scales[i / 32 / 16]);
  }
  // What is saved again has bf16 and says so.
  REQUIRE(save_checkpoint(saved.folder, *loaded));
  CHECK_FALSE(contains(saved.read("config.json"), "quantization_config"));
  CHECK(load_checkpoint(saved.folder)->values == loaded->values);
}

TEST_CASE("checkpoint: scales that are missing, misshapen or of nothing are refused by name") {
  const auto refusal_after = [](auto change) {
    const SavedF8 saved;
    saved.rewrite([&](auto& tensors) {
      for (auto& t : tensors) {
        if (t.name == saved.name + "_scale_inv") return change(t);
      }
    });
    return saved.refusal();
  };
  CHECK(contains(refusal_after([](auto& t) { t.name = "other_scale_inv"; }), "other_scale_inv"));
  CHECK(contains(
      refusal_after([](auto& t) { t.name = "model.layers.0.mlp.down_proj.weight_scale_inv"; }),
      "down_proj"));
  CHECK(contains(refusal_after([](auto& t) { t.shape = {1, 3}; }), "should be [3, 1]"));
  CHECK(contains(refusal_after([](auto& t) { t.dtype = DType::kI32; }), "its scales are I32"));
  const SavedF8 saved;
  saved.configure("quantization_config", {{"quant_method", "fp8"}});
  CHECK(contains(saved.refusal(), "weight_block_size null"));
  saved.configure("quantization_config", {{"quant_method", "awq"}});
  CHECK(contains(saved.refusal(), "\"awq\""));
  saved.configure("quantization_config", nullptr);  // Then blocks have the published size.
  CHECK(contains(saved.refusal(), "should be [1, 1]"));
}

TEST_CASE("checkpoint: what published files hold beside the model is left out, nothing else") {
  const std::vector<std::byte> bytes(4);
  const auto add = [&bytes](const Saved& saved, const std::vector<std::string>& names) {
    saved.rewrite([&](std::vector<TensorView>& tensors) {
      for (const std::string& name : names) {
        tensors.push_back({.name = name, .dtype = DType::kBF16, .shape = {2}, .bytes = bytes});
      }
    });
  };
  // The layer that predicts the token after the next, behind the last of two.
  const Saved further;
  add(further,
      {"model.layers.2.eh_proj.weight", "model.layers.2.mlp.gate.weight",
       "model.layers.2.eh_proj.weight_scale_inv", "model.layers.1.self_attn.rotary_emb.inv_freq"});
  const auto loaded = load_checkpoint(further.folder);
  REQUIRE_MESSAGE(loaded, loaded.error().message);
  CHECK(loaded->values == load_checkpoint(Saved().folder)->values);
  // A layer too many of the model itself.
  const Saved longer;
  add(longer, {"model.layers.2.mlp.gate.weight"});
  CHECK(contains(longer.refusal(), "model.layers.2.mlp.gate.weight does not belong"));
  const Saved other;
  add(other, {"model.layers.2.eh_proj.weight", "model.layers.3.mlp.gate.weight"});
  CHECK(contains(other.refusal(), "model.layers.3.mlp.gate.weight does not belong"));
  const Saved within;
  add(within, {"model.layers.1.eh_proj.weight"});
  CHECK(contains(within.refusal(), "model.layers.1.eh_proj.weight does not belong"));
}

// What lm_head.weight of a tied model is in the file.
enum class Head : uint8_t { kOther, kSame, kSameInFloat32, kOneOther, kTransposed };

std::string tied_refusal(Head head) {
  const Saved saved;
  saved.configure("tie_word_embeddings", true);
  std::vector<std::byte> bytes;
  saved.rewrite([&](std::vector<TensorView>& tensors) {
    const auto named = [&](const char* name) {
      return std::find_if(tensors.begin(), tensors.end(),
                          [&](const TensorView& tensor) { return tensor.name == name; });
    };
    const auto embeddings = named("model.embed_tokens.weight");
    const auto tensor = named("lm_head.weight");
    if (head == Head::kOther) return;
    tensor->bytes = embeddings->bytes;
    if (head == Head::kTransposed) std::swap(tensor->shape[0], tensor->shape[1]);
    if (head == Head::kSameInFloat32) {
      tensor->dtype = DType::kF32;
      bytes.resize(2 * embeddings->bytes.size());
      for (size_t i = 0; i < embeddings->bytes.size(); ++i) {
        bytes[i / 2 * 4 + 2 + i % 2] = embeddings->bytes[i];
      }
      tensor->bytes = bytes;
    }
    if (head == Head::kOneOther) {
      bytes.assign(embeddings->bytes.begin(), embeddings->bytes.end());
      bytes[1] ^= std::byte{1};
      tensor->bytes = bytes;
    }
  });
  const auto loaded = load_checkpoint(saved.folder);
  if (!loaded) return saved.refusal();
  CHECK(loaded->values.size() == ParameterLayout(loaded->config).num_floats());
  return "";
}

TEST_CASE("checkpoint: the head of a tied model is its embedding, whatever its type, or refused") {
  for (const Head head : {Head::kOther, Head::kOneOther}) {
    const std::string refusal = tied_refusal(head);
    CHECK(contains(refusal, "\"tie_word_embeddings\": true, but lm_head.weight differs in"));
    CHECK(contains(refusal, "values from model.embed_tokens.weight; set it to false in"));
  }
  CHECK(contains(tied_refusal(Head::kOneOther), "differs in 1 of "));
  CHECK(contains(tied_refusal(Head::kTransposed), "lm_head.weight has another shape than"));
  CHECK(tied_refusal(Head::kSame) == "");
  CHECK(tied_refusal(Head::kSameInFloat32) == "");
}

TEST_CASE("checkpoint: a model that is not tied and has no head is told of both ways out") {
  for (const nlohmann::json& said : {nlohmann::json(false), nlohmann::json()}) {
    const Saved saved;
    saved.configure("tie_word_embeddings", said);
    saved.rewrite([](std::vector<TensorView>& tensors) {
      std::erase_if(tensors, [](const TensorView& t) { return t.name == "lm_head.weight"; });
    });
    CHECK(contains(saved.refusal(), "lm_head.weight is missing, and config.json does not say"));
  }
}

TEST_CASE("checkpoint: weights that are not a number or infinite are named, with their place") {
  const auto refusal_with = [](const char* name, size_t index, uint16_t bits) {
    const Saved saved;
    std::vector<std::byte> bytes;
    saved.rewrite([&](std::vector<TensorView>& tensors) {
      for (TensorView& tensor : tensors) {
        if (tensor.name != name) continue;
        bytes.assign(tensor.bytes.begin(), tensor.bytes.end());
        std::memcpy(bytes.data() + 2 * index, &bits, 2);
        tensor.bytes = bytes;
      }
    });
    return load_checkpoint(saved.folder) ? std::string() : saved.refusal();
  };
  const auto cols = static_cast<size_t>(tests::tiny_config().hidden_size);
  for (const uint16_t bits : {0x7fc0, 0x7f80, 0xff80, 0xffff, 0x7f81}) {
    const std::string refusal = refusal_with("model.norm.weight", 3, bits);
    CHECK(contains(refusal, "tensor model.norm.weight: 1 of its "));
    CHECK(contains(refusal, "values is not a number or infinite, the first at [3]; take an earl"));
    CHECK(contains(refusal_with("model.embed_tokens.weight", 2 * cols + 1, bits), "at [2, 1];"));
  }
  // The largest finite ones are weights.
  CHECK(refusal_with("model.norm.weight", 3, 0x7f7f) == "");
  CHECK(refusal_with("model.norm.weight", 3, 0xff7f) == "");
}

TEST_CASE("checkpoint: norms or embeddings of zeros only are a file that was not filled") {
  const auto refusal_with = [](const char* name, size_t filled) {
    const Saved saved;
    std::vector<std::byte> bytes;
    saved.rewrite([&](std::vector<TensorView>& tensors) {
      for (TensorView& tensor : tensors) {
        if (tensor.name != name) continue;
        bytes.assign(tensor.bytes.size(), std::byte{0});
        std::fill_n(bytes.begin(), filled, std::byte{0x3c});
        tensor.bytes = bytes;
      }
    });
    return load_checkpoint(saved.folder) ? std::string() : saved.refusal();
  };
  for (const char* name : {"model.norm.weight", "model.embed_tokens.weight"}) {
    CHECK(contains(refusal_with(name, 0), std::string("tensor ") + name + ": all of its "));
    CHECK(contains(refusal_with(name, 0), "fetch or export it again"));
    CHECK(refusal_with(name, 2) == "");
  }
  // Others may begin at zero.
  CHECK(refusal_with("lm_head.weight", 0) == "");
}

TEST_CASE("checkpoint: a path that is no model's folder says what it is") {
  const Saved saved;
  const auto refusal = [](const std::string& path) {
    const auto loaded = load_checkpoint(path);
    REQUIRE(!loaded);
    CHECK(!load_policy_config(path));
    return loaded.error().message;
  };
  CHECK(contains(refusal(saved.path("model.safetensors")),
                 "give its folder instead: " + saved.folder));
  CHECK(contains(refusal(saved.path("config.json")), "is one file of a model"));
  CHECK(contains(refusal("owner/name"), "owner/name: no such folder or file; a model is not"));
  fs::remove(saved.path("model.safetensors"));
  fs::create_symlink("../blobs/gone", saved.path("model.safetensors"));
  CHECK(
      contains(refusal(saved.folder), "model.safetensors: is a link to a file that is not there"));
}

TEST_CASE("checkpoint: weights in another form are told how to become those that are read") {
  const auto refusal_of = [](const std::vector<std::string>& names) {
    const Saved saved;
    fs::remove(saved.path("model.safetensors"));
    for (const std::string& name : names) saved.write(name, "x");
    return saved.refusal();
  };
  const auto has = [&](const std::vector<std::string>& names, const std::string& part) {
    const std::string refusal = refusal_of(names);
    CAPTURE(refusal);
    CHECK(contains(refusal, names[0] + " but no model.safetensors; "));
    CHECK(contains(refusal, part));
  };
  has({"pytorch_model.bin", "adapter_model.bin"},
      "python -c \"import transformers; transformers."
      "AutoModelForCausalLM.from_pretrained('");
  has({"pytorch_model-00001-of-00002.bin"}, "torch_dtype='auto').save_pretrained('");
  has({"adapter_model.safetensors"}, "merge_and_unload().save_pretrained('");
  has({"consolidated.00.pth"}, "fetch the files model*.safetensors of the same model");
  has({"consolidated.safetensors"}, "other names for the tensors");
  has({"model-00001-of-00002.safetensors"}, "fetch model.safetensors.index.json");
  has({"flax_model.msgpack"}, "from_flax=True");
  has({"tf_model.h5"}, "from_tf=True");
  has({"model.pt"}, "safetensors.torch.save_file(");
  has({"best.pth"}, "torch.load('");
  has({"zero_to_fp32.py", "pytorch_model.bin"}, "--safe_serialization");
  has({"tiny.gguf"}, "give the file instead of the folder: '");
  has({"weights.safetensors"}, "rename it if it is the model: mv '");
  has({"rust_model.ot"}, "fetch or export the model as model.safetensors");
  CHECK(contains(refusal_of({"optimizer.bin", "training_args.bin"}), "model.safetensors"));
  // Meta's own folders have no config.json either.
  const Saved meta;
  fs::remove(meta.path("model.safetensors"));
  fs::remove(meta.path("config.json"));
  meta.write("consolidated.00.pth", "x");
  meta.write("params.json", "{}");
  CHECK(contains(meta.refusal(), "consolidated.00.pth"));
  CHECK(contains(load_policy_config(meta.folder).error().message, "consolidated.00.pth"));
  // An adapter that would be left out, and a file that is none.
  const Saved both;
  both.write("adapter_model.safetensors", "x");
  CHECK(contains(both.refusal(), "adapter_model.safetensors beside a whole model"));
  const Saved pointer;
  pointer.write("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
  CHECK(contains(pointer.refusal(), "git lfs pull"));
}

}  // namespace
}  // namespace troupe::model
