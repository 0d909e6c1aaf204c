#include "actors/crew/slots.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "schemas/check.h"

namespace troupe::actors {
namespace {

std::string exit_text(const ProcessEnd& end) {
  if (end.signal != 0) return fmt::format("killed by signal {}", end.signal);
  return end.exit_code < 0 ? "it has ended" : fmt::format("exited with code {}", end.exit_code);
}

// A process that somebody else has ended: by a signal that no program raises at its own fault, or
// because it lost the head, which is the only reason to leave with code 0. Of one that an earlier
// head started, nobody knows; the next one at the same work is our own.
bool is_ended_from_outside(const ProcessEnd& end) {
  constexpr int kSignals[] = {SIGKILL, SIGTERM, SIGINT, SIGHUP, SIGQUIT};
  if (end.signal == 0) return end.exit_code <= 0;
  return std::find(std::begin(kSignals), std::end(kSignals), end.signal) != std::end(kSignals);
}

}  // namespace

Slots::Slots(const std::vector<SlotPlan>& plans, PoolOptions options, PoolOutbox& outbox)
    : options_(std::move(options)), outbox_(outbox), next_epoch_(options_.first_epoch) {
  for (const SlotPlan& plan : plans) {
    slots_.emplace_back();
    slots_.back().roles = plan.roles;
    slots_.back().is_placed = plan.is_placed;
    slots_.back().host = plan.host;
  }
}

std::string Slots::title(uint32_t index) const {
  const Slot& slot = slots_[index];
  const std::string where = slot.host.empty() ? "" : " of host " + slot.host;
  return worker_title(index, slot.roles) + where;
}

void Slots::start(double now, const std::vector<Survivor>& survivors) {
  for (const Survivor& one : survivors) {
    const bool is_wanted = one.slot < slots_.size() && slots_[one.slot].state == State::kDown &&
                           slots_[one.slot].is_placed &&
                           (one.is_kept || !slots_[one.slot].roles.learner);
    if (!is_wanted) {
      outbox_.add(pool::Kill{one.slot, one.pid});
      continue;
    }
    Slot& slot = slots_[one.slot];
    slot.state = State::kStarting;
    slot.is_survivor = true;
    slot.since = slot.heard = now;
    slot.epoch = next_epoch_++;
    slot.pid = one.pid;
    slot.token = one.token;
  }
  for (uint32_t i = 0; i < num_slots(); ++i) {
    if (slots_[i].state == State::kDown && slots_[i].is_placed) start_process(i, now);
  }
}

std::optional<SlotLost> Slots::leave_place(uint32_t index, double now) {
  Slot& slot = slots_[index];
  if (!std::exchange(slot.is_placed, false)) return std::nullopt;
  slot.last_loss.clear();
  slot.losses_in_a_row = 0;
  if (slot.state == State::kDown) return std::nullopt;
  if (slot.state == State::kStarting && slot.pid == 0) {
    slot.is_unwanted = true;
    return std::nullopt;
  }
  return lose(index, Loss::kTeam, "its place is given up", now);
}

// Nobody is on the way any more to where the slot was.
void Slots::start_again(uint32_t index, double now) {
  Slot& slot = slots_[index];
  slot.is_unwanted = false;
  slot.state = State::kDown;
  slot.since = now;
  slot.epoch = 0;
  if (slot.is_placed && !is_shut_down_) start_process(index, now);
}

void Slots::take_place(uint32_t index, const std::string& host, double now) {
  Slot& slot = slots_[index];
  if (is_shut_down_ || std::exchange(slot.is_placed, true)) return;
  slot.host = host;
  if (slot.state == State::kDown) start_process(index, now);
}

void Slots::start_process(uint32_t index, double now) {
  Slot& slot = slots_[index];
  TROUPE_CHECK(slot.state == State::kDown);
  slot.state = State::kStarting;
  slot.since = slot.heard = now;
  slot.disconnected_at.reset();
  slot.epoch = next_epoch_++;
  slot.pid = 0;
  slot.token.clear();
  outbox_.add(pool::Start{index});
}

void Slots::started(uint32_t index, std::string token, uint64_t pid, double now) {
  Slot& slot = slots_[index];
  if (slot.state != State::kStarting || slot.is_unwanted) {
    outbox_.add(pool::Kill{index, pid});
    if (slot.is_unwanted) start_again(index, now);
    return;
  }
  slot.token = std::move(token);
  slot.pid = pid;
  slot.since = now;
}

std::optional<SlotLost> Slots::start_failed(uint32_t index, const std::string& reason, double now) {
  if (slots_[index].state != State::kStarting) return std::nullopt;
  if (slots_[index].is_unwanted) {
    start_again(index, now);
    return std::nullopt;
  }
  return lose(index, Loss::kFault, "cannot be started: " + reason, now);
}

std::optional<uint64_t> Slots::hello(const Hello& hello, double now) {
  if (hello.slot >= slots_.size()) return std::nullopt;
  Slot& slot = slots_[hello.slot];
  if (slot.state != State::kStarting || slot.token.empty() || hello.token != slot.token) {
    return std::nullopt;
  }
  // A verdict is a function of texts, whatever the verifier's processor.
  if ((slot.roles.learner || slot.roles.rollout) && hello.arithmetic_id != options_.arithmetic_id) {
    outbox_.give_up(
        JobState::kFailed,
        fmt::format("{} computes with arithmetic {}, the job was begun with {}; they are never "
                    "mixed in one history",
                    title(hello.slot), hello.arithmetic_id, options_.arithmetic_id));
    return std::nullopt;
  }
  slot.state = State::kLeasing;
  slot.since = slot.heard = now;
  return slot.epoch;
}

bool Slots::heard(uint32_t index, uint64_t epoch, double now) {
  if (index >= slots_.size()) return false;
  Slot& slot = slots_[index];
  if (slot.state == State::kDown || slot.state == State::kStarting || epoch != slot.epoch) {
    return false;
  }
  slot.heard = now;
  return true;
}

void Slots::goes_on(uint32_t index, double now) {
  if (slots_[index].state == State::kLeasing) slots_[index].since = now;
}

bool Slots::ready(uint32_t index, double now) {
  Slot& slot = slots_[index];
  if (slot.state != State::kLeasing) return false;
  slot.state = State::kReady;
  slot.since = now;
  if (!slot.last_loss.empty()) outbox_.note(title(index) + " is back");
  slot.last_loss.clear();
  return true;
}

void Slots::disconnected(uint32_t index, uint64_t epoch, double now) {
  if (index >= slots_.size()) return;
  Slot& slot = slots_[index];
  if (slot.epoch != epoch || (slot.state != State::kLeasing && slot.state != State::kReady)) return;
  // How the process ended says more, and is on its way unless the machine is gone.
  if (!slot.disconnected_at) slot.disconnected_at = now;
}

std::optional<SlotLost> Slots::ended(const ProcessEnd& end, double now) {
  if (end.slot >= slots_.size()) return std::nullopt;
  const Slot& slot = slots_[end.slot];
  if (slot.state == State::kDown || slot.pid != end.pid) return std::nullopt;  // Known already.
  return lose(end.slot, is_ended_from_outside(end) ? Loss::kKilled : Loss::kFault, exit_text(end),
              now);
}

// Until it is ready. Preparing reads and verifies what it starts from, which may be large; it
// breathes meanwhile.
double Slots::patience_with(const Slot& slot) const {
  if (slot.state == State::kLeasing) return options_.prepare_max;
  return slot.is_survivor ? options_.reconnect_max : options_.start_max;
}

std::optional<SlotLost> Slots::tick(uint32_t index, double now) {
  if (is_shut_down_) return std::nullopt;
  const Slot& slot = slots_[index];
  if (slot.state == State::kDown) {
    if (slot.is_placed && now >= slot.retry_at) start_process(index, now);
    return std::nullopt;
  }
  if (slot.disconnected_at && now - *slot.disconnected_at > options_.disconnected_max) {
    return lose(index, Loss::kKilled, "its connection is gone", now);
  }
  if (slot.state != State::kReady && now - slot.since > patience_with(slot)) {
    const bool is_awaited_back = slot.state == State::kStarting && slot.is_survivor;
    return lose(index, is_awaited_back ? Loss::kKilled : Loss::kFault,
                fmt::format("not {} after {:.0f} s", is_awaited_back ? "back" : "ready",
                            patience_with(slot)),
                now);
  }
  // Who is only starting has nobody to say anything to.
  if (slot.state != State::kStarting && now - slot.heard > options_.silence_max) {
    return lose(index, Loss::kKilled, fmt::format("silent for {:.1f} s", now - slot.heard), now);
  }
  return std::nullopt;
}

void Slots::stood_still(double seconds, double now) {
  for (Slot& slot : slots_) {
    for (double* since : {&slot.heard, &slot.since}) *since = std::min(now, *since + seconds);
  }
}

SlotLost Slots::lose(uint32_t index, Loss loss, const std::string& why, double now) {
  Slot& slot = slots_[index];
  const bool was_ready = slot.state == State::kReady;
  if (slot.pid != 0) outbox_.add(pool::Kill{index, slot.pid});
  if (loss != Loss::kTeam) outbox_.note(fmt::format("{} is lost: {}", title(index), why));
  slot.state = State::kDown;
  slot.since = now;
  slot.epoch = 0;
  slot.pid = 0;
  if (loss != Loss::kTeam) slot.last_loss = why;
  slot.is_survivor = slot.is_unwanted = false;
  if (loss != Loss::kTeam) outbox_.add(pool::WorkerLost{index});
  // A process that had been at work is replaced at once; one that does not come up, ever later.
  // Whoever goes with its team has no part in that.
  if (loss != Loss::kTeam) slot.losses_in_a_row = was_ready ? 1 : slot.losses_in_a_row + 1;
  double wait = 0;
  for (uint32_t i = 1;
       loss != Loss::kTeam && i < slot.losses_in_a_row && wait < options_.back_off_max; ++i) {
    wait = wait == 0 ? options_.back_off_first : wait * 2;
  }
  slot.retry_at = now + std::min(wait, options_.back_off_max);
  if (slot.losses_in_a_row >= options_.starts_max) {
    outbox_.give_up(
        JobState::kPaused,
        fmt::format(
            "{} has not come up {} times in a row: {}{}", title(index), slot.losses_in_a_row, why,
            options_.log_path.empty() ? "" : "; its last words are in " + options_.log_path));
  }
  return {index, loss, why};
}

void Slots::shut_down() {
  is_shut_down_ = true;
  for (uint32_t i = 0; i < num_slots(); ++i) {
    Slot& slot = slots_[i];
    // They hold nothing that is not in the store.
    if (slot.pid != 0) outbox_.add(pool::Kill{i, slot.pid});
    slot.state = State::kDown;
    slot.epoch = 0;
  }
}

Activity Slots::activity(uint32_t index) const {
  const Slot& slot = slots_[index];
  switch (slot.state) {
    case State::kDown:
      if (!slot.is_placed) return {"without a place", slot.since};
      return {slot.last_loss.empty() ? "down" : "lost: " + slot.last_loss, slot.since};
    case State::kStarting:
      return {"starting", slot.since};
    case State::kLeasing:
      return {"preparing", slot.since};
    case State::kReady:
      break;
  }
  return {"idle", slot.since};
}

}  // namespace troupe::actors
