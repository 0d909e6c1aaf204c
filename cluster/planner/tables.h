// What plans are made of: devices, hosts, networks, engines, models and lengths, read from TOML.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/transformer/config.h"
#include "schemas/result.h"

namespace troupe::cluster {

// A number that is not known exactly: its median, and the standard deviation of its logarithm.
struct Uncertain {
  double median = 0;
  double spread = 0;
};

// Rates are of one device and as kernels reach them; 1 GB is 1e9 bytes, 1 TFLOPS 1e12 a second.
struct DeviceTable {
  double memory_gb = 0, usable_gb = 0;
  double price_per_hour = 0;
  Uncertain mtbf_hours{};
  bool has_fp8 = false;
  double attention_tflops = 0, attention_tbps = 0;  // Of decoding.
  Uncertain gemm_tflops{}, gemm_bf16_tflops{};      // Of decoding: few rows.
  Uncertain weights_tbps{};
  Uncertain step_overhead_ms{};
  Uncertain prefill_tflops{}, prefill_bf16_tflops{};
  double train_tflops = 0, train_bf16_tflops = 0;
  double optimizer_seconds = 0;
  Uncertain layer_token_us{};  // Of a token and a layer, whatever its width; 0: not told.
  Uncertain offload_gbps{}, load_gbps{};
};

struct NodeTable {
  int64_t devices = 0;
  std::string network{};
};

struct NetworkTable {
  // Microseconds in which 128 tokens of each device reach their experts, and come back.
  std::vector<double> exchange_devices{}, dispatch_us{}, combine_us{};
  Uncertain exchange_scale{}, exchange_floor_us{};
  Uncertain reduce_us{};
  double reduce_gbps = 0;
  Uncertain publish_gbps{};
  double storage_gbps = 0;  // Of a host.
  Uncertain storage_share{};
};

struct EngineTable {
  std::string precision{};          // fp8 | bf16 | fp32
  std::string learner_attention{};  // latent | expanded
  int64_t tokens_computed = 1;      // By a decode step, for each response.
  Uncertain tokens_gained{};        // Of those.
  Uncertain decode_factor{};        // Time of a step beside what the device's table says.
  Uncertain train_share{};          // Of train_tflops, by reinforcement learning ...
  Uncertain sft_share{};            // ... and by imitation, whose sequences are packed.
};

struct ModelTable {
  std::string engine{};
  model::TransformerConfig config{};
};

using StepValues = std::vector<std::pair<double, double>>;  // Ascending steps.

// Of responses, in tokens: the logarithm is normal around each prompt's own.
struct LengthTable {
  int64_t prompt_tokens = 0;
  StepValues mean_by_step{};   // In between, straight lines.
  StepValues limit_by_step{};  // From that step on.
  Uncertain sigma{};           // Of the logarithm of a length ...
  Uncertain within_share{};    // ... of whose variance so much is between a prompt's responses.
  Uncertain runaway{};         // Share that goes on to the limit, whatever it is.
  Uncertain mean_scale{};
  double late_from_step = 0;
  Uncertain late_scale{};  // Of means after that step, too.
};

struct OperationsTable {
  Uncertain math_verdict_seconds{}, code_verdict_seconds{}, program_verdict_seconds{};
  Uncertain restart_seconds{};
  double move_seconds = 0;
  double workspace_gb = 0;
  int64_t redundant_experts = 0;
  double pack_sequences = 0;
};

struct PlannerTables {
  std::map<std::string, DeviceTable> devices{};
  std::map<std::string, NodeTable> nodes{};
  std::map<std::string, NetworkTable> networks{};
  std::map<std::string, EngineTable> engines{};
  std::map<std::string, ModelTable> models{};
  std::map<std::string, LengthTable> lengths{};
  OperationsTable operations{};
};

// Adds what `text`, which came from `origin`, says: [device.NAME], [node.NAME], [network.NAME],
// [engine.NAME], [model.NAME], [lengths.NAME] and [operations]. `like = "OTHER"` begins as a copy
// of another; a NAME that is there is changed and not replaced. kInvalidArgument with
// "origin:line: ..." for what is not TOML, an unknown key (naming the nearest), a wrong type, a
// number out of range, and a table that lacks a key.
Status read_tables(std::string_view text, const std::string& origin, PlannerTables& tables);

// Those that travel inside the program.
const PlannerTables& builtin_tables();

// kInvalidArgument, naming `what` and the nearest names, where the table has no such entry.
template <class Table>
Result<Table> find_table(const std::map<std::string, Table>& all, const std::string& name,
                         std::string_view what);
Error no_such_table(std::string_view name, std::vector<std::string> known, std::string_view what);

template <class Table>
Result<Table> find_table(const std::map<std::string, Table>& all, const std::string& name,
                         std::string_view what) {
  if (const auto found = all.find(name); found != all.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [key, table] : all) known.push_back(key);
  return no_such_table(name, std::move(known), what);
}

}  // namespace troupe::cluster
