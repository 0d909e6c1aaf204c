// `troupe bench`: how fast this machine is, and which part of its limits the kernels reach. All
// numbers of one run come from one machine in one state, so that their ratios mean something.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/cli/collective_speed.h"
#include "cluster/cli/command.h"
#include "cluster/cli/data_speed.h"
#include "cluster/cli/kernel_cases.h"
#include "cluster/cli/policy_speed.h"
#include "cluster/cli/submission_speed.h"
#include "cluster/cli/watching_speed.h"
#include "kernels/cpu/ceilings.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/device_backend.h"
#include "model/device.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

struct Entry {
  std::string name{};   // "gemm.forward", ...
  std::string shape{};  // "M=256 K=512 N=256"
  double value = 0;     // Median.
  double spread = 0;    // (75th - 25th percentile) / median.
  std::string unit{};
  double bound = 0;  // Of the same unit; 0: none is known.

  double fraction() const { return bound > 0 ? value / bound : 0; }
};

// What one run collects, and the limits that later entries are measured against.
class Bench {
 public:
  struct Options {
    int num_threads = 1;
    std::string only{};  // What the names of wanted entries start with.
    bool prints = true;
    bool shows_operations = false;
  };
  Bench(const kernels::Backend& backend, Options options)
      : backend_(backend), threads_(options.num_threads), options_(std::move(options)) {}

  const kernels::Backend& backend() const { return backend_; }
  int num_threads() const { return threads_.count(); }
  const std::vector<Entry>& entries() const { return entries_; }
  bool is_wanted(std::string_view name) const {
    return name.substr(0, options_.only.size()) == options_.only;
  }
  bool shows_operations() const { return options_.shows_operations; }

  // Runs work(thread) on every thread at once, which returns how much it did, and adds an entry of
  // the median of the sum per second in `unit` (of 1e9) over runs of some two milliseconds each.
  // Returns the best run: what is a limit for others must not be what a busy moment left of it.
  double measure(const std::string& name, const std::string& shape, const std::string& unit,
                 double bound, const std::function<double(int thread)>& work) {
    constexpr int kRuns = 15;
    constexpr double kRunSeconds = 2e-3;
    std::vector<double> done(static_cast<size_t>(num_threads()));
    const auto run_once = [&](int64_t repeats) {
      const auto start = std::chrono::steady_clock::now();
      threads_.run(num_threads(), [&](int64_t index, int) {
        double sum = 0;
        for (int64_t i = 0; i < repeats; ++i) sum += work(static_cast<int>(index));
        done[static_cast<size_t>(index)] = sum;
      });
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    run_once(1);
    const double once = std::max(run_once(1), 1e-8);
    const auto repeats = std::max<int64_t>(1, static_cast<int64_t>(kRunSeconds / once));
    run_once(repeats);
    std::vector<double> rates;
    for (int run = 0; run < kRuns; ++run) {
      const double seconds = run_once(repeats);
      double total = 0;
      for (double amount : done) total += amount;
      rates.push_back(total / seconds * 1e-9);
    }
    std::sort(rates.begin(), rates.end());
    const double median = rates[kRuns / 2];
    add({name, shape, median, (rates[kRuns * 3 / 4] - rates[kRuns / 4]) / median, unit, bound});
    return rates.back();
  }

  void add(Entry entry) {
    if (!is_wanted(entry.name)) return;
    if (options_.prints) {
      const std::string fraction =
          entry.bound > 0 ? fmt::format("{:5.1f} % of {:.1f}", entry.fraction() * 100, entry.bound)
                          : "";
      fmt::print("{:<47}{:<36}{:>10.5g} {:<8} +-{:>4.1f} %  {}\n", entry.name, entry.shape,
                 entry.value, entry.unit, entry.spread * 50, fraction);
      std::fflush(stdout);
    }
    entries_.push_back(std::move(entry));
  }

  // Limits of all threads together, 0 where not measured: multiply-adds of the backend in GFLOP/s,
  // and reading from each level of memory in GB/s.
  double product_bound = 0;
  double read_l2 = 0;
  double read_l3 = 0;
  double read_memory = 0;

  // What a computation of `flops` that reads `bytes` of a working set, of each thread its part, can
  // reach in GFLOP/s. A set that the third cache could hold alone is taken to be there.
  double roof(double flops, double bytes, double working_set_bytes) const {
    const auto size_of = [](int name, double otherwise) {
      const long bytes_of_level = sysconf(name);
      return bytes_of_level > 0 ? static_cast<double>(bytes_of_level) : otherwise;
    };
    double read = read_memory;
    if (working_set_bytes * num_threads() <= size_of(_SC_LEVEL3_CACHE_SIZE, 32 << 20)) {
      read = read_l3;
    }
    if (working_set_bytes <= size_of(_SC_LEVEL2_CACHE_SIZE, 1 << 20)) read = read_l2;
    return read > 0 ? std::min(product_bound, flops / bytes * read) : product_bound;
  }

 private:
  const kernels::Backend& backend_;
  model::Threads threads_;
  const Options options_;
  std::vector<Entry> entries_{};
};

bool has(std::string_view name) {
  for (const kernels::Backend* backend : kernels::cpu_backends()) {
    if (name == backend->name) return true;
  }
  return false;
}

// The limits: multiply-adds per instruction set, and reading from each level of memory. Measured
// even when not asked for, because the others are given as a fraction of them.
void bench_ceilings(Bench& bench) {
  namespace cpu = kernels::cpu;
  const std::string_view used = bench.backend().name;
  const auto peak = [&](const char* isa, const std::function<double(int)>& loop) {
    const std::string name = std::string("ceiling.fma.") + isa;
    const double best = bench.measure(name, "registers", "GFLOP/s", 0, loop);
    const double chain = best * cpu::kChainFraction;
    bench.add({std::string("ceiling.chain.") + isa, "registers", chain, 0, "GFLOP/s", best});
    if (used == isa) bench.product_bound = chain;
  };
  constexpr int64_t kRounds = 100000;
  if (has("avx2")) peak("avx2", [](int) { return cpu::fma_loop_avx2(kRounds); });
  if (has("avx512")) peak("avx512", [](int) { return cpu::fma_loop_avx512(kRounds); });
  if (has("avx512bf16")) {
    const double best = bench.measure("ceiling.dot.avx512bf16", "registers", "GFLOP/s", 0,
                                      [](int) { return cpu::dot_loop_avx512bf16(kRounds); });
    if (used == "avx512bf16") bench.product_bound = best;
  }

  struct Level {
    const char* name;
    int64_t bytes;
  };
  // Sizes that fit the level on what we run on: caches of 1 to 2 MiB, and of 32 MiB or more.
  const Level levels[] = {{"ceiling.read.l2", 512 << 10},
                          {"ceiling.read.l3", 12 << 20},
                          {"ceiling.read.memory", 256 << 20}};
  const bool has_amx = has("amx");
  if (has_amx) {
    // The tiles' even and odd chains are in the hardware: its peak is the bound.
    const double registers = bench.measure("ceiling.amx", "registers", "GFLOP/s", 0,
                                           [](int) { return cpu::tile_loop_amx(20000); });
    if (used == "amx") bench.product_bound = registers;
  }
  if (!has("avx2")) return;
  for (const Level& level : levels) {
    const bool is_l2 = std::string_view(level.name) == "ceiling.read.l2";
    const bool is_l3 = std::string_view(level.name) == "ceiling.read.l3";
    const int64_t bytes = level.bytes / bench.num_threads() / 4096 * 4096;
    const int64_t per_thread = is_l2 ? level.bytes : bytes;
    std::vector<model::DeviceBuffer<char>> memory;
    for (int i = 0; i < bench.num_threads(); ++i) memory.emplace_back(bench.backend(), per_thread);
    const auto at = [&](int thread) {
      return reinterpret_cast<const char*>(memory[static_cast<size_t>(thread)].get().address);
    };
    const std::string shape = fmt::format("{} KiB", per_thread >> 10);
    const double read = bench.measure(level.name, shape, "GB/s", 0, [&](int thread) {
      return cpu::read_loop(1, at(thread), per_thread);
    });
    (is_l2 ? bench.read_l2 : is_l3 ? bench.read_l3 : bench.read_memory) = read;
    if (has_amx && is_l2) {
      bench.measure("ceiling.amx.l2", shape, "GFLOP/s", 0, [&](int thread) {
        return cpu::tile_loop_amx_loads(1, at(thread), per_thread);
      });
    }
  }
}

// Products of a layer with K inputs and N outputs over M tokens, weights packed beforehand (once
// per step), everything warm in the caches where it fits.
void bench_products(Bench& bench) {
  struct Shape {
    int64_t M, K, N;
  };
  constexpr Shape kShapes[] = {
      {256, 512, 256}, {256, 256, 512},  {256, 512, 512},  {64, 512, 256},    {64, 256, 512},
      {8, 512, 512},   {8, 512, 2048},   {1, 512, 512},    {1, 512, 2048},    {256, 64, 64},
      {17, 100, 100},  {512, 576, 1536}, {512, 1536, 576}, {512, 576, 49152}, {48, 576, 1536},
      {48, 1536, 576}, {48, 576, 49152}};
  if (!bench.is_wanted("gemm.forward") && !bench.is_wanted("gemm.dx") &&
      !bench.is_wanted("gemm.dw")) {
    return;
  }
  for (const auto& [M, K, N] : kShapes) {
    std::vector<std::unique_ptr<LinearLayer>> layers;
    for (int i = 0; i < bench.num_threads(); ++i) {
      layers.push_back(std::make_unique<LinearLayer>(bench.backend(), M, K, N));
    }
    const std::string shape = fmt::format("M={} K={} N={}", M, K, N);
    // Each operand once, and a result that is added to twice.
    const double flops = layers[0]->flops();
    const auto m = static_cast<double>(M), k = static_cast<double>(K), n = static_cast<double>(N);
    const auto product = [&](const char* name, double bytes, void (LinearLayer::*run)()) {
      if (!bench.is_wanted(name)) return;
      bench.measure(name, shape, "GFLOP/s", bench.roof(flops, bytes, bytes), [&](int thread) {
        (layers[static_cast<size_t>(thread)].get()->*run)();
        return flops;
      });
    };
    product("gemm.forward", 2 * (m * k + n * k) + 4 * m * n, &LinearLayer::forward);
    product("gemm.dx", 2 * (m * n + n * k) + 4 * m * k, &LinearLayer::backward_x);
    product("gemm.dw", 2 * (m * n + m * k) + 8 * n * k, &LinearLayer::backward_w);
  }
}

// Tokens per second of decoding, prompts and learning, against the larger of the times that their
// arithmetic and their memory need (policy_speed.h).
void bench_policies(Bench& bench) {
  for (const std::string_view config : PolicyBench::kConfigs) {
    std::unique_ptr<PolicyBench> policy;  // Made when something of it is wanted.
    const auto run = [&](const std::string& name, const auto& measure) {
      if (!bench.is_wanted(name)) return;
      if (!policy) {
        policy = std::make_unique<PolicyBench>(bench.backend(), config, bench.num_threads());
      }
      const PolicySpeed speed = measure(*policy);
      if (speed.tokens_per_second.empty()) return;
      auto rates = speed.tokens_per_second;
      std::sort(rates.begin(), rates.end());
      const double median = rates[rates.size() / 2];
      const double roof =
          bench.roof(speed.flops_per_token, speed.bytes_per_token, speed.working_set_bytes);
      bench.add({name, speed.shape, median, (rates.back() - rates.front()) / median, "tokens/s",
                 roof * 1e9 / speed.flops_per_token});
      if (!bench.shows_operations()) return;
      double rest = speed.seconds;
      for (const auto& operation : speed.operations) {
        rest -= operation.seconds;
        if (operation.seconds < 0.01 * speed.seconds) continue;
        bench.add({name + "." + operation.name, fmt::format("{} calls", operation.calls),
                   100 * operation.seconds / speed.seconds, 0, "% time", 0});
      }
      bench.add({name + ".rest", "", 100 * rest / speed.seconds, 0, "% time", 0});
    };
    if (config == "bench-135m") {
      for (const int64_t batch : {24, 48}) {
        run(fmt::format("decode.{}.b{}.ctx96", config, batch),
            [&](PolicyBench& at) { return at.decode(batch, 96); });
      }
    }
    for (const int64_t context : {192, 1024, 4096}) {
      if (config == "bench-135m") break;
      for (const int64_t batch : {1, 8, 32, 64}) {
        run(fmt::format("decode.{}.b{}.ctx{}", config, batch, context), [&](PolicyBench& at) {
          return at.has_memory_for(batch, context) ? at.decode(batch, context) : PolicySpeed{};
        });
      }
    }
    run(fmt::format("prefill.{}", config), [](PolicyBench& at) { return at.prefill(); });
    run(fmt::format("train.{}", config), [](PolicyBench& at) { return at.train(); });
  }
}

// Attention of one layer, in millions of queries per second: a token per sequence, and whole
// sequences.
void bench_attention(Bench& bench) {
  for (int64_t context : {32, 128, 512}) {
    const auto attend = [&](const char* name, int64_t num_queries) {
      if (!bench.is_wanted(name)) return;
      std::vector<std::unique_ptr<AttentionCase>> cases;
      for (int i = 0; i < bench.num_threads(); ++i) {
        cases.push_back(std::make_unique<AttentionCase>(bench.backend(), context, num_queries));
      }
      const std::string shape = fmt::format("S={} H={} R={} W={} context={}",
                                            AttentionCase::kSequences, AttentionCase::kHeads,
                                            AttentionCase::kLatent, AttentionCase::kWidth, context);
      bench.measure(name, shape, "Mquery/s", 0,
                    [&](int thread) { return cases[static_cast<size_t>(thread)]->run(); });
    };
    attend("attention.decode", 1);
    attend("attention.prefill", context);
  }
}

// Text to tokens and back, in MB of text.
void bench_tokenizer(Bench& bench) {
  constexpr std::string_view kNames[] = {"tokenizer.encode", "tokenizer.decode"};
  if (std::none_of(std::begin(kNames), std::end(kNames),
                   [&](std::string_view name) { return bench.is_wanted(name); })) {
    return;
  }
  const TokenizerText made = tokenizer_text();
  const auto tokens = made.tokenizer.encode(made.text);
  TROUPE_CHECK(tokens);
  const auto amount = static_cast<double>(made.text.size()) * 1e3;  // Of 1e-3: the unit is 1e6.
  const std::string shape = fmt::format("{} tokens, {} KiB in {}", made.tokenizer.vocabulary_size(),
                                        made.text.size() >> 10, tokens->size());
  if (bench.is_wanted(kNames[0])) {
    bench.measure(std::string(kNames[0]), shape, "MB/s", 0, [&](int) {
      TROUPE_CHECK(made.tokenizer.encode(made.text));
      return amount;
    });
  }
  if (bench.is_wanted(kNames[1])) {
    bench.measure(std::string(kNames[1]), shape, "MB/s", 0, [&](int) {
      TROUPE_CHECK(made.tokenizer.decode(*tokens).size() == made.text.size());
      return amount;
    });
  }
}

// A recovery point to disk and back: files with a digest each, synced.
void bench_checkpoint(Bench& bench) {
  const std::string written = "checkpoint.bench-moe.write", read = "checkpoint.bench-moe.read";
  if (!bench.is_wanted(written) && !bench.is_wanted(read)) return;
  const auto speed = measure_checkpoint();
  if (!speed) {
    fmt::print(stderr, "bench: {}\n", speed.error().message);
    return;
  }
  const auto add = [&](const std::string& name, std::vector<double> rates) {
    std::sort(rates.begin(), rates.end());
    const double median = rates[rates.size() / 2];
    bench.add({name, fmt::format("{:.0f} MB", speed->bytes * 1e-6), median * 1e-6,
               (rates.back() - rates.front()) / median, "MB/s", 0});
  };
  add(written, speed->written);
  add(read, speed->read);
}

// Jobs that a daemon accepts, durably, from users who each wait for their answer: so many per
// second, and how long one waits, beside what the disk takes for one sync.
void bench_submissions(Bench& bench) {
  constexpr size_t kClients[] = {1, 16, 128};
  constexpr size_t kJobsOfEach = 40;  // Within what the daemon takes at once.
  for (size_t i = 0; i < 2 * std::size(kClients); ++i) {
    const size_t num_clients = kClients[i % std::size(kClients)];
    const bool is_network = i >= std::size(kClients);
    const std::string name =
        fmt::format("submissions.{}c{}", is_network ? "curve." : "", num_clients);
    const std::string sync = name + ".fdatasync";
    if (!bench.is_wanted(name) && !bench.is_wanted(sync)) continue;
    const size_t num_jobs = std::max<size_t>(200, kJobsOfEach * num_clients);
    const auto speed = measure_submissions(num_clients, num_jobs, is_network);
    if (!speed) {
      fmt::print(stderr, "bench: {}\n", speed.error().message);
      return;
    }
    const std::string shape = fmt::format("{} clients, {} jobs", num_clients, num_jobs);
    const auto add_time = [&](const std::string& of, const std::vector<double>& sorted) {
      for (const size_t percentile : {50, 99}) {
        bench.add({fmt::format("{}.p{}", of, percentile), shape,
                   sorted[std::min(sorted.size() - 1, sorted.size() * percentile / 100)], 0, "ms",
                   0});
      }
    };
    bench.add({name, shape, static_cast<double>(num_jobs) / speed->seconds, 0, "jobs/s", 0});
    add_time(name, speed->latency_ms);
    add_time(sync, speed->sync_ms);
  }
}

// What those who watch a run cost the daemon, of the time of one core.
void bench_watching(Bench& bench) {
  for (const size_t num_watchers : {0, 1'000}) {
    const std::string name = fmt::format("watching.c{}", num_watchers);
    if (!bench.is_wanted(name)) continue;
    const auto speed = measure_watching(num_watchers);
    if (!speed) {
      fmt::print(stderr, "bench: {}\n", speed.error().message);
      return;
    }
    const std::string shape =
        fmt::format("{:.0f} steps, {:.0f} events", speed->steps, speed->num_events);
    bench.add({name, shape, 100 * speed->head_seconds / speed->seconds, 0, "%", 0});
  }
}

// Bytes between ranks: what each rank sends per second, and how much longer than the median the
// longest operation took.
void bench_collectives(Bench& bench) {
  struct Size {
    const char* name;
    int64_t bytes;
  };
  constexpr Size kSizes[] = {{"4kb", 4 << 10}, {"1mb", 1 << 20}, {"64mb", 64 << 20}};
  constexpr double kSecondsMax = 0.15;  // Of each; there are many.
  for (const std::string_view transport : {"loopback", "ipc", "tcp"}) {
    for (const int num_ranks : {2, 4}) {
      for (const Size& size : kSizes) {
        const std::string name =
            fmt::format("collective.all_to_all.{}.r{}.{}", transport, num_ranks, size.name);
        const std::string longest = name + ".longest";
        if (!bench.is_wanted(name) && !bench.is_wanted(longest)) continue;
        const auto seconds = measure_all_to_all(
            {.transport = transport, .num_ranks = num_ranks, .bytes = size.bytes}, kSecondsMax);
        if (!seconds) {
          fmt::print(stderr, "bench: {}\n", seconds.error().message);
          return;
        }
        const size_t count = seconds->size();
        const double median = (*seconds)[count / 2];
        const double spread = ((*seconds)[count * 3 / 4] - (*seconds)[count / 4]) / median;
        const std::string shape = fmt::format("{} turns of {:.4g} ms", count, median * 1e3);
        bench.add(
            {name, shape, static_cast<double>(size.bytes) / median * 1e-9, spread, "GB/s", 0});
        bench.add({longest, shape, seconds->back() / median, 0, "medians", 0});
      }
    }
  }
}

// Everything that is measured, in order: the limits come first.
constexpr void (*kBenchmarks[])(Bench&) = {
    bench_ceilings,   bench_products,    bench_attention, bench_policies,    bench_tokenizer,
    bench_checkpoint, bench_submissions, bench_watching,  bench_collectives,
};

struct BenchCommand {
  std::string only{};
  std::string device = "cpu";
  int threads = 1;
  bool is_json = false;
  bool shows_operations = false;
};

Status run_bench(const BenchCommand& command) {
  auto cpu = kernels::cpu_backend();
  if (!cpu) return cpu.error();
  auto device = kernels::device_backend(command.device, **cpu);
  if (!device) return invalid_argument("--device: " + device.error().message);
  const kernels::Backend& backend = *device->backend;
  Bench bench(backend, {.num_threads = command.threads,
                        .only = command.only,
                        .prints = !command.is_json,
                        .shows_operations = command.shows_operations});
  if (!command.is_json) {
    fmt::print("instruction set {}, arithmetic {}, threads {}\n", backend.name,
               backend.arithmetic_id, command.threads);
  }
  // Of a GPU: tokens per second of whole policies, whose ends wait for it. The limits of this
  // machine's processor are none of its, so that there is no bound beside them.
  if (&backend == *cpu) {
    for (const auto& benchmark : kBenchmarks) benchmark(bench);
  } else {
    bench_policies(bench);
  }
  if (bench.entries().empty()) return invalid_argument("nothing starts with " + command.only);
  if (!command.is_json) return ok();
  auto json = nlohmann::json::array();
  for (const Entry& entry : bench.entries()) {
    json.push_back({{"name", entry.name},
                    {"shape", entry.shape},
                    {"value", entry.value},
                    {"spread", entry.spread},
                    {"unit", entry.unit},
                    {"bound", entry.bound},
                    {"fraction", entry.fraction()}});
  }
  fmt::print("{}\n", to_text(json, {.indent = 1}));
  return ok();
}

}  // namespace

void add_bench(Command& program, int& exit_code) {
  Command command = program.add_command("bench", "Measure this machine and our kernels on it");
  auto state = std::make_shared<BenchCommand>();
  command.footer(
      "Each line: what was measured, its median, half the spread, and the part of its bound.\n"
      "  ceiling.*     this machine: multiply-adds, and reading from each level of memory\n"
      "  gemm.*        products by shape; bounded by multiply-adds and the operands' bytes\n"
      "  attention.*   one layer's attention\n"
      "  decode.*      a token for each of b sequences (per thread) behind ctx tokens\n"
      "  prefill.*     a prompt of 512 tokens     train.*  GRPO steps with AdamW\n"
      "  tokenizer.*   text to tokens of a byte pair vocabulary, and back\n"
      "  checkpoint.*  a recovery point to the folder for temporary files, synced, and back\n"
      "  submissions.* jobs accepted by a daemon from c clients that each wait for the answer, "
      "and\n"
      "                how long they wait, beside fdatasync of 4 KiB in the same folder; curve: "
      "over\n"
      "                the loopback network, each client with a key of its own\n"
      "  watching.*    processor time that a daemon needs, of one core, while the quickstart's "
      "job\n"
      "                runs and so many watch it over the loopback network\n"
      "  collective.*  an all_to_all of r ranks that each send so many bytes to all others "
      "together:\n"
      "                what a rank sends per second, and the longest turn in medians; ranks are\n"
      "                threads, and tcp is with CURVE\n"
      "bench-llama and bench-moe are policies of 34 and 40 million weights, 8 layers of width\n"
      "512, dense and with 16 experts of which 4; bench-135m has the shape of SmolLM2-135M.\n"
      "Their bound is the slower of two: all multiply-adds at the ceiling of the instruction set\n"
      "(amx, dot or chain), and all weights of the experts asked and all keys and values read\n"
      "once at ceiling.read.l3 (ceiling.read.memory where the third cache cannot hold them).\n"
      "Examples:\n"
      "  troupe bench --only gemm.\n"
      "  troupe bench --only decode.bench-moe.b64.ctx192 --threads 2 --operations");
  command.add_option("--only", state->only, "Only what starts so, e.g. ceiling. or gemm.forward");
  command
      .add_option("--device", state->device,
                  "cpu; cuda: policies on a GPU; auto: on one where there is one")
      .show_default();
  command.add_option("--threads", state->threads, "Threads that work at the same time")
      .range(1, 1024)
      .show_default();
  command.add_flag("--json", state->is_json, "One JSON array instead of a table");
  command.add_flag("--operations", state->shows_operations,
                   "Also the share of each operation in a policy's time");
  command.callback([state, &exit_code] {
    const Status status = run_bench(*state);
    exit_code = status ? 0 : report("bench", status.error());
  });
}

}  // namespace troupe::cluster
