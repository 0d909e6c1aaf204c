#include "cluster/nodes/cluster_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <utility>

#include "actors/transport.h"
#include "schemas/overloaded.h"

namespace troupe::cluster {
namespace {

constexpr char kLogFile[] = "/workers.log";
// Until a head that is new has begun all jobs that go on.
constexpr auto kUnclaimedMax = std::chrono::seconds(60);

// For what other hosts have of a recovery point: with less the job would go on from an older one.
constexpr auto kGivingMax = std::chrono::minutes(10);

// Stands for a worker of another host: what it is told goes there.
caf::behavior proxy(caf::event_based_actor*,
                    std::function<void(const actors::WireBytes&)> pass_on) {
  return {[pass_on](const actors::WireBytes& bytes) { pass_on(bytes); }};
}

// Where the last words of this job's workers are looked for.
void append(const std::string& home, const std::string& text) {
  if (home.empty() || text.empty()) return;
  std::FILE* const file = std::fopen((home + kLogFile).c_str(), "ae");
  if (file == nullptr) return;
  std::fwrite(text.data(), 1, text.size(), file);
  std::fclose(file);
}

}  // namespace

ClusterHost::~ClusterHost() { close(); }

Status ClusterHost::open(NodeDoor::Options options, caf::actor_system& system, caf::actor hub,
                         Watcher watcher) {
  system_ = &system;
  hub_ = std::move(hub);
  watcher_ = std::move(watcher);
  {
    const std::lock_guard lock(mutex_);
    is_open_ = true;
  }
  auto door = NodeDoor::open(
      std::move(options),
      {.joined = [this](const std::string& node, const NodeHello& hello, const std::string& address,
                        const std::string& key) { joined(node, hello, address, key); },
       .away = [this](const std::string& node) { away(node, true); },
       .back = [this](const std::string& node) { away(node, false); },
       .gone = [this](const std::string& node, const std::string& why) { gone(node, why); },
       .said = [this](const std::string& node,
                      FromNode message) { said(node, std::move(message)); },
       .ticked = [this] { end_unclaimed(); },
       .asked_for_file =
           [this](const std::string& node, FileRequest request,
                  std::function<void(FileReply)> answer) {
             files_.ask(node, std::move(request), std::move(answer));
           }});
  if (!door) return door.error();
  // Its thread may be in a handler already, which waits for the lock.
  const std::lock_guard lock(mutex_);
  door_ = std::move(*door);
  return ok();
}

void ClusterHost::close() {
  std::unique_ptr<NodeDoor> door;
  {
    const std::lock_guard lock(mutex_);
    is_open_ = false;
    given_.notify_all();
    door = std::move(door_);
  }
  door.reset();
  const std::lock_guard lock(mutex_);
  for (auto& [name, node] : nodes_) {
    for (auto& [peer, actor] : node.proxies) {
      caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    }
    node.proxies.clear();
  }
  hub_ = nullptr;
}

std::optional<HostPort> ClusterHost::nodes_address() const {
  const std::lock_guard lock(mutex_);
  return door_ ? std::optional(door_->address()) : std::nullopt;
}

std::vector<NodeFacts> ClusterHost::nodes() const {
  const std::lock_guard lock(mutex_);
  std::vector<NodeFacts> all;
  for (const auto& [name, node] : nodes_) {
    if (!node.is_there) continue;
    all.push_back({name, node.address, node.facts, node.is_away, node.instruction_set});
  }
  return all;
}

// ---- For runs.

void ClusterHost::start(const actors::WorkerLaunch& launch,
                        std::function<void(Result<uint64_t>)> started, Ended ended) {
  if (is_here(launch.node)) {
    started(local_.start(launch, std::move(ended)));
    return;
  }
  std::unique_lock lock(mutex_);
  const auto node = nodes_.find(launch.node);
  if (!door_ || node == nodes_.end() || !node->second.is_there) {
    lock.unlock();
    started(Error{ErrorCode::kInternal, fmt::format("node {} is not there", launch.node)});
    return;
  }
  const uint64_t request = next_request_++;
  starting_[request] = {.node = launch.node,
                        .job = launch.job,
                        .slot = launch.slot,
                        .token = launch.token,
                        .started = std::move(started),
                        .ended = std::move(ended)};
  door_->say(launch.node, StartProcess{.request_id = request,
                                       .job = launch.job,
                                       .slot = launch.slot,
                                       .token = launch.token,
                                       .home = homes_[launch.job],
                                       .patience_seconds = launch.patience_seconds,
                                       .device = launch.device});
}

void ClusterHost::serve_files(uint64_t job, const std::string& home,
                              const std::vector<std::string>& reads) {
  files_.allow(job, home, reads);
  const std::lock_guard lock(mutex_);
  homes_[job] = home;
}

std::vector<actors::Survivor> ClusterHost::take_over(uint64_t job,
                                                     const std::string& credentials_folder,
                                                     Ended ended) {
  auto survivors = local_.take_over(job, credentials_folder, ended);
  const std::lock_guard lock(mutex_);
  for (auto& [id, process] : remote_) {
    if (process.job != job || process.ended) continue;
    process.ended = ended;
    survivors.push_back({process.slot, id, process.token, /*is_kept=*/true, process.node});
  }
  return survivors;
}

void ClusterHost::kill(uint64_t pid) {
  if (host_pid(pid) == pid) {
    local_.kill(pid);
    return;
  }
  const std::lock_guard lock(mutex_);
  const auto process = remote_.find(pid);
  if (process == remote_.end() || !door_) return;
  door_->say(process->second.node, KillProcess{host_pid(pid)});
}

void ClusterHost::end_job(uint64_t job) {
  local_.end_job(job);
  const std::lock_guard lock(mutex_);
  for (auto& [request, starting] : starting_) {
    if (starting.job == job) starting.is_unwanted = true;
  }
  for (const auto& [id, process] : remote_) {
    if (process.job == job && door_) door_->say(process.node, KillProcess{host_pid(id)});
  }
  if (const auto home = homes_.find(job); home != homes_.end()) files_.dropped(home->second);
  homes_.erase(job);
  files_.forbid(job);
}

std::string ClusterHost::address_of(const std::string& node) const {
  const std::lock_guard lock(mutex_);
  if (is_here(node)) return own_address_;
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? "" : found->second.address;
}

void ClusterHost::drop_files(uint64_t job, const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (!door_) return;
  for (const auto& [name, node] : nodes_) {
    if (node.is_there) door_->say(name, DropFiles{job, path});
  }
  if (!path.empty()) files_.dropped(path);
}

// One that works for the job, if there is one: it has a part of it.
void ClusterHost::keep_files(uint64_t job, const std::string& was, const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto home = homes_.find(job);
  if (!door_ || home == homes_.end()) return;
  std::string keeper;
  for (const auto& [id, process] : remote_) {
    const auto node = nodes_.find(process.node);
    if (process.job != job || node == nodes_.end() || !may_keep(node->second)) continue;
    if (keeper.empty() || process.node < keeper) keeper = process.node;
  }
  for (const auto& [name, node] : nodes_) {
    if (keeper.empty() && may_keep(node)) keeper = name;
  }
  for (const auto& [name, node] : nodes_) {
    if (!node.is_there) continue;
    if (name == keeper) {
      door_->say(name, KeepFiles{.job = job, .home = home->second, .was = was, .path = path});
    } else {
      door_->say(name, DropFiles{job, was});
    }
  }
}

Result<std::string> ClusterHost::bring_back(uint64_t job, const std::string& home,
                                            const std::string& path) {
  files_.allow(job, home, {});
  std::unique_lock lock(mutex_);
  std::vector<uint64_t> asked;
  for (const auto& [name, node] : nodes_) {
    if (!door_ || !may_keep(node)) continue;
    asked.push_back(next_request_++);
    giving_[asked.back()] = {.node = name};
    door_->say(name, GiveFiles{.request_id = asked.back(), .job = job, .home = home, .path = path});
  }
  const auto all_answered = [&] {
    return std::all_of(asked.begin(), asked.end(), [this](uint64_t request) {
      const Giving& one = giving_.at(request);
      return one.answer || one.is_gone || !is_open_;
    });
  };
  given_.wait_for(lock, kGivingMax, all_answered);
  std::string hosts;
  for (const uint64_t request : asked) {
    const Giving one = std::move(giving_.extract(request).mapped());
    if (!one.answer || !one.answer->has_any || !one.answer->failure.empty()) continue;
    hosts += (hosts.empty() ? "host " : ", ") + one.node;
  }
  if (hosts.empty()) return Error{ErrorCode::kInternal, "no other host has a copy of " + path};
  return hosts;
}

// ---- From nodes, on the door's thread. What others do with it is called without the lock.

void ClusterHost::joined(const std::string& name, const NodeHello& hello,
                         const std::string& address, const std::string& key) {
  const std::lock_guard lock(mutex_);
  Node& node = nodes_[name];
  node.key = key;
  files_.node_up(name, {.address = address, .port = hello.copies_port, .key = hello.copies_key});
  for (const auto& [other, its] : nodes_) {
    if (other == name || its.key.empty() || !door_) continue;
    door_->say(other, PeerUp{name, key});
    door_->say(name, PeerUp{other, its.key});
  }
  if (node.number == 0) node.number = static_cast<uint32_t>(nodes_.size());
  node.address = address;
  node.facts = hello.facts;
  node.instruction_set = hello.instruction_set;
  node.shares_home = !hello.shared_home.empty();
  node.is_away = false;
  // It is there once it has said what runs there.
  if (own_address_.empty() || !is_loopback(hello.head_address)) own_address_ = hello.head_address;
}

void ClusterHost::away(const std::string& name, bool is_away) {
  NodeFacts facts;
  {
    const std::lock_guard lock(mutex_);
    Node& node = nodes_[name];
    node.is_away = is_away;
    if (!node.is_there) return;
    facts = {name, node.address, node.facts, is_away, node.instruction_set};
  }
  if (is_away) {
    watcher_.node_away(name);
  } else {
    watcher_.node_up(facts);
  }
}

// What its processes' owners are told: they cannot be reached any more, and end by themselves.
void ClusterHost::end_all_of(const std::string& name, std::vector<std::function<void()>>& calls) {
  Node& node = nodes_[name];
  for (auto& [peer, actor] : node.proxies) {
    caf::anon_send_exit(actor, caf::exit_reason::remote_link_unreachable);
  }
  node.proxies.clear();
  for (auto process = remote_.begin(); process != remote_.end();) {
    if (process->second.node != name) {
      ++process;
      continue;
    }
    if (process->second.ended) {
      calls.push_back([ended = process->second.ended,
                       end = actors::ProcessEnd{.slot = process->second.slot,
                                                .pid = process->first,
                                                .signal = SIGKILL}] { ended(end); });
    }
    process = remote_.erase(process);
  }
  for (auto& [request, giving] : giving_) giving.is_gone |= giving.node == name;
  given_.notify_all();
  for (auto starting = starting_.begin(); starting != starting_.end();) {
    if (starting->second.node != name) {
      ++starting;
      continue;
    }
    calls.push_back([started = starting->second.started, name] {
      started(Error{ErrorCode::kInternal, fmt::format("node {} is gone", name)});
    });
    starting = starting_.erase(starting);
  }
}

void ClusterHost::gone(const std::string& name, const std::string& why) {
  std::vector<std::function<void()>> calls;
  bool was_there = false;
  {
    const std::lock_guard lock(mutex_);
    was_there = std::exchange(nodes_[name].is_there, false);
    nodes_[name].key.clear();
    for (const auto& [other, its] : nodes_) {
      if (!its.key.empty() && door_) door_->say(other, PeerGone{name});
    }
    files_.node_gone(name);
    end_all_of(name, calls);
  }
  for (const auto& call : calls) call();
  if (was_there) watcher_.node_gone(name, why);
}

void ClusterHost::said(const std::string& name, FromNode message) {
  std::visit(Overloaded{
                 [&](const NodeProcesses& list) { take(name, list); },
                 [&](const ProcessStarted& started) { take(name, started); },
                 [&](const ProcessEnded& ended) { take(name, ended); },
                 [&](WorkerSays& says) { take(name, std::move(says)); },
                 [&](const WorkerGone& gone) {
                   const std::lock_guard lock(mutex_);
                   Node& node = nodes_[name];
                   const auto found = node.proxies.find(gone.peer);
                   if (found == node.proxies.end()) return;
                   caf::anon_send_exit(found->second, caf::exit_reason::remote_link_unreachable);
                   node.proxies.erase(found);
                 },
                 [&](const NodeLeaves&) { watcher_.node_leaves(name); },
                 // The roster's, or beside the session.
                 [](const NodeHello&) {},
                 [&](const NodeBeat& beat) {
                   const std::lock_guard lock(mutex_);
                   nodes_[name].facts.disk_free_bytes = beat.disk_free_bytes;
                 },
                 [&](NodeExamined& examined) { examiner_.answered(name, std::move(examined)); },
                 [&](FilesGiven& given) {
                   const std::lock_guard lock(mutex_);
                   const auto one = giving_.find(given.request_id);
                   if (one == giving_.end() || one->second.node != name) return;
                   one->second.answer = std::move(given);
                   given_.notify_all();
                 },
                 [](const FileRequest&) {},
             },
             message);
}

// What an earlier head has left and no run of this one wants.
void ClusterHost::end_unclaimed() {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  for (auto& [id, process] : remote_) {
    if (process.ended || now - process.known_since < kUnclaimedMax || !door_) continue;
    process.known_since = now;
    door_->say(process.node, KillProcess{host_pid(id)});
  }
}

void ClusterHost::take(const std::string& name, const NodeProcesses& list) {
  NodeFacts facts;
  {
    const std::lock_guard lock(mutex_);
    Node& node = nodes_[name];
    for (const NodeProcess& process : list.processes) {
      remote_[id_of(node, process.pid)] = {.node = name,
                                           .job = process.job,
                                           .slot = process.slot,
                                           .token = process.token,
                                           .ended = {},
                                           .known_since = Clock::now()};
      // It was told to end before its session did.
      if (node.was_there && door_) door_->say(name, KillProcess{process.pid});
    }
    node.is_there = node.was_there = true;
    facts = {name, node.address, node.facts, node.is_away, node.instruction_set};
  }
  watcher_.node_up(facts);
}

void ClusterHost::take(const std::string& name, const ProcessStarted& started) {
  Starting starting;
  uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = starting_.find(started.request_id);
    if (found == starting_.end() || found->second.node != name) return;
    starting = std::move(found->second);
    starting_.erase(found);
    if (started.pid != 0) {
      id = id_of(nodes_[name], started.pid);
      remote_[id] = {.node = name,
                     .job = starting.job,
                     .slot = starting.slot,
                     .token = starting.token,
                     .ended = starting.ended,
                     .known_since = Clock::now()};
      if (starting.is_unwanted && door_) door_->say(name, KillProcess{started.pid});
    }
  }
  if (id != 0) {
    starting.started(id);
  } else {
    starting.started(
        Error{ErrorCode::kInternal, fmt::format("node {}: {}", name, started.failure)});
  }
}

void ClusterHost::take(const std::string& name, const ProcessEnded& ended) {
  Remote process;
  std::string home;
  uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = id_of(nodes_[name], ended.pid);
    const auto found = remote_.find(id);
    if (found == remote_.end()) return;
    process = std::move(found->second);
    remote_.erase(found);
    if (const auto known = homes_.find(process.job); known != homes_.end()) home = known->second;
  }
  append(home, ended.last_words);
  if (!process.ended) return;
  process.ended(
      {.slot = process.slot, .pid = id, .exit_code = ended.exit_code, .signal = ended.signal});
}

void ClusterHost::take(const std::string& name, WorkerSays says) {
  const std::lock_guard lock(mutex_);
  if (!is_open_) return;
  caf::actor& actor = nodes_[name].proxies[says.peer];
  if (!actor) {
    actor = system_->spawn(proxy, [this, name, peer = says.peer](const actors::WireBytes& bytes) {
      const auto told = actors::from_wire(bytes);
      const std::lock_guard guard(mutex_);
      if (door_) door_->say(name, WorkerHears{peer, {told.begin(), told.end()}});
    });
  }
  caf::send_as(actor, hub_, actors::to_wire(says.envelope));
}

}  // namespace troupe::cluster
