#include "actors/verifier/sandbox/box.h"

#include <utility>

#include "actors/verifier/sandbox/box_state.h"
#include "schemas/check.h"

namespace troupe::actors {

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
  sandbox::kill_process(state_->running.process);
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

}  // namespace troupe::actors
