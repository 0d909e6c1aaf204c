#include "kernels/collective/nccl_communicator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "schemas/check.h"

namespace troupe::kernels::collective {
namespace {

using Clock = std::chrono::steady_clock;

// An operation takes tens of microseconds at least; who waits longer sleeps between looks.
constexpr auto kBusyLooks = std::chrono::microseconds(200);
constexpr auto kSleep = std::chrono::microseconds(50);
// For ranks to say what they were doing, behind a deadline that all of them have.
constexpr auto kTellMax = std::chrono::seconds(5);
constexpr int64_t kToldBytesMax = 256;

}  // namespace

class NcclTeam::Impl {
 public:
  // Ranks of the team that have met, or are to.
  struct Group {
    void* communicator = nullptr;
  };
  struct Channel {
    Progress progress{};          // Guarded by mutex.
    uint64_t meetings_begun = 0;  // Likewise: exchanges that nobody called.
    uint64_t meetings_done = 0;
    std::map<std::vector<int>, Group> groups{};  // Of the channel's thread.
  };

  Impl(std::shared_ptr<const NcclLibrary> its_library, std::shared_ptr<StreamEvents> its_events,
       std::shared_ptr<Mesh> its_mesh)
      : library(std::move(its_library)),
        events(std::move(its_events)),
        mesh(std::move(its_mesh)),
        channels(static_cast<size_t>(mesh->num_channels())) {}

  ~Impl() {
    for (Channel& channel : channels) {
      for (auto& [ranks, group] : channel.groups) {
        if (group.communicator == nullptr) continue;
        // Where the others are gone an orderly end would wait for them.
        (mesh->ended() ? library->abort : library->destroy)(group.communicator);
      }
    }
  }

  const std::shared_ptr<const NcclLibrary> library;
  const std::shared_ptr<StreamEvents> events;
  const std::shared_ptr<Mesh> mesh;
  std::mutex mutex{};
  std::vector<Channel> channels;
};

NcclTeam::NcclTeam(std::shared_ptr<const NcclLibrary> library, std::shared_ptr<StreamEvents> events,
                   std::shared_ptr<Mesh> mesh)
    : impl_(std::make_unique<Impl>(std::move(library), std::move(events), std::move(mesh))) {}
NcclTeam::~NcclTeam() = default;
Mesh& NcclTeam::mesh() const { return *impl_->mesh; }

namespace {

class NcclCommunicator final : public Communicator {
 public:
  using Impl = NcclTeam::Impl;

  NcclCommunicator(std::shared_ptr<NcclTeam> team, Impl& impl, int channel, std::vector<int> ranks,
                   std::unique_ptr<Communicator> host)
      : team_(std::move(team)),
        impl_(impl),
        nccl_(*impl.library),
        number_(channel),
        channel_(impl.channels[static_cast<size_t>(channel)]),
        ranks_(std::move(ranks)),
        host_(std::move(host)) {}

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }

  Status all_to_all(Stream* stream, Parts from, Parts to, Deadline deadline) override {
    TROUPE_CHECK(from.size() == num_ranks() && to.size() == num_ranks());
    TROUPE_CHECK(from[me()].bytes == to[me()].bytes);
    return run(Collective::kAllToAll, stream, deadline, from, to);
  }

  Status all_gather(Stream* stream, Part from, Parts to, Deadline deadline) override {
    TROUPE_CHECK(to.size() == num_ranks() && from.bytes == to[me()].bytes);
    const std::vector<Part> all(num_ranks(), from);
    return run(Collective::kAllGather, stream, deadline, all, to);
  }

  Status broadcast(Stream* stream, int root, Part part, Deadline deadline) override {
    TROUPE_CHECK(root >= 0 && root < size() && part.bytes >= 0);
    const std::vector<Part> none(num_ranks());
    std::vector<Part> parts(num_ranks());
    if (root == rank()) {
      std::fill(parts.begin(), parts.end(), part);
      parts[me()] = {};
      return run(Collective::kBroadcast, stream, deadline, parts, none);
    }
    parts[static_cast<size_t>(root)] = part;
    return run(Collective::kBroadcast, stream, deadline, none, parts);
  }

  Result<std::vector<std::vector<std::byte>>> exchange(std::span<const std::byte> mine,
                                                       int64_t bytes_max,
                                                       Deadline deadline) override {
    return host_->exchange(mine, bytes_max, deadline);
  }

  Status barrier(Deadline deadline) override { return host_->barrier(deadline); }

  std::unique_ptr<Communicator> subset(std::span<const int> ranks) const override {
    std::vector<int> chosen;
    for (const int rank : ranks) chosen.push_back(ranks_[static_cast<size_t>(rank)]);
    return std::make_unique<NcclCommunicator>(team_, impl_, number_, std::move(chosen),
                                              host_->subset(ranks));
  }

  void abort() override { host_->abort(); }

  // What went over the mesh counts as well.
  Progress progress() const override {
    Progress progress = host_->progress();
    const std::lock_guard lock(impl_.mutex);
    const Progress& mine = channel_.progress;
    progress.begun += mine.begun - channel_.meetings_begun;
    progress.done += mine.done - channel_.meetings_done;
    progress.bytes_sent += mine.bytes_sent;
    if (progress.under_way == Collective::kNone) progress.under_way = mine.under_way;
    return progress;
  }

 private:
  void count(uint64_t& meetings) const {
    const std::lock_guard lock(impl_.mutex);
    ++meetings;
  }
  size_t num_ranks() const { return static_cast<size_t>(size()); }
  size_t me() const { return static_cast<size_t>(rank()); }

  Status run(Collective kind, Stream* stream, Deadline deadline, Parts from, Parts to) {
    {
      const std::lock_guard lock(impl_.mutex);
      ++channel_.progress.begun;
      channel_.progress.under_way = kind;
    }
    Impl::Group& group = channel_.groups[ranks_];
    Status status = meet(group, deadline);
    if (status) status = move(group, kind, stream, deadline, from, to);
    if (!status) {
      // From here on the caller's memory is the caller's.
      if (void* const failed = std::exchange(group.communicator, nullptr)) nccl_.abort(failed);
      return Error{status.error().code, fmt::format("{} on channel {}: {}", name_of(kind), number_,
                                                    status.error().message)};
    }
    const std::lock_guard lock(impl_.mutex);
    ++channel_.progress.done;
    channel_.progress.under_way = Collective::kNone;
    for (size_t i = 0; i < from.size(); ++i) {
      if (i != me()) channel_.progress.bytes_sent += static_cast<uint64_t>(from[i].bytes);
    }
    return ok();
  }

  // The first of them makes the name under which they meet.
  Status meet(Impl::Group& group, Deadline deadline) {
    if (Status state = state_of_team(); !state) return state;
    if (group.communicator != nullptr) return ok();
    NcclId id;
    if (rank() == 0) {
      const int code = nccl_.get_unique_id(&id);
      if (code != kNcclSuccess) return failed("NCCL makes no name to meet by", code);
    }
    count(channel_.meetings_begun);
    const auto told = host_->exchange(
        rank() == 0 ? std::as_bytes(std::span(id.bytes)) : std::span<const std::byte>{},
        sizeof(id.bytes), deadline);
    if (!told) return told.error();
    count(channel_.meetings_done);
    if (told->front().size() != sizeof(id.bytes)) {
      return give_up({ErrorCode::kInternal, "rank 0 has not said by which name to meet"});
    }
    std::memcpy(id.bytes.data(), told->front().data(), sizeof(id.bytes));
    NcclLibrary::Config config;
    const int code = nccl_.init(&group.communicator, size(), id, rank(), &config);
    if (code != kNcclSuccess && code != kNcclInProgress) {
      group.communicator = nullptr;
      return failed("NCCL does not begin", code);
    }
    return wait("NCCL's ranks to meet", deadline, [&] { return is_idle(group); });
  }

  Status move(Impl::Group& group, Collective kind, Stream* stream, Deadline deadline, Parts from,
              Parts to) {
    void* const native = impl_.events->native(stream);
    int code = nccl_.group_start();
    const auto keep = [&code](int other) {
      if (code == kNcclSuccess || code == kNcclInProgress) code = other;
    };
    for (size_t i = 0; i < num_ranks(); ++i) {
      const int peer = static_cast<int>(i);
      // What is in its place already need not move.
      const bool is_there = i == me() && from[i].address == to[i].address;
      if (from[i].bytes > 0 && !is_there) {
        keep(nccl_.send(reinterpret_cast<const void*>(from[i].address),
                        static_cast<size_t>(from[i].bytes), kNcclBytes, peer, group.communicator,
                        native));
      }
      if (to[i].bytes > 0 && !is_there) {
        keep(nccl_.receive(reinterpret_cast<void*>(to[i].address), static_cast<size_t>(to[i].bytes),
                           kNcclBytes, peer, group.communicator, native));
      }
    }
    keep(nccl_.group_end());
    if (code != kNcclSuccess && code != kNcclInProgress) return failed("NCCL refuses", code);
    const std::string what = std::string("the others in ") + name_of(kind);
    if (Status begun = wait(what, deadline, [&] { return is_idle(group); }); !begun) return begun;
    if (Status marked = impl_.events->mark(stream); !marked) {
      return give_up(marked.error());
    }
    return wait(what, deadline, [&]() -> Result<bool> {
      // Also what goes wrong after the work was given to the device.
      const auto idle = is_idle(group);
      if (!idle) return idle.error();
      return impl_.events->has_passed(stream);
    });
  }

  // Whether NCCL has taken all that it was told. An error is NCCL's own.
  Result<bool> is_idle(const Impl::Group& group) const {
    int state = kNcclSuccess;
    int code = nccl_.async_error(group.communicator, &state);
    if (code == kNcclSuccess) code = state;
    if (code == kNcclInProgress) return false;
    if (code == kNcclSuccess) return true;
    return Error{ErrorCode::kUnavailable, nccl_.describe(code, group.communicator)};
  }

  Status wait(const std::string& for_what, Deadline deadline,
              const std::function<Result<bool>()>& is_done) {
    const auto begun = Clock::now();
    for (;;) {
      const auto done = is_done();
      if (!done) return give_up({done.error().code, with_report(done.error().message)});
      if (*done) return ok();
      if (Status state = state_of_team(); !state) return state;
      const auto now = Clock::now();
      if (now > deadline) return too_late(for_what);
      if (now - begun > kBusyLooks) std::this_thread::sleep_for(kSleep);
    }
  }

  Status state_of_team() const {
    const auto ended = impl_.mesh->ended();
    return ended ? Status(*ended) : ok();
  }

  // Each says what it has called, so that one that has called something else is found, or one that
  // says nothing is named.
  Status too_late(const std::string& for_what) {
    std::string mine;
    {
      const std::lock_guard lock(impl_.mutex);
      mine = fmt::format("{} number {}", name_of(channel_.progress.under_way),
                         channel_.progress.begun);
    }
    const auto told = host_->exchange(std::as_bytes(std::span(mine.data(), mine.size())),
                                      kToldBytesMax, Clock::now() + kTellMax);
    if (!told) {
      return Error{told.error().code,
                   fmt::format("waited in vain for {}: {}", for_what, told.error().message)};
    }
    std::string all;
    for (size_t i = 0; i < told->size(); ++i) {
      const std::vector<std::byte>& one = (*told)[i];
      all += fmt::format("{}rank {} is in {}", all.empty() ? "" : ", ", i,
                         std::string(reinterpret_cast<const char*>(one.data()), one.size()));
    }
    return give_up(
        {ErrorCode::kUnavailable,
         with_report(fmt::format("waited in vain for {}, though all answer: {}", for_what, all))});
  }

  Status failed(const char* what, int code) {
    return give_up({ErrorCode::kUnavailable,
                    with_report(fmt::format("{}: {}", what, nccl_.describe(code, nullptr)))});
  }

  // The other ranks hear of it.
  Status give_up(const Error& error) {
    const Error said{error.code, fmt::format("rank {}: {}", impl_.mesh->rank(), error.message)};
    impl_.mesh->give_up(said);
    return said;
  }

  static std::string with_report(std::string message) {
    std::string report = nccl_report();
    if (report.empty()) return message;
    std::replace(report.begin(), report.end(), '\n', ' ');
    return message + "; NCCL's report: " + report;
  }

  const std::shared_ptr<NcclTeam> team_;
  Impl& impl_;
  const NcclLibrary& nccl_;
  const int number_;
  Impl::Channel& channel_;
  const std::vector<int> ranks_;  // Of the team.
  const std::unique_ptr<Communicator> host_;
};

}  // namespace

std::unique_ptr<Communicator> communicator(std::shared_ptr<NcclTeam> team, int channel) {
  NcclTeam::Impl& impl = *team->impl_;
  std::vector<int> ranks;
  for (int rank = 0; rank < impl.mesh->size(); ++rank) ranks.push_back(rank);
  return std::make_unique<NcclCommunicator>(std::move(team), impl, channel, std::move(ranks),
                                            communicator(impl.mesh, channel));
}

}  // namespace troupe::kernels::collective
