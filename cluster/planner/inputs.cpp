#include "cluster/planner/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/random.h"
#include "model/formats/hf_config.h"
#include "schemas/nearest.h"

namespace troupe::cluster {
namespace {

constexpr double kTera = 1e12, kGiga = 1e9, kMicro = 1e-6, kMilli = 1e-3;

class InputDraw {
 public:
  InputDraw(uint64_t seed, uint64_t draw, DrawnInputs& to) : seed_(seed), draw_(draw), to_(to) {}

  double operator()(const char* name, const Uncertain& value) {
    if (value.spread <= 0) return value.median;
    double deviation = 0;
    if (draw_ != 0) {
      // A stream for each name, so that one more does not move the others.
      uint32_t tag = 2166136261u;  // FNV-1a.
      for (const char* c = name; *c != 0; ++c) {
        tag = (tag ^ static_cast<unsigned char>(*c)) * 16777619u;
      }
      const kernels::RandomStream random(seed_, kernels::StreamId::kPlan, draw_,
                                         tag & kernels::RandomStream::kBMax);
      deviation = normal_quantile(std::clamp(random.uniform_at(0), 1e-12, 1 - 1e-12));
    }
    to_.names.emplace_back(name);
    to_.deviations.push_back(deviation);
    return value.median * std::exp(value.spread * deviation);
  }

 private:
  const uint64_t seed_, draw_;
  DrawnInputs& to_;
};

Result<ModelTable> find_model(const JobSpec& job, const PlannerTables& tables) {
  if (!job.policy.model.empty()) {
    auto config = model::load_hf_config(job.policy.model);
    if (!config) return config.error();
    return ModelTable{.config = *std::move(config)};
  }
  if (const auto found = tables.models.find(job.policy.config); found != tables.models.end()) {
    return found->second;
  }
  if (auto config = model::named_config(job.policy.config)) {
    return ModelTable{.config = *std::move(config)};
  }
  std::vector<std::string> known{"tiny-moe", "small-moe"};
  for (const auto& [name, table] : tables.models) known.push_back(name);
  return invalid_argument(
      fmt::format("policy.config: {}", no_such_table(job.policy.config, known, "model").message));
}

}  // namespace

double PlanSubject::price_per_hour() const {
  // What the job says, where it says something.
  const PricesSpec usual;
  if (cluster.device_name == "cpu") return job.prices.cpu_core_hour;
  return job.prices.gpu_hour != usual.gpu_hour ? job.prices.gpu_hour
                                               : cluster.device.price_per_hour;
}

Result<PlanSubject> find_subject(const JobSpec& job, const std::string& cluster,
                                 const std::string& engine, const std::string& lengths,
                                 const PlannerTables& tables) {
  PlanSubject subject{.job = job, .operations = tables.operations};
  auto planned = parse_cluster(cluster, tables);
  if (!planned) return planned.error();
  subject.cluster = *std::move(planned);
  auto model = find_model(job, tables);
  if (!model) return model.error();
  subject.config = model->config;
  subject.engine_name = engine;
  if (engine.empty()) {
    const bool is_cpu = subject.cluster.device_name == "cpu";
    subject.engine_name = is_cpu ? "troupe-cpu" : model->engine.empty() ? "troupe" : model->engine;
  }
  auto found = find_table(tables.engines, subject.engine_name, "engine");
  if (!found) return invalid_argument("--engine: " + found.error().message);
  subject.engine = *std::move(found);
  // The device may lack what the engine uses.
  if (subject.engine.precision == "fp8" && !subject.cluster.device.has_fp8) {
    subject.engine.precision = "bf16";
  }
  const bool is_named = lengths.empty() && tables.lengths.count(job.name) > 0;
  subject.lengths_are_assumed = lengths.empty() && !is_named;
  auto course = find_lengths(is_named ? job.name : lengths.empty() ? "assumed" : lengths, tables);
  if (!course) return course.error();
  subject.lengths = *std::move(course);
  LengthTable& l = subject.lengths;
  const auto limit = static_cast<double>(job.rollout.max_response_tokens);
  for (auto& [step, value] : l.limit_by_step) value = value > 0 ? std::min(value, limit) : limit;
  for (auto& [step, value] : l.mean_by_step) value = value > 0 ? value : limit / 4;
  if (l.prompt_tokens == 0) l.prompt_tokens = std::max<int64_t>(1, job.data.max_prompt_tokens / 2);
  return subject;
}

DrawnInputs draw_inputs(const PlanSubject& subject, uint64_t seed, uint64_t draw_number) {
  DrawnInputs drawn;
  InputDraw draw(seed, draw_number, drawn);
  const DeviceTable& d = subject.cluster.device;
  const NetworkTable& n = subject.cluster.network;
  const EngineTable& e = subject.engine;
  const OperationsTable& o = subject.operations;
  CostInputs& c = drawn.costs;
  c.policy = count_policy(subject.config);
  const bool is_fp8 = e.precision == "fp8", is_fp32 = e.precision == "fp32";
  c.weight_bytes = is_fp8 ? 1 : is_fp32 ? 4 : 2;
  c.head_bytes = c.cache_value_bytes = is_fp32 ? 4 : 2;
  c.learner_is_latent = e.learner_attention == "latent";

  const double factor = draw("decode_factor", e.decode_factor);
  c.attention_flops = d.attention_tflops * kTera;
  c.attention_bytes = d.attention_tbps * kTera;
  c.gemm_flops = draw("gemm_TFLOPS", is_fp8 ? d.gemm_tflops : d.gemm_bf16_tflops) * kTera;
  c.weights_bytes = draw("weights_TBps", d.weights_tbps) * kTera / factor;
  c.step_overhead = draw("step_overhead_ms", d.step_overhead_ms) * kMilli * factor;
  c.layer_token = draw("layer_token_us", d.layer_token_us) * kMicro;
  c.tokens_computed = static_cast<double>(e.tokens_computed);
  c.tokens_gained = std::min(draw("tokens_gained", e.tokens_gained),
                             e.tokens_computed == 1 ? 1 : c.tokens_computed - 0.05);
  // Twice the bytes on the way to the experts, and the same on the way back.
  const double scale = draw("exchange_scale", n.exchange_scale) * factor * (is_fp8 ? 1 : 1.15);
  c.exchange_log2_devices.clear();
  c.exchange_seconds.clear();
  for (size_t i = 0; i < n.exchange_devices.size(); ++i) {
    c.exchange_log2_devices.push_back(std::log2(n.exchange_devices[i]));
    c.exchange_seconds.push_back((n.dispatch_us[i] + n.combine_us[i]) * kMicro * scale);
  }
  c.exchange_floor = draw("exchange_floor_us", n.exchange_floor_us) * kMicro * factor;
  c.reduce_floor = draw("reduce_us", n.reduce_us) * kMicro * factor;
  c.reduce_bytes = n.reduce_gbps * kGiga;

  c.prefill_flops =
      draw("prefill_TFLOPS", is_fp8 ? d.prefill_tflops : d.prefill_bf16_tflops) * kTera;
  const double train = (is_fp8 ? d.train_tflops : d.train_bf16_tflops) * kTera;
  c.train_flops = train * draw("train_share", e.train_share);
  c.sft_flops = train * draw("sft_share", e.sft_share);
  c.optimizer_seconds = d.optimizer_seconds;

  c.publish_bytes = draw("publish_GBps", n.publish_gbps) * kGiga;
  c.load_bytes = draw("load_GBps", d.load_gbps) * kGiga;
  c.offload_bytes = draw("offload_GBps", d.offload_gbps) * kGiga;
  c.storage_bytes = n.storage_gbps * kGiga * static_cast<double>(subject.cluster.nodes) *
                    std::min(1.0, draw("storage_share", n.storage_share));
  const double math = draw("math_verdict_seconds", o.math_verdict_seconds);
  const double code = draw("code_verdict_seconds", o.code_verdict_seconds);
  const double program = draw("program_verdict_seconds", o.program_verdict_seconds);
  for (const RewardSpec& reward : subject.job.rewards) {
    const double seconds = reward.verifier == "code"      ? code
                           : reward.verifier == "program" ? program
                                                          : math;
    c.last_verdict = std::max(c.last_verdict, seconds);
  }
  c.restart_seconds = draw("restart_seconds", o.restart_seconds);
  c.move_seconds = o.move_seconds;
  c.mtbf_seconds = draw("mtbf_hours", d.mtbf_hours) * 3600;

  const LengthTable& l = subject.lengths;
  LengthCourse& course = drawn.lengths;
  course.mean_by_step = l.mean_by_step;
  course.limit_by_step = l.limit_by_step;
  course.prompt_tokens = static_cast<double>(l.prompt_tokens);
  course.sigma = draw("length_sigma", l.sigma);
  course.within_share = std::min(0.9, draw("within_share", l.within_share));
  course.runaway = std::min(0.02, draw("runaway", l.runaway));
  course.mean_scale = draw("mean_length", l.mean_scale);
  course.late_from_step = l.late_from_step;
  course.late_scale = draw("late_length", l.late_scale);
  return drawn;
}

}  // namespace troupe::cluster
