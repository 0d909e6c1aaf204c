#include "actors/worker/worker.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <caf/all.hpp>

#include <cstdio>
#include <exception>
#include <future>

#include "actors/controller/prepared_job.h"
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
struct Line {
  caf::actor root{};
  uint64_t job = 0;
  std::atomic<uint64_t> epoch{0};
  WorkerProgress progress{};

  WireBytes envelope(uint64_t request_id, const FromWorker& message) const {
    Envelope sealed = seal(message);
    sealed.job = job;
    sealed.epoch = epoch;
    sealed.request_id = request_id;
    return to_wire(encode(sealed));
  }
};

struct ExecutorState {
  static inline const char* name = "executor";
  std::optional<Executor> executor{};
};

ExecutorActor::behavior_type executor_actor(ExecutorActor::stateful_pointer<ExecutorState> self,
                                            const kernels::Backend* backend,
                                            std::shared_ptr<Line> line) {
  self->state.executor.emplace(*backend, line->progress,
                               [line](uint64_t request_id, FromWorker message) {
                                 caf::anon_send(line->root, line->envelope(request_id, message));
                               });
  return {[self](const Request& request) {
    try {
      self->state.executor->execute(request.request_id, *request.message);
    } catch (const std::exception& exception) {
      // A device or the memory failed: nothing here can be trusted any more.
      std::fprintf(stderr, "troupe worker: %s\n", exception.what());
      ::_exit(1);
    }
  }};
}

struct WorkerState {
  static inline const char* name = "worker";
  ExecutorActor executor{};
  uint64_t beat = 0;
};

// Bytes come from the head only: it alone knows this actor.
caf::behavior worker_actor(caf::stateful_actor<WorkerState>* self, const kernels::Backend* backend,
                           std::shared_ptr<Line> line, Hello hello) {
  self->state.executor = self->spawn<caf::detached>(executor_actor, backend, line);
  self->monitor(line->root);
  self->set_down_handler([self](caf::down_msg&) { self->quit(); });
  self->send(line->root, line->envelope(0, FromWorker(std::move(hello))));
  self->delayed_send(self, kHeartbeatPeriod, caf::tick_atom_v);
  return {
      [self, line](const WireBytes& bytes) {
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
        if (std::holds_alternative<Lease>(*message)) line->epoch = envelope->epoch;
        if (envelope->epoch != line->epoch) return;
        if (std::holds_alternative<Drain>(*message)) {
          self->quit();
          return;
        }
        if (std::holds_alternative<CancelGeneration>(*message)) {
          line->progress.cancelled = envelope->request_id;
          return;
        }
        if (const auto* load = std::get_if<LoadPolicy>(&*message)) {
          line->progress.policy.put(envelope->request_id, *load);
        }
        self->send(
            self->state.executor,
            Request{envelope->request_id, std::make_shared<const ToWorker>(std::move(*message))});
      },
      [self, line](caf::tick_atom) {
        self->delayed_send(self, kHeartbeatPeriod, caf::tick_atom_v);
        if (line->epoch == 0) return;
        self->send(line->root,
                   line->envelope(
                       0, FromWorker(Heartbeat{.beat = ++self->state.beat,
                                               .request_id = line->progress.request_id,
                                               .sequences_done = line->progress.sequences_done,
                                               .sequences_total = line->progress.sequences_total,
                                               .waits_for = line->progress.waits_for()})));
      },
  };
}

}  // namespace

Status run_worker(const kernels::Backend& backend, const WorkerOptions& options) {
  if (Status status = check_credentials(options.credentials_folder); !status) return status;
  // A worker that dies is to be gone at once, not after gigabytes of a core file are written.
  ::prctl(PR_SET_DUMPABLE, 0);
  NodeConfig config(options.credentials_folder);
  caf::actor_system system(config);
  // A handshake may be ended by a heartbeat that crosses it, so it is tried again.
  auto root = connect_root(system, options.port);
  for (int attempt = 1; !root && attempt < kConnectAttempts; ++attempt) {
    root = connect_root(system, options.port);
  }
  if (!root) return root.error();
  auto line = std::make_shared<Line>();
  line->root = *root;
  line->job = options.job;
  Hello hello{.slot = options.slot,
              .token = options.token,
              .pid = static_cast<uint64_t>(::getpid()),
              .arithmetic_id = backend.arithmetic_id,
              .instruction_set = backend.name,
              .cores = static_cast<uint32_t>(available_cores())};
  caf::scoped_actor self(system);
  auto worker = system.spawn(worker_actor, &backend, line, std::move(hello));
  self->wait_for(worker);
  // Whatever still computes is not wanted any more, and waiting for it would only hold the memory.
  ::_exit(0);
}

}  // namespace troupe::actors
