#include "cluster/daemon/head.h"

#include <caf/all.hpp>

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <mutex>
#include <thread>

#include "actors/head_context.h"
#include "actors/job/prepared_job.h"
#include "actors/scheduler/hub.h"
#include "actors/scheduler/scheduler_actor.h"
#include "actors/transport.h"
#include "cluster/daemon/credentials.h"
#include "cluster/daemon/lifeline.h"
#include "cluster/daemon/process_card.h"
#include "cluster/daemon/process_host.h"
#include "cluster/monitor/gpu_reader.h"
#include "cluster/nodes/cluster_host.h"
#include "cluster/nodes/host_reading.h"
#include "cluster/nodes/inventory.h"
#include "cluster/nodes/shared_home.h"
#include "schemas/check.h"
#include "schemas/records_codec.h"

namespace troupe::cluster {
namespace {

// What placements call this host.
constexpr char kOwnHost[] = "head";

constexpr size_t kDevicesTold = 64;
constexpr auto kDrainLook = std::chrono::milliseconds(100);

// Sessions of another head's are never taken for one of this one's.
uint64_t random_session() {
  uint64_t number = 0;
  TROUPE_CHECK(::getrandom(&number, sizeof(number), 0) == sizeof(number));
  return number >> 1;
}

// What the scheduler is to know of nodes.
ClusterHost::Watcher watcher_for(const actors::SchedulerActor& scheduler) {
  return {.node_up =
              [scheduler](const NodeFacts& node) {
                const bool has_gpus = slots_are_gpus(node.facts.slots, node.facts.devices.size());
                caf::anon_send(scheduler, actors::HostUp{node.name, node.facts.slots,
                                                         has_gpus ? actors::SlotKind::kGpus
                                                                  : actors::SlotKind::kCores});
              },
          .node_away =
              [scheduler](const std::string& node) {
                caf::anon_send(scheduler, actors::HostAway{node});
              },
          .node_leaves =
              [scheduler](const std::string& node) {
                caf::anon_send(scheduler, actors::HostLeaves{node});
              },
          .node_gone =
              [scheduler](const std::string& node, const std::string&) {
                caf::anon_send(scheduler, actors::HostGone{node});
              }};
}

// A failed job may be resumed.
bool may_change(JobState state) { return !is_terminal(state) || state == JobState::kFailed; }

}  // namespace

std::string store_folder(const std::string& head_folder) { return head_folder + "/replay"; }

Result<std::vector<JobRecord>> stored_jobs(actors::ReplayStore& store) {
  const auto known = store.jobs();
  if (!known) return known.error();
  std::vector<JobRecord> records;
  for (const uint64_t id : *known) {
    const auto stored = store.find({id, actors::RecordKind::kJob, 0, 0});
    if (!stored) return stored.error();
    auto record = decode_job_record((*stored)->value);
    if (!record) return record.error();
    records.push_back(std::move(*record));
  }
  return records;
}

// Members are in the order of their making: each uses those before it until it is gone.
class Head::Implementation {
 public:
  Implementation(const kernels::Backend& backend, std::unique_ptr<actors::ReplayStore> replay,
                 Options options, const std::string& credentials)
      : store(std::move(replay), actors::GroupCommit::kQueueBytesMax, std::move(options.noted)),
        gpus(usable_gpus()),
        host(kOwnHost, {.gpus = gpus}),
        config(credentials),
        system(config) {
    folder = options.folder;
    context.backend = &backend;
    context.store = &store;
    context.host = &host;
    context.credentials_folder = credentials;
    context.trusted_programs = std::move(options.trusted_programs);
    context.own_host = kOwnHost;
    const size_t devices =
        gpus.empty() ? static_cast<size_t>(actors::available_cores()) : gpus.size();
    context.own_slots = options.slots.value_or(static_cast<uint32_t>(devices));
    context.own_slots_are_gpus = slots_are_gpus(context.own_slots, gpus.size());
    context.may_be_joined = options.nodes_address.has_value();
    context.home_of = std::move(options.home_of);
    if (options.with_paths) context.with_paths = std::move(options.with_paths);
    context.make_sink = std::move(options.make_sink);
    context.job_changed = std::move(options.job_changed);
  }
  ~Implementation() {
    host.end_examining();
    if (examining.joinable()) examining.join();
    host.close();
    caf::anon_send_exit(scheduler, caf::exit_reason::kill);
    caf::anon_send_exit(hub, caf::exit_reason::kill);
  }

  actors::GroupCommit store;
  const std::vector<std::string> gpus;
  ClusterHost host;
  actors::HeadContext context{};
  actors::NodeConfig config;
  caf::actor_system system;
  caf::actor hub{};
  actors::SchedulerActor scheduler{};
  std::string folder{};
  std::mutex examining_mutex{};
  std::thread examining{};  // Guarded by examining_mutex, as is ...
  bool is_examining = false;
};

Head::Head(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
Head::~Head() = default;

Result<std::unique_ptr<Head>> Head::open(const kernels::Backend& backend,
                                         std::unique_ptr<actors::ReplayStore> store,
                                         Options options) {
  const std::string folder = options.folder;
  const std::string credentials = folder + "/credentials";
  const auto nodes_address = options.nodes_address;
  const auto keys = options.keys;
  if (Status made = make_credentials(credentials); !made) return made.error();
  if (Status status = actors::check_credentials(credentials); !status) return status.error();
  auto records = stored_jobs(*store);
  if (!records) return records.error();
  std::vector<actors::KnownJob> jobs;
  for (JobRecord& record : *records) jobs.push_back({.record = std::move(record)});
  // Whoever wrote to them before writes no more.
  std::vector<uint64_t> writable;
  for (const actors::KnownJob& job : jobs) {
    if (may_change(job.record.state)) writable.push_back(job.record.id);
  }
  const auto epochs = store->begin_epochs(writable);
  if (!epochs) return epochs.error();
  auto epoch = epochs->begin();
  for (actors::KnownJob& job : jobs) {
    if (may_change(job.record.state)) job.epoch = *epoch++;
  }
  auto implementation =
      std::make_unique<Implementation>(backend, std::move(store), std::move(options), credentials);
  Implementation& head = *implementation;
  head.hub = head.system.spawn(actors::hub_actor, caf::unit);
  auto port = actors::publish_root(head.hub, 0);
  if (!port) return port.error();
  head.context.port = *port;
  ProcessHost::end_left(credentials, [&jobs](uint64_t id) {
    return std::any_of(jobs.begin(), jobs.end(), [id](const actors::KnownJob& job) {
      const JobState state = job.record.state;
      return job.record.id == id && (state == JobState::kRunning || state == JobState::kQueued);
    });
  });
  // Workers of an earlier head look for it.
  if (const auto card = card_of(::getpid(), std::to_string(*port))) {
    if (Status written = write_card(head_card(credentials), *card); !written) {
      return written.error();
    }
  }
  head.scheduler =
      head.system.spawn(actors::scheduler_actor, &head.context, head.hub, std::move(jobs));
  if (nodes_address) {
    auto build = build_of_program();
    if (!build) return build.error();
    const auto find_unshared = [folder](const std::string& node, const NodeHello& hello) {
      return answer_canary(folder, node, hello);
    };
    Status opened = head.host.open({.address = *nodes_address,
                                    .ring = keys,
                                    .roster = {.build = *build,
                                               .arithmetic_id = backend.arithmetic_id,
                                               .first_session = random_session(),
                                               .find_unshared = find_unshared}},
                                   head.system, head.hub, watcher_for(head.scheduler));
    if (!opened) return opened.error();
  }
  return std::unique_ptr<Head>(new Head(std::move(implementation)));
}

void Head::ask(ControlRequest request, Asker asker, std::function<void(ControlReply)> answer) {
  caf::anon_send(implementation_->scheduler,
                 actors::Ask{std::move(request), std::move(asker), std::move(answer)});
}

Result<ControlReply> Head::ask_and_wait(ControlRequest request,
                                        std::chrono::milliseconds patience) {
  auto promise = std::make_shared<std::promise<ControlReply>>();
  auto answer = promise->get_future();
  ask(std::move(request), local_operator(),
      [promise](ControlReply reply) { promise->set_value(std::move(reply)); });
  if (answer.wait_for(patience) != std::future_status::ready) {
    return Error{ErrorCode::kUnknownOutcome, "the scheduler has not answered in time"};
  }
  ControlReply reply = answer.get();
  if (reply.error) return *reply.error;
  return reply;
}

std::optional<HostPort> Head::nodes_address() const {
  return implementation_->host.nodes_address();
}

std::map<std::string, uint64_t> Head::disks_free() const {
  std::map<std::string, uint64_t> free = {{kOwnHost, disk_free_bytes(implementation_->folder)}};
  for (const NodeFacts& node : implementation_->host.nodes()) {
    free[node.name] = node.facts.disk_free_bytes;
  }
  return free;
}

namespace {

HostReport report_on_own(const kernels::Backend& backend, const std::string& folder,
                         HostSummary summary) {
  HostReport report{.summary = std::move(summary)};
  report.facts = take_inventory(folder, report.summary.slots);
  report.facts.slots = report.summary.slots;
  report.instruction_set = backend.name;
  report.reading = take_reading(folder, measure_flops_per_core(backend));
  return report;
}

HostReport report_on_node(ClusterHost& host, HostSummary summary) {
  HostReport report{.summary = std::move(summary)};
  const auto nodes = host.nodes();
  const auto node = std::find_if(nodes.begin(), nodes.end(), [&](const NodeFacts& one) {
    return one.name == report.summary.name;
  });
  if (node == nodes.end() || node->is_away) {
    report.failure = "it is away";
    return report;
  }
  report.address = node->address;
  report.instruction_set = node->instruction_set;
  report.facts = node->facts;
  // What nobody needs of it here could be long.
  report.facts.devices.resize(std::min(report.facts.devices.size(), kDevicesTold));
  host.examine(report.summary.name, report);
  return report;
}

}  // namespace

void Head::examine(HostSummary summary, std::function<void(ControlReply)> answer) {
  Implementation& head = *implementation_;
  const std::lock_guard lock(head.examining_mutex);
  if (head.is_examining) {
    ControlReply busy;
    busy.error = {ErrorCode::kOverloaded, "another host is being examined; ask again"};
    answer(std::move(busy));
    return;
  }
  if (head.examining.joinable()) head.examining.join();
  head.is_examining = true;
  head.examining = std::thread([&head, summary = std::move(summary), answer = std::move(answer)] {
    const kernels::Backend& backend = *head.context.backend;
    ControlReply reply;
    reply.report = summary.name == kOwnHost ? report_on_own(backend, head.folder, summary)
                                            : report_on_node(head.host, summary);
    // All hosts have the head's, or they would not be let in.
    if (const auto build = build_of_program()) reply.report->build = *build;
    reply.report->arithmetic_id = backend.arithmetic_id;
    {
      const std::lock_guard done(head.examining_mutex);
      head.is_examining = false;
    }
    answer(std::move(reply));
  });
}

void Head::leave_nobody() {
  ::unlink(head_card(implementation_->context.credentials_folder).c_str());
}

bool Head::drain(std::chrono::milliseconds patience, const std::function<void()>& meanwhile) {
  auto promise = std::make_shared<std::promise<void>>();
  auto drained = promise->get_future();
  caf::anon_send(implementation_->scheduler,
                 actors::DrainHead{[promise] { promise->set_value(); }});
  const auto until = std::chrono::steady_clock::now() + patience;
  while (drained.wait_for(kDrainLook) != std::future_status::ready) {
    if (std::chrono::steady_clock::now() >= until || implementation_->store.waits_for()) {
      return false;
    }
    meanwhile();
  }
  return true;
}

}  // namespace troupe::cluster
