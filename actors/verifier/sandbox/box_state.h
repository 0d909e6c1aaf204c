// What a Box holds, for the two files that touch it.
#pragma once

#include <atomic>
#include <memory>

#include "actors/verifier/sandbox/box.h"
#include "actors/verifier/sandbox/engine.h"

namespace troupe::actors {

struct Box::State {
  std::shared_ptr<sandbox::Engine> engine;
  sandbox::Running running{};
  std::atomic<bool> is_killed = false;
  bool has_ended = false;
};

}  // namespace troupe::actors
