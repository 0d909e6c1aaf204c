#include <fcntl.h>
#include <fmt/format.h>

#include <utility>

#include "actors/verifier/sandbox/box_state.h"

namespace troupe::actors {

struct Sandbox::State {
  std::shared_ptr<sandbox::Engine> engine;
  BoxLevel level = BoxLevel::kNone;
};

Sandbox::Sandbox(std::unique_ptr<State> state) : state_(std::move(state)) {}
Sandbox::~Sandbox() = default;

Result<std::unique_ptr<Sandbox>> Sandbox::open(BoxLevel required) {
  const BoxSupport support = probe_box_support();
  if (support.level < required) {
    std::string missing;
    for (const BoxFinding& finding : support.findings) {
      if (finding.is_there) continue;
      missing +=
          fmt::format("{}{} ({})", missing.empty() ? "" : "; ", finding.part, finding.detail);
    }
    return Error{.message = fmt::format("this machine's boxes reach level {}, not {}; missing: {}",
                                        name(support.level), name(required), missing)};
  }
  auto engine = sandbox::Engine::create();
  if (!engine) return engine.error();
  auto state = std::make_unique<State>(State{std::move(*engine), support.level});
  return std::unique_ptr<Sandbox>(new Sandbox(std::move(state)));
}

Result<Box> Sandbox::start(const BoxProgram& program) {
  auto running = state_->engine->start(program);
  if (!running) return running.error();
  auto state = std::make_unique<Box::State>();
  state->engine = state_->engine;
  state->running = std::move(*running);
  return Box(std::move(state));
}

BoxResult Sandbox::run(const BoxProgram& program) {
  auto box = start(program);
  if (box) return box->wait();
  return BoxResult{.end = BoxEnd::kFailed, .reason = box.error().message};
}

BoxLevel Sandbox::level() const { return state_->level; }

}  // namespace troupe::actors
