#include "actors/verifier/sandbox/box.h"

#include <atomic>
#include <utility>

#include "actors/verifier/sandbox/engine.h"
#include "schemas/check.h"

namespace troupe::actors {

struct Box::State {
  std::shared_ptr<sandbox::Engine> engine;
  sandbox::Running running{};
  std::atomic<bool> is_killed = false;
  bool has_ended = false;
};

Box::Box(std::unique_ptr<State> state) : state_(std::move(state)) {}
Box::Box(Box&&) noexcept = default;
Box& Box::operator=(Box&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

Box::~Box() {
  if (state_ == nullptr || state_->has_ended) return;
  kill();
  wait();
}

void Box::kill() {
  state_->is_killed = true;
  // Its death wakes wait().
  sandbox::kill_process(state_->running.inside);
}

BoxResult Box::wait() {
  TROUPE_CHECK(!state_->has_ended);
  state_->has_ended = true;
  return sandbox::follow(state_->running, state_->engine, state_->is_killed);
}

const char* name(BoxEnd end) {
  switch (end) {
    case BoxEnd::kExited:
      return "exited";
    case BoxEnd::kSignalled:
      return "signalled";
    case BoxEnd::kCpuLimit:
      return "cpu_limit";
    case BoxEnd::kWallLimit:
      return "wall_limit";
    case BoxEnd::kMemoryLimit:
      return "memory_limit";
    case BoxEnd::kOutputLimit:
      return "output_limit";
    case BoxEnd::kKilled:
      return "killed";
    case BoxEnd::kStarved:
      return "starved";
    case BoxEnd::kFailed:
      return "failed";
  }
  return "?";
}

const char* name(BoxLevel level) {
  switch (level) {
    case BoxLevel::kNone:
      return "none";
    case BoxLevel::kNamespacesOnly:
      return "namespaces_only";
    case BoxLevel::kFull:
      return "full";
  }
  return "?";
}

struct Sandbox::State {
  std::shared_ptr<sandbox::Engine> engine;
  BoxLevel level = BoxLevel::kNone;
};

Sandbox::Sandbox(std::unique_ptr<State> state) : state_(std::move(state)) {}
Sandbox::~Sandbox() = default;

Result<std::unique_ptr<Sandbox>> Sandbox::open(BoxLevel required) {
  auto home = sandbox::find_cgroup_home(sandbox::read_small("/proc/self/mountinfo"),
                                        sandbox::read_small("/proc/self/cgroup"));
  auto engine = sandbox::Engine::create(std::move(home), {});
  if (!engine) return engine.error();
  auto state = std::make_unique<State>(State{*engine, required});
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
