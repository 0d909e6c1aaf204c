#include "cluster/dashboard/board_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <nlohmann/json.hpp>

namespace troupe::cluster {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kEventsTold = 100;
constexpr size_t kWorkersTold = 512;
constexpr std::ptrdiff_t kWorkTold = 1'000;
constexpr size_t kTracesTold = 8;
constexpr size_t kPromptBytesTold = 400;

// What JSON has no number for is nothing.
Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json ledger_json(const Ledger& ledger) {
  return {{"tokens_generated", ledger.tokens_generated},
          {"tokens_regenerated", ledger.tokens_regenerated},
          {"tokens_learned", ledger.tokens_learned},
          {"trajectories_generated", ledger.trajectories_generated},
          {"trajectories_learned", ledger.trajectories_learned},
          {"trajectories_dropped", ledger.trajectories_dropped},
          {"verdicts", ledger.verdicts},
          {"steps_redone", ledger.steps_redone},
          {"workers_lost", ledger.workers_lost},
          {"rollout_seconds", ledger.rollout_seconds},
          {"verifier_seconds", ledger.verifier_seconds},
          {"learner_seconds", ledger.learner_seconds},
          {"wasted_seconds", ledger.wasted_seconds},
          {"money", ledger.money}};
}

Json evaluation_json(const EvalMetrics& evaluation) {
  const auto [low, high] = wilson_interval_95(evaluation.solved, evaluation.problems);
  return {{"version", number(evaluation.version)},
          {"pass_at_1", evaluation.pass_at_1()},
          {"low", low},
          {"high", high},
          {"solved", evaluation.solved},
          {"problems", evaluation.problems},
          {"temperature", evaluation.temperature}};
}

Json workers_json(const RunBoard& board, const RunSample& sample) {
  Json workers = Json::array();
  for (const WorkerStatus& worker : sample.workers) {
    if (workers.size() == kWorkersTold) break;
    const auto rate = board.pace().by_slot.find(worker.slot);
    workers.push_back(
        {{"slot", worker.slot},
         {"roles", worker.roles},
         {"activity", worker.activity},
         {"is_ready", worker.is_ready},
         {"rank", worker.rank},
         {"num_ranks", worker.num_ranks},
         {"tokens_per_second",
          rate == board.pace().by_slot.end() ? Json(nullptr) : finite(rate->second)}});
  }
  return workers;
}

Json sample_json(const RunBoard& board, const RunSample& sample) {
  return {{"who_waits", who_waits(sample)},
          {"queue",
           {{"waiting", sample.groups_waiting},
            {"generating", sample.groups_generating},
            {"judging", sample.groups_judging},
            {"committing", sample.groups_committing},
            {"learning", sample.steps_learning}}},
          {"busy",
           {{"rollout", finite(sample.rollout_busy_share)},
            {"verifier", finite(sample.verifier_busy_share)},
            {"learner", finite(sample.learner_busy_share)}}},
          {"verdicts_per_second", finite(sample.verdicts_per_second)},
          {"rollout_tokens_per_second",
           {{"mean", finite(board.pace().mean)},
            {"worst", finite(board.pace().worst)},
            {"worst_slot", board.pace().worst_slot},
            {"workers", board.pace().num_workers}}},
          {"workers", workers_json(board, sample)},
          {"num_workers", sample.workers.size()}};
}

}  // namespace

Json to_json(const HostSummary& host) {
  Json tenants = Json::array();
  for (const HostTenant& one : host.tenants) {
    tenants.push_back({{"job", one.job},
                       {"learner", one.learner},
                       {"rollout", one.rollout},
                       {"lent", one.lent},
                       {"verifier", one.verifier}});
  }
  return {{"name", host.name},
          {"state", host.state},
          {"away_seconds", host.away_seconds},
          {"slots", host.slots},
          {"used", host.used},
          {"lent", host.lent},
          {"is_elastic", host.is_elastic},
          {"tenants", std::move(tenants)},
          {"disk_free_bytes", host.disk_free_bytes}};
}

Json to_json(const RunBoard& board) {
  const RunState& state = board.state();
  Json json{{"name", state.name},
            {"parameters", state.num_parameters},
            {"started", state.started},
            {"activity", state.activity},
            {"activity_done", state.activity_done},
            {"activity_total", state.activity_total},
            {"end_state", state.end_state},
            {"rollout_tokens_per_second", finite(state.rollout_tokens_per_second)},
            {"learner_tokens_per_second", finite(state.learner_tokens_per_second)},
            {"ledger", ledger_json(state.ledger)},
            {"is_last_stage", state.is_last_stage()}};
  json["step"] = nullptr;
  if (state.step) {
    const StepMetrics& step = *state.step;
    json["step"] = {{"stage", step.stage == Stage::kSft ? "sft" : "grpo"},
                    {"version", number(step.version)},
                    {"stage_step", step.stage_step},
                    {"stage_steps", step.stage_steps},
                    {"round", number(step.round)},
                    {"loss", finite(step.loss)},
                    {"reward", finite(step.reward_mean)},
                    {"verdicts", step.verdicts}};
  }
  const auto left = state.stage_seconds_left();
  json["stage_seconds_left"] = left ? finite(*left) : Json(nullptr);
  json["first_evaluation"] =
      state.first_evaluation ? evaluation_json(*state.first_evaluation) : Json(nullptr);
  json["evaluation"] = state.evaluation ? evaluation_json(*state.evaluation) : Json(nullptr);
  json["cost_per_solved"] =
      state.evaluation && state.evaluation->solved > 0
          ? finite(state.ledger.money / static_cast<double>(state.evaluation->solved))
          : Json(nullptr);
  json["sample"] = state.latest ? sample_json(board, *state.latest) : Json(nullptr);
  Json traces = Json::array();
  for (const Trace& trace : board.traces()) {
    if (traces.size() == kTracesTold) break;
    traces.push_back({{"prompt", trace.prompt},
                      {"response", trace.response},
                      {"gold", trace.gold},
                      {"is_solved", trace.is_solved}});
  }
  json["traces"] = std::move(traces);
  Json events = Json::array();
  const size_t skipped = board.events().size() - std::min(kEventsTold, board.events().size());
  for (size_t i = skipped; i < board.events().size(); ++i) {
    const RunBoard::Event& event = board.events()[i];
    events.push_back({{"sequence", event.sequence}, {"time", event.time}, {"text", event.text}});
  }
  json["events"] = std::move(events);
  json["curves"] = {{"steps", board.steps().names()},
                    {"evaluations", board.evaluations().names()},
                    {"samples", board.samples().names()}};
  return json;
}

Json to_json(const CurvePoints& points) {
  Json curves = Json::object();
  for (const auto& [name, values] : points.curves) {
    Json list = Json::array();
    for (const float value : values) {
      // Nine digits would be more than anybody sees, and twice the bytes.
      list.push_back(std::isfinite(value)
                         ? Json(std::stod(fmt::format("{:.5g}", static_cast<double>(value))))
                         : Json(nullptr));
    }
    curves[name] = std::move(list);
  }
  Json times = Json::array();
  for (const double time : points.time) times.push_back(std::round(time * 10) / 10);
  return {{"x", points.x},
          {"time", std::move(times)},
          {"curves", std::move(curves)},
          {"from", points.from},
          {"generation", points.cursor.generation},
          {"bucket", points.cursor.bucket},
          {"next", points.cursor.next}};
}

Json work_json(const RunBoard& board, double since) {
  const auto& work = board.work();
  auto first = std::find_if(work.begin(), work.end(),
                            [since](const PieceOfWork& piece) { return piece.end > since; });
  if (work.end() - first > kWorkTold) first = work.end() - kWorkTold;
  Json pieces = Json::array();
  for (; first != work.end(); ++first) {
    pieces.push_back({{"slot", first->slot},
                      {"role", first->role},
                      {"what", first->what},
                      {"round", first->round ? Json(*first->round) : Json(nullptr)},
                      {"start", first->start},
                      {"end", first->end}});
  }
  return {{"work", std::move(pieces)}};
}

Json to_json(const std::vector<ProblemAnswers>& problems) {
  Json all = Json::array();
  for (const ProblemAnswers& problem : problems) {
    Json answers = Json::array();
    for (const auto& answer : problem.answers) {
      answers.push_back({{"version", answer.version},
                         {"response", answer.response},
                         {"is_solved", answer.is_solved}});
    }
    all.push_back(
        {{"prompt", problem.prompt}, {"gold", problem.gold}, {"answers", std::move(answers)}});
  }
  return {{"problems", std::move(all)}};
}

Json overview_of(const std::vector<nlohmann::json>& groups) {
  Json all = Json::array();
  for (const nlohmann::json& group : groups) {
    Json samples = Json::array();
    for (const nlohmann::json& sample : group.at("samples")) {
      if (!sample.is_object()) continue;
      Json parts = Json::array();
      for (const nlohmann::json& part : sample.value("parts", nlohmann::json::array())) {
        if (!part.is_object()) continue;
        parts.push_back({{"name", part.value("name", nlohmann::json())},
                         {"kind", part.value("kind", nlohmann::json())},
                         {"value", part.value("value", nlohmann::json())}});
      }
      double sum = 0;
      int64_t count = 0;
      const nlohmann::json logprobs = sample.value("logprobs", nlohmann::json::array());
      for (const nlohmann::json& one : logprobs) {
        if (!one.is_number()) continue;
        sum += one.get<double>();
        ++count;
      }
      samples.push_back({{"sample", sample.value("sample", nlohmann::json())},
                         {"reward", sample.value("reward", nlohmann::json())},
                         {"length", sample.value("length", nlohmann::json())},
                         {"is_cut", sample.value("is_cut", nlohmann::json())},
                         {"surprise", count == 0 ? 0.0 : -sum / static_cast<double>(count)},
                         {"parts", std::move(parts)}});
    }
    const nlohmann::json prompt = group.value("prompt", nlohmann::json());
    all.push_back({{"ordinal", group.value("ordinal", nlohmann::json())},
                   {"prompt", prompt.is_string()
                                  ? prompt.get_ref<const std::string&>().substr(0, kPromptBytesTold)
                                  : std::string()},
                   {"gold", group.value("gold", nlohmann::json())},
                   {"samples", std::move(samples)}});
  }
  return all;
}

}  // namespace troupe::cluster
