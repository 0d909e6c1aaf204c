#include "cluster/planner/tables.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <set>
#include <variant>

#include "cluster/jobs/toml_type.h"
#include "cluster/monitor/text.h"
#include "cluster/planner/embedded_tables.h"
#include "schemas/check.h"
#include "schemas/nearest.h"
#include "schemas/overloaded.h"

namespace troupe::cluster {
namespace {

// A key of a table: where it goes and what it may be. Ranges are against slips of the hand.
using FieldSlot = std::variant<bool*, double*, int64_t*, std::string*, Uncertain*,
                               std::vector<double>*, StepValues*>;
struct Field {
  std::string_view key{};
  FieldSlot slot{};
  double low = 0;
  double high = 1e15;
  std::vector<std::string> allowed{};  // Of texts; empty: any.
  bool is_required = true;
};

std::vector<Field> fields_of(DeviceTable& t) {
  return {{"memory_GB", &t.memory_gb, 1e-3, 1e6},
          {"usable_GB", &t.usable_gb, 1e-3, 1e6},
          {"price_per_hour", &t.price_per_hour, 0, 1e6},
          {"mtbf_hours", &t.mtbf_hours, 1e-3},
          {"fp8", &t.has_fp8},
          {"attention_TFLOPS", &t.attention_tflops, 1e-6},
          {"attention_TBps", &t.attention_tbps, 1e-6},
          {"gemm_TFLOPS", &t.gemm_tflops, 1e-6},
          {"gemm_bf16_TFLOPS", &t.gemm_bf16_tflops, 1e-6},
          {"weights_TBps", &t.weights_tbps, 1e-6},
          {"step_overhead_ms", &t.step_overhead_ms},
          {"prefill_TFLOPS", &t.prefill_tflops, 1e-6},
          {"prefill_bf16_TFLOPS", &t.prefill_bf16_tflops, 1e-6},
          {"train_TFLOPS", &t.train_tflops, 1e-6},
          {"train_bf16_TFLOPS", &t.train_bf16_tflops, 1e-6},
          {"optimizer_seconds", &t.optimizer_seconds},
          {"layer_token_us", &t.layer_token_us, 0, 1e6, {}, false},
          {"offload_GBps", &t.offload_gbps, 1e-6},
          {"load_GBps", &t.load_gbps, 1e-6}};
}

std::vector<Field> fields_of(NodeTable& t) {
  return {{"devices", &t.devices, 1, 4096}, {"network", &t.network}};
}

std::vector<Field> fields_of(NetworkTable& t) {
  return {{"exchange_devices", &t.exchange_devices, 1, 1e6},
          {"dispatch_us", &t.dispatch_us},
          {"combine_us", &t.combine_us},
          {"exchange_scale", &t.exchange_scale, 0, 1e6},
          {"exchange_floor_us", &t.exchange_floor_us},
          {"reduce_us", &t.reduce_us},
          {"reduce_GBps", &t.reduce_gbps, 1e-6},
          {"publish_GBps", &t.publish_gbps, 1e-6},
          {"storage_GBps", &t.storage_gbps, 1e-6},
          {"storage_share", &t.storage_share, 1e-6, 1}};
}

std::vector<Field> fields_of(EngineTable& t) {
  return {{"precision", &t.precision, 0, 0, {"fp8", "bf16", "fp32"}},
          {"learner_attention", &t.learner_attention, 0, 0, {"latent", "expanded"}},
          {"tokens_computed", &t.tokens_computed, 1, 64},
          {"tokens_gained", &t.tokens_gained, 1, 64},
          {"decode_factor", &t.decode_factor, 1e-3, 1e3},
          {"train_share", &t.train_share, 1e-6, 10},
          {"sft_share", &t.sft_share, 1e-6, 10}};
}

std::vector<Field> fields_of(ModelTable& t) {
  model::TransformerConfig& c = t.config;
  constexpr double kSizeMax = 1 << 20;
  const auto size = [&](std::string_view key, int64_t& slot, double low, bool is_required) {
    return Field{key, &slot, low, kSizeMax, {}, is_required};
  };
  return {{"engine", &t.engine, 0, 0, {}, false},
          size("vocab_size", c.vocab_size, 1, true),
          size("hidden_size", c.hidden_size, 1, true),
          size("num_hidden_layers", c.num_hidden_layers, 1, true),
          size("first_k_dense_replace", c.first_k_dense_replace, 0, true),
          size("intermediate_size", c.intermediate_size, 0, false),
          size("moe_intermediate_size", c.moe_intermediate_size, 0, false),
          size("n_routed_experts", c.n_routed_experts, 0, false),
          size("n_shared_experts", c.n_shared_experts, 0, false),
          size("num_experts_per_tok", c.num_experts_per_tok, 0, false),
          size("n_group", c.n_group, 1, false),
          size("topk_group", c.topk_group, 1, false),
          size("num_attention_heads", c.num_attention_heads, 1, true),
          size("q_lora_rank", c.q_lora_rank, 0, false),
          size("kv_lora_rank", c.kv_lora_rank, 0, false),
          size("qk_nope_head_dim", c.qk_nope_head_dim, 0, false),
          size("qk_rope_head_dim", c.qk_rope_head_dim, 0, false),
          size("v_head_dim", c.v_head_dim, 0, false),
          size("num_key_value_heads", c.num_key_value_heads, 0, false),
          size("head_dim", c.head_dim, 0, false),
          size("max_position_embeddings", c.max_position_embeddings, 1, true)};
}

std::vector<Field> fields_of(LengthTable& t) {
  return {{"prompt_tokens", &t.prompt_tokens, 0, 1 << 20},
          {"mean_by_step", &t.mean_by_step, 0, 1e8},
          {"limit_by_step", &t.limit_by_step, 0, 1e8},
          {"sigma", &t.sigma, 0, 4},
          {"within_share", &t.within_share, 0, 1},
          {"runaway", &t.runaway, 0, 0.5},
          {"mean_scale", &t.mean_scale, 1e-3, 1e3},
          {"late_from_step", &t.late_from_step, 0, 1e8},
          {"late_scale", &t.late_scale, 1e-3, 1e3}};
}

std::vector<Field> fields_of(OperationsTable& t) {
  return {{"math_verdict_seconds", &t.math_verdict_seconds},
          {"code_verdict_seconds", &t.code_verdict_seconds},
          {"program_verdict_seconds", &t.program_verdict_seconds},
          {"restart_seconds", &t.restart_seconds},
          {"move_seconds", &t.move_seconds},
          {"workspace_GB", &t.workspace_gb},
          {"redundant_experts", &t.redundant_experts, 0, 4096},
          {"pack_sequences", &t.pack_sequences, 1e-3, 1e6}};
}

std::optional<double> number_in(const toml::node& node) {
  if (const auto* integer = node.as_integer()) return static_cast<double>(integer->get());
  if (const auto* floating = node.as_floating_point()) return floating->get();
  return std::nullopt;
}

const char* wanted(const FieldSlot& slot) {
  constexpr const char* kWords[] = {"true or false",
                                    "a number",
                                    "an integer",
                                    "a text",
                                    "a number or { median = ..., spread = ... }",
                                    "a list of numbers",
                                    "a list of [step, number], by step"};
  return kWords[slot.index()];
}

class TableReader {
 public:
  TableReader(std::string origin, PlannerTables& tables)
      : origin_(std::move(origin)), tables_(tables) {}

  Status read(std::string_view text) {
    const auto root = parse(text);
    if (!root) return root.error();
    for (const auto& [key, node] : *root) {
      const std::string name(key.str());
      Status status = ok();
      if (name == "device") {
        status = read_all(name, node, tables_.devices);
      } else if (name == "node") {
        status = read_all(name, node, tables_.nodes);
      } else if (name == "network") {
        status = read_all(name, node, tables_.networks);
      } else if (name == "engine") {
        status = read_all(name, node, tables_.engines);
      } else if (name == "model") {
        status = read_all(name, node, tables_.models);
      } else if (name == "lengths") {
        status = read_all(name, node, tables_.lengths);
      } else if (name == "operations") {
        status = read_operations(node);
      } else {
        status = unknown(name, node, kSections);
      }
      if (!status) return status;
    }
    return ok();
  }

 private:
  const std::vector<std::string> kSections = {"device", "node",    "network",   "engine",
                                              "model",  "lengths", "operations"};

  // toml++ reports by exception; nobody else here sees one.
  Result<toml::table> parse(std::string_view text) const try {
    return toml::parse(text, origin_);
  } catch (const toml::parse_error& error) {
    return invalid_argument(fmt::format("{}:{}: not TOML: {}", origin_, error.source().begin.line,
                                        error.description()));
  }

  Error at(const toml::node& node, std::string_view message) const {
    return invalid_argument(fmt::format("{}:{}: {}", origin_, node.source().begin.line, message));
  }

  Error unknown(const std::string& path, const toml::node& node,
                const std::vector<std::string>& known) const {
    const std::string word = path.substr(path.rfind('.') + 1);  // npos + 1 is 0.
    return at(node, fmt::format("unknown key {}; the nearest: {}", path,
                                nearest_first_list(word, known)));
  }

  template <class Table>
  Status read_all(const std::string& section, const toml::node& node,
                  std::map<std::string, Table>& all) {
    const toml::table* tables = node.as_table();
    if (tables == nullptr) {
      return at(node, fmt::format("{} must be tables such as [{}.NAME], not {}", section, section,
                                  type_name(node)));
    }
    // `like` may name one that stands further down: TOML tables have no order.
    std::vector<std::string> waiting;
    for (const auto& [key, value] : *tables) waiting.emplace_back(key.str());
    while (!waiting.empty()) {
      const size_t before = waiting.size();
      for (size_t i = 0; i < waiting.size();) {
        const std::string name = waiting[i];
        const toml::node& one = *tables->get(name);
        const std::string path = section + "." + name;
        const toml::table* table = one.as_table();
        if (table == nullptr) {
          return at(one, fmt::format("{} must be a table, not {}", path, type_name(one)));
        }
        bool has_base = all.count(name) > 0;
        Table filled = has_base ? all[name] : Table{};
        if (const toml::node* like = table->get("like")) {
          const auto* other = like->as_string();
          if (other == nullptr) {
            return at(*like, fmt::format("{}.like must be a text, not {}", path, type_name(*like)));
          }
          const bool comes = other->get() != name && std::find(waiting.begin(), waiting.end(),
                                                               other->get()) != waiting.end();
          if (comes && before > 1) {
            ++i;
            continue;
          }
          const auto found = find_table(all, other->get(), section);
          if (!found) return at(*like, found.error().message);
          filled = *found;
          has_base = true;
        }
        if (Status read = read_table(path, *table, filled, has_base); !read) return read;
        all[name] = std::move(filled);
        waiting.erase(waiting.begin() + static_cast<int64_t>(i));
      }
      if (waiting.size() == before) {
        return at(*tables->get(waiting[0]),
                  fmt::format("{}.{}: these are like each other: {}", section, waiting[0],
                              fmt::join(waiting, ", ")));
      }
    }
    return ok();
  }

  Status read_operations(const toml::node& node) {
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      return at(node, fmt::format("operations must be a table, not {}", type_name(node)));
    }
    const bool has_base = tables_.operations.pack_sequences > 0;
    return read_table("operations", *table, tables_.operations, has_base);
  }

  template <class Table>
  Status read_table(const std::string& path, const toml::table& from, Table& to, bool has_base) {
    const std::vector<Field> fields = fields_of(to);
    std::set<std::string_view> seen;
    for (const auto& [key, node] : from) {
      const std::string name(key.str());
      if (name == "like" || (name == "model_type" && path.starts_with("model."))) continue;
      const auto found = std::find_if(fields.begin(), fields.end(),
                                      [&](const Field& one) { return one.key == name; });
      if (found == fields.end()) {
        std::vector<std::string> known{"like"};
        for (const Field& one : fields) known.emplace_back(one.key);
        return unknown(path + "." + name, node, known);
      }
      if (Status filled = fill(path + "." + name, *found, node); !filled) return filled;
      seen.insert(found->key);
    }
    for (const Field& one : fields) {
      if (has_base || !one.is_required || seen.count(one.key) > 0) continue;
      return at(from, fmt::format("{} lacks {}", path, one.key));
    }
    return finish(path, from, to);
  }

  // What keys say together.
  Status finish(const std::string& path, const toml::table& from, NetworkTable& to) {
    const size_t size = to.exchange_devices.size();
    if (size == 0 || to.dispatch_us.size() != size || to.combine_us.size() != size ||
        !std::is_sorted(to.exchange_devices.begin(), to.exchange_devices.end())) {
      return at(from, fmt::format("{}: dispatch_us and combine_us need a number for each of "
                                  "exchange_devices, which ascend",
                                  path));
    }
    return ok();
  }
  Status finish(const std::string& path, const toml::table& from, ModelTable& to) {
    const toml::node* type = from.get("model_type");
    if (type != nullptr) {
      constexpr std::pair<std::string_view, model::Family> kFamilies[] = {
          {"deepseek_v3", model::Family::kDeepseekV3},
          {"deepseek_v2", model::Family::kDeepseekV2},
          {"llama", model::Family::kLlama},
          {"mistral", model::Family::kMistral},
          {"qwen2", model::Family::kQwen2},
          {"qwen3", model::Family::kQwen3},
          {"qwen3_moe", model::Family::kQwen3Moe},
          {"mixtral", model::Family::kMixtral}};
      const auto name = type->value<std::string>();
      const auto* found = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                       [&](const auto& one) { return name && one.first == *name; });
      if (found == std::end(kFamilies)) {
        std::vector<std::string> known;
        for (const auto& one : kFamilies) known.emplace_back(one.first);
        return at(*type,
                  fmt::format("{}.model_type is {}; it must be one of {}", path, value_text(*type),
                              nearest_first_list(name.value_or(""), known)));
      }
      to.config.family = found->second;
    }
    const Status valid = model::validate(to.config);
    return valid ? ok() : Status(at(from, fmt::format("{}: {}", path, valid.error().message)));
  }
  template <class Table>
  Status finish(const std::string&, const toml::table&, Table&) {
    return ok();
  }

  Status fill(const std::string& path, const Field& field, const toml::node& node) {
    const auto wrong = [&] {
      return at(node,
                fmt::format("{} must be {}, not {}", path, wanted(field.slot), value_text(node)));
    };
    const auto in_range = [&](double value) -> Status {
      if (value >= field.low && value <= field.high) return ok();  // Refuses NaN as well.
      return at(node,
                fmt::format("{} is {}; it must be {} to {}", path, value, field.low, field.high));
    };
    return std::visit(
        Overloaded{
            [&](bool* slot) -> Status {
              const auto* value = node.as_boolean();
              if (value == nullptr) return wrong();
              *slot = value->get();
              return ok();
            },
            [&](double* slot) -> Status {
              const auto value = number_in(node);
              if (!value) return wrong();
              *slot = *value;
              return in_range(*value);
            },
            [&](int64_t* slot) -> Status {
              const auto* value = node.as_integer();
              if (value == nullptr) return wrong();
              *slot = value->get();
              return in_range(static_cast<double>(*slot));
            },
            [&](std::string* slot) -> Status {
              const auto* value = node.as_string();
              if (value == nullptr) return wrong();
              *slot = value->get();
              if (field.allowed.empty() || std::find(field.allowed.begin(), field.allowed.end(),
                                                     *slot) != field.allowed.end()) {
                return ok();
              }
              return at(node, fmt::format("{} is {}; it must be one of {}", path, value_text(node),
                                          nearest_first_list(*slot, field.allowed)));
            },
            [&](Uncertain* slot) -> Status {
              *slot = {};
              if (const auto value = number_in(node)) {
                slot->median = *value;
                return in_range(*value);
              }
              const toml::table* table = node.as_table();
              if (table == nullptr) return wrong();
              const Field fields[] = {{"median", &slot->median, field.low, field.high},
                                      {"spread", &slot->spread, 0, 3}};
              for (const auto& [key, value] : *table) {
                const std::string name(key.str());
                if (name != fields[0].key && name != fields[1].key) {
                  return unknown(path + "." + name, value, {"median", "spread"});
                }
                const Field& one = name == fields[0].key ? fields[0] : fields[1];
                if (Status filled = fill(path + "." + name, one, value); !filled) return filled;
              }
              return table->contains("median") ? ok() : Status(at(node, path + " lacks median"));
            },
            [&](std::vector<double>* slot) -> Status {
              const toml::array* array = node.as_array();
              if (array == nullptr) return wrong();
              slot->clear();
              for (const toml::node& element : *array) {
                const auto value = number_in(element);
                if (!value) return wrong();
                if (Status fine = in_range(*value); !fine) return fine;
                slot->push_back(*value);
              }
              return ok();
            },
            [&](StepValues* slot) -> Status {
              const toml::array* array = node.as_array();
              if (array == nullptr || array->empty()) return wrong();
              slot->clear();
              for (const toml::node& element : *array) {
                const toml::array* pair = element.as_array();
                if (pair == nullptr || pair->size() != 2) return wrong();
                const auto step = number_in(*pair->get(0)), value = number_in(*pair->get(1));
                if (!step || !value) return wrong();
                if (!slot->empty() && *step <= slot->back().first) return wrong();
                if (Status fine = in_range(*value); !fine) return fine;
                slot->emplace_back(*step, *value);
              }
              return ok();
            },
        },
        field.slot);
  }

  const std::string origin_;
  PlannerTables& tables_;
};

}  // namespace

Error no_such_table(std::string_view name, std::vector<std::string> known, std::string_view what) {
  return invalid_argument(fmt::format("there is no {} {}; the nearest: {}", what, printable(name),
                                      nearest_first_list(name, std::move(known))));
}

Status read_tables(std::string_view text, const std::string& origin, PlannerTables& tables) {
  // All of it or nothing.
  PlannerTables copy = tables;
  if (Status read = TableReader(origin, copy).read(text); !read) return read;
  tables = std::move(copy);
  return ok();
}

const PlannerTables& builtin_tables() {
  static const PlannerTables tables = [] {
    PlannerTables all;
    // Whatever is like another comes after it, in whichever file that is.
    std::vector<EmbeddedTable> waiting(embedded_tables().begin(), embedded_tables().end());
    std::string reason;
    while (!waiting.empty()) {
      const size_t before = waiting.size();
      std::erase_if(waiting, [&](const EmbeddedTable& one) {
        const Status read = read_tables(one.text, std::string(one.file), all);
        if (!read) reason = read.error().message;
        return static_cast<bool>(read);
      });
      if (waiting.size() == before) std::fprintf(stderr, "%s\n", reason.c_str());
      TROUPE_CHECK(waiting.size() < before);
    }
    return all;
  }();
  return tables;
}

}  // namespace troupe::cluster
