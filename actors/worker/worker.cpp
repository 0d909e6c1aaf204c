#include "actors/worker/worker.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <caf/all.hpp>

#include <cstdio>
#include <exception>
#include <future>

#include "actors/job/prepared_job.h"
#include "actors/lease_numbers.h"
#include "actors/transport.h"
#include "actors/worker/executor.h"
#include "kernels/cpu/cpu_backend.h"
#include "schemas/envelope_codec.h"
#include "schemas/work_codec.h"

namespace troupe::actors {
namespace {

constexpr int kConnectAttempts = 10;
constexpr auto kHeartbeatPeriod = std::chrono::milliseconds(250);

struct Request {
  uint64_t epoch = 0;  // Of the lease that it belongs to.
  uint64_t request_id = 0;
  std::shared_ptr<const ToWorker> message{};
};

// Executes one Request after another, on its own thread.
using ExecutorActor = caf::typed_actor<caf::reacts_to<Request>>;

}  // namespace
}  // namespace troupe::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::actors::Request)

namespace troupe::actors {
namespace {

// What the worker and its executor both need.
class Line {
 public:
  explicit Line(uint64_t job) : job_(job) {}

  void connect(caf::actor root) {
    const std::lock_guard lock(mutex_);
    root_ = std::move(root);
  }
  // What is said while there is no head is lost.
  void say(uint64_t by_epoch, uint64_t request_id, const FromWorker& message) const {
    caf::anon_send(root(), envelope(by_epoch, request_id, message));
  }
  WireBytes envelope(uint64_t by_epoch, uint64_t request_id, const FromWorker& message) const {
    Envelope sealed = seal(message);
    sealed.job = job_;
    sealed.epoch = by_epoch;
    sealed.request_id = request_id;
    return to_wire(encode(sealed));
  }
  caf::actor root() const {
    const std::lock_guard lock(mutex_);
    return root_;
  }

  std::atomic<uint64_t> epoch{0};  // Of the newest lease.
  WorkerProgress progress{};

 private:
  const uint64_t job_;
  mutable std::mutex mutex_{};
  caf::actor root_{};
};

struct ExecutorState {
  static inline const char* name = "executor";
  std::optional<Executor> executor{};
  std::atomic<uint64_t> epoch{0};  // Of what it executes; read by the threads that it works with.
};

// Lives as long as the process, whatever becomes of the head.
ExecutorActor::behavior_type executor_actor(ExecutorActor::stateful_pointer<ExecutorState> self,
                                            const kernels::Backend* backend,
                                            std::shared_ptr<Line> line) {
  self->state.executor.emplace(*backend, line->progress,
                               [self, line](uint64_t request_id, const FromWorker& message) {
                                 line->say(self->state.epoch, request_id, message);
                               });
  return {[self, line](const Request& request) {
    if (request.epoch != line->epoch) return;  // Asked by a head that is gone.
    self->state.epoch = request.epoch;
    try {
      self->state.executor->execute(request.request_id, *request.message);
    } catch (const std::exception& exception) {
      // A device or the memory failed: nothing here can be trusted any more.
      std::fprintf(stderr, "troupe worker: %s\n", exception.what());
      ::_exit(1);
    }
  }};
}

// What lasts from one head to the next.
struct Employment {
  const WorkerOptions* options = nullptr;
  Hello hello{};
  std::optional<Lease> lease{};
};

struct WorkerState {
  static inline const char* name = "worker";
  // Not an aggregate: CAF would begin it with a pointer to the actor, as a bool.
  WorkerState() = default;
  bool is_leased = false;  // By the head that it talks to.
  uint64_t beat = 0;

  // What is under way ends, unless this lease has a use for it.
  void take_lease(uint64_t epoch, const Lease& lease, Line& line, Employment& employment) {
    is_leased = true;
    line.epoch = epoch;
    if (!employment.lease || !is_same_work(*employment.lease, lease) ||
        line.progress.kept.held().empty()) {
      line.progress.cancelled = last_number_of_earlier(epoch);
    }
    line.progress.policy.take();  // What an earlier head had asked for.
    employment.lease = lease;
    employment.options->lease_taken(
        std::chrono::seconds(lease.roles.learner ? 0 : lease.job.resources.reconnect_seconds));
  }
};

// Talks to one head, until it is gone. Bytes come from the head only: it alone knows this actor.
caf::behavior worker_actor(caf::stateful_actor<WorkerState>* self, std::shared_ptr<Line> line,
                           ExecutorActor executor, Employment* employment) {
  self->monitor(line->root());
  self->set_down_handler([self](caf::down_msg&) { self->quit(); });
  self->send(self, caf::tick_atom_v);
  return {
      [self, line, executor, employment](const WireBytes& bytes) {
        auto envelope = decode_envelope(from_wire(bytes));
        if (!envelope) {
          std::fprintf(stderr, "troupe worker: %s\n", envelope.error().message.c_str());
          return;
        }
        auto message = open_to_worker(*envelope);
        if (!message) {
          std::fprintf(stderr, "troupe worker: %s\n", message.error().message.c_str());
          return;
        }
        if (std::holds_alternative<HeadChanged>(*message)) {
          self->state.is_leased = false;
          return;
        }
        if (const auto* lease = std::get_if<Lease>(&*message)) {
          self->state.take_lease(envelope->epoch, *lease, *line, *employment);
        }
        if (envelope->epoch != line->epoch) return;
        if (std::holds_alternative<CancelGeneration>(*message)) {
          line->progress.cancelled = envelope->request_id;
          return;
        }
        if (const auto* load = std::get_if<LoadPolicy>(&*message)) {
          line->progress.policy.put(envelope->request_id, *load);
        }
        self->send(executor, Request{envelope->epoch, envelope->request_id,
                                     std::make_shared<const ToWorker>(std::move(*message))});
      },
      [self, line, employment](caf::tick_atom) {
        self->delayed_send(self, kHeartbeatPeriod, caf::tick_atom_v);
        if (!self->state.is_leased) {
          // Again and again: a head that is new may not know the job yet. It answers the sender.
          employment->hello.holds = line->progress.kept.held();
          self->send(line->root(), line->envelope(0, 0, employment->hello));
          return;
        }
        Heartbeat heartbeat{.beat = ++self->state.beat,
                            .request_id = line->progress.request_id,
                            .sequences_done = line->progress.sequences_done,
                            .sequences_total = line->progress.sequences_total,
                            .waits_for = line->progress.waits_for()};
        if (const auto team = line->progress.team_progress()) {
          if (team->begun > team->done) heartbeat.operation = kernels::name_of(team->under_way);
          heartbeat.waits_for_rank = team->waits_for;
          heartbeat.team_bytes = team->bytes_sent;
        }
        line->say(line->epoch, 0, heartbeat);
      },
  };
}

// A handshake may be ended by a heartbeat that crosses it, so it is tried again.
Result<caf::actor> connect(caf::actor_system& system, uint16_t port) {
  auto root = connect_root(system, port);
  for (int attempt = 1; !root && attempt < kConnectAttempts; ++attempt) {
    root = connect_root(system, port);
  }
  return root;
}

}  // namespace

Status run_worker(const kernels::Backend& backend, const WorkerOptions& options) {
  if (Status status = check_credentials(options.credentials_folder); !status) return status;
  // A worker that dies is to be gone at once, not after gigabytes of a core file are written.
  ::prctl(PR_SET_DUMPABLE, 0);
  NodeConfig config(options.credentials_folder);
  caf::actor_system system(config);
  auto root = connect(system, options.port);
  if (!root) return root.error();
  auto line = std::make_shared<Line>(options.job);
  Employment employment{.options = &options,
                        .hello = {.slot = options.slot,
                                  .token = options.token,
                                  .pid = static_cast<uint64_t>(::getpid()),
                                  .arithmetic_id = backend.arithmetic_id,
                                  .instruction_set = backend.name,
                                  .cores = static_cast<uint32_t>(available_cores())}};
  const auto executor = system.spawn<caf::detached>(executor_actor, &backend, line);
  caf::scoped_actor self(system);
  while (true) {
    if (root) {
      line->connect(*root);
      self->wait_for(system.spawn(worker_actor, line, executor, &employment));
    }
    const auto port = options.next_head();
    if (!port) break;
    root = connect(system, *port);
  }
  // Whatever still computes is not wanted any more, and waiting for it would only hold the memory.
  ::_exit(0);
}

}  // namespace troupe::actors
