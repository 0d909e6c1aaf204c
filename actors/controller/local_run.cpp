#include "actors/controller/local_run.h"

#include <deque>

#include "actors/controller/controller.h"
#include "actors/crew/step_plan.h"
#include "actors/job/checkpoints.h"
#include "actors/job/prepared_job.h"
#include "actors/rollout/rollout_role.h"
#include "actors/verifier/verifier_role.h"
#include "schemas/check.h"
#include "schemas/monotonic_clock.h"

namespace troupe::actors {
namespace {

// Does what the controller says as soon as it says it.
class LocalRun {
 public:
  LocalRun(const PreparedJob& prepared, const LocalRunOptions& options, VerifierRole& verifier,
           MetricsSink& sink)
      : job_(prepared.job),
        options_(options),
        verifier_(verifier),
        checkpoints_(options.home, 1),
        controller_(prepared.job, prepared.data, {},
                    {.job_id = 1, .epoch = 1, .saves_points = !options.home.empty()}, sink) {}

  Result<RunOutcome> run(LearnerRole& learner, RolloutRole& rollout) {
    const double began = monotonic_seconds();
    controller_.learner_ready(learner.version(), began);
    std::optional<command::End> end;
    std::deque<ControllerCommand> queue;
    while (!end) {
      if (options_.is_interrupted()) controller_.stop(JobState::kPaused, monotonic_seconds());
      for (auto& one : controller_.take_commands()) queue.push_back(std::move(one));
      TROUPE_CHECK(!queue.empty());  // Somebody always has something to do.
      const ControllerCommand next = std::move(queue.front());
      queue.pop_front();
      Status status = ok();
      if (const auto* learn = std::get_if<command::Learn>(&next)) {
        status = this->learn(learner, learn->step);
      } else if (const auto* generate = std::get_if<command::Generate>(&next)) {
        status = rollout.generate(
            generate->groups, job_.seed,
            {.send =
                 [&](GroupsGenerated generated) {
                   controller_.groups_generated(generated, monotonic_seconds());
                 },
             .progressed = [&](int64_t, int64_t) { return !options_.is_interrupted(); }});
      } else if (const auto* judge = std::get_if<command::Judge>(&next)) {
        controller_.groups_judged(verifier_.judge({.groups = {judge->group}}), monotonic_seconds());
      } else if (const auto* save = std::get_if<command::SavePoint>(&next)) {
        status = save_point(learner, save->version);
      } else if (const auto* commit = std::get_if<command::Commit>(&next)) {
        // Nothing is ever read again: no round begins twice and no learner is lost.
        controller_.committed(commit->ticket, monotonic_seconds());
      } else if (const auto* load = std::get_if<command::LoadRound>(&next)) {
        controller_.round_loaded(load->round, {}, monotonic_seconds());
      } else if (const auto* forget = std::get_if<command::ForgetPoint>(&next)) {
        checkpoints_.forget(forget->point);
      } else if (const auto* keep = std::get_if<command::KeepBest>(&next)) {
        status = checkpoints_.keep_best(keep->point);
      } else if (const auto* ended = std::get_if<command::End>(&next)) {
        end = *ended;
      }
      if (!status) controller_.fail(status.error());
    }
    if (end->state == JobState::kFailed) return end->error;
    auto weights_sha256 = learner.weights_sha256();
    if (!weights_sha256) return weights_sha256.error();
    RunOutcome outcome{.state = end->state,
                       .steps = static_cast<int64_t>(number(controller_.version())),
                       .weights_sha256 = std::move(*weights_sha256),
                       .ledger = controller_.ledger(),
                       .seconds = monotonic_seconds() - began};
    for (const auto& evaluation : controller_.evaluations()) {
      if (!evaluation.is_gate) outcome.evaluations.push_back(evaluation);
    }
    if (const auto point = controller_.start_point()) {
      outcome.checkpoint = checkpoints_.path(*point);
    }
    return outcome;
  }

 private:
  Status learn(LearnerRole& learner, const LearnStep& step) {
    const auto shares = plan_step(job_, step, 1);
    if (!shares) return shares.error();
    const auto learned = learner.learn(shares->front());
    if (!learned) return learned.error();
    controller_.step_learned(*learned, monotonic_seconds());
    return ok();
  }

  Status save_point(LearnerRole& learner, PolicyVersion version) {
    const auto written = learner.save({version, checkpoints_.begin(version)});
    if (!written) return written.error();
    const auto point = checkpoints_.finish(*written, 1);
    if (!point) return point.error();
    controller_.point_saved(*point, written->core_seconds, monotonic_seconds());
    return ok();
  }

  const JobSpec& job_;
  const LocalRunOptions& options_;
  VerifierRole& verifier_;
  Checkpoints checkpoints_;
  Controller controller_;
};

}  // namespace

Result<RunOutcome> run_local(const kernels::Backend& backend, const JobSpec& job,
                             const LocalRunOptions& options, MetricsSink& sink) {
  auto prepared = prepare_job(backend, job, std::vector<TrustedProgram>{});
  if (!prepared) return prepared.error();
  const Lease lease{.roles = {.rollout = true, .learner = true, .verifier = true},
                    .rollout_threads = static_cast<uint32_t>(rollout_threads(job)),
                    .learner_threads = static_cast<uint32_t>(learner_threads(job)),
                    .job = job,
                    .context_max = prepared->context_max};
  auto learner = LearnerRole::create(backend, lease);
  if (!learner) return learner.error();
  auto rollout = RolloutRole::create(backend, lease, learner->get());
  if (!rollout) return rollout.error();
  auto verifier = VerifierRole::create(job.rewards, {.threads = verifier_threads(job)});
  if (!verifier) return verifier.error();
  const auto ready = (*learner)->ready();
  if (!ready) return ready.error();
  sink.run_started(job, ready->weights_sha256, ready->num_parameters);
  for (const auto& note : prepared->data.notes) sink.noted(note);
  auto outcome = LocalRun(*prepared, options, **verifier, sink).run(**learner, **rollout);
  if (outcome) {
    sink.run_ended(outcome->ledger, outcome->state == JobState::kPaused ? "stopped" : "finished",
                   outcome->weights_sha256);
  }
  return outcome;
}

}  // namespace troupe::actors
