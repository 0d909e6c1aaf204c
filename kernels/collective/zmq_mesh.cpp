#include "kernels/collective/zmq_mesh.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "kernels/collective/zmq_links.h"
#include "schemas/check.h"
#include "schemas/descriptor.h"
#include "schemas/system_error.h"

namespace troupe::kernels::collective {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr int kFramesAtOnceMax = 64;  // Before deadlines and callers are looked at again.
// How long the last words may take: of a rank that is done, and of one whose team has ended.
constexpr milliseconds kFarewell(1'000), kLastWords(200);

// A reason that came over the network, fit for a log line.
std::string printable(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    const auto c = static_cast<char>(byte);
    text += c >= ' ' && c <= '~' ? c : '?';
  }
  return text;
}

// Of "tcp://10.0.0.7:4711"; empty for this host's own.
std::string host_of(const std::string& endpoint) {
  constexpr std::string_view kTcp = "tcp://";
  if (endpoint.rfind(kTcp, 0) != 0) return "";
  const std::string host = endpoint.substr(kTcp.size(), endpoint.rfind(':') - kTcp.size());
  return host == "127.0.0.1" ? "" : host;
}

ErrorCode code_of(uint32_t number) {
  for (const ErrorCode code : {ErrorCode::kInternal, ErrorCode::kCorruption}) {
    if (static_cast<uint32_t>(code) == number) return code;
  }
  return ErrorCode::kUnavailable;
}

}  // namespace

class ZmqMesh::Impl {
 public:
  // Throws zmq::error_t.
  Impl(Options options, Descriptor wake)
      : options_(std::move(options)),
        wake_(std::move(wake)),
        links_(options_),
        is_heard_(static_cast<size_t>(size())),
        has_left_(static_cast<size_t>(size())),
        heard_at_(static_cast<size_t>(size())),
        channels_(static_cast<size_t>(options_.num_channels)) {
    for (int channel = 0; channel < options_.num_channels; ++channel) {
      conversations_.emplace_back(channel, rank(), size(), links_);
    }
    is_heard_[static_cast<size_t>(rank())] = true;
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      is_closing_ = true;
    }
    wake();
    if (thread_.joinable()) thread_.join();
  }

  Status begin() {
    if (auto bound = links_.bind(); !bound) return bound;
    endpoint_ = links_.endpoint();
    thread_ = std::thread([this] { work(); });
    return ok();
  }

  int rank() const { return options_.seat.rank; }
  int size() const { return options_.seat.num_ranks(); }
  int num_channels() const { return options_.num_channels; }
  const std::string& endpoint() const { return endpoint_; }

  Status join(std::vector<std::string> endpoints, Deadline deadline) {
    if (endpoints.size() != static_cast<size_t>(size())) {
      return invalid_argument(
          fmt::format("a team of {} ranks has no {} endpoints", size(), endpoints.size()));
    }
    std::unique_lock lock(mutex_);
    TROUPE_CHECK(!to_join_ && !join_result_);
    to_join_ = Join{std::move(endpoints), deadline};
    wake();
    joined_.wait(lock, [this] { return join_result_.has_value(); });
    return *join_result_;
  }

  Status run(int number, const Transfer& transfer) {
    std::unique_lock lock(mutex_);
    Channel& channel = channels_[static_cast<size_t>(number)];
    TROUPE_CHECK(channel.transfer == nullptr);
    ++channel.progress.begun;
    channel.progress.under_way = transfer.kind;
    if (ended_) return error_of(transfer, number);
    TROUPE_CHECK(join_result_);
    channel.transfer = &transfer;
    new_.push_back(number);
    wake();
    channel.done.wait(lock, [&channel] { return channel.result.has_value(); });
    channel.transfer = nullptr;
    const Status result = *std::exchange(channel.result, std::nullopt);
    if (result) {
      ++channel.progress.done;
      channel.progress.under_way = Collective::kNone;
      channel.progress.waits_for = -1;
    }
    return result;
  }

  void give_up(const Error& reason) {
    const std::lock_guard lock(mutex_);
    if (!asked_to_end_) asked_to_end_ = reason;
    wake();
  }

  std::optional<Error> ended() const {
    const std::lock_guard lock(mutex_);
    return ended_ ? ended_ : asked_to_end_;
  }

  Progress progress(int channel) const {
    const std::lock_guard lock(mutex_);
    return channels_[static_cast<size_t>(channel)].progress;
  }

  Counts counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

 private:
  struct Channel {
    const Transfer* transfer = nullptr;  // The caller's, while it waits.
    std::optional<Status> result{};
    std::condition_variable done{};
    Progress progress{};
  };
  struct Join {
    std::vector<std::string> endpoints{};
    Deadline deadline{};
  };

  void wake() const {
    const uint64_t one = 1;
    // Fails only when the counter is full, and then the thread is awake.
    while (::write(wake_.get(), &one, sizeof(one)) < 0 && errno == EINTR) {
    }
  }

  Error error_of(const Transfer& transfer, int channel) const {
    return {ended_->code, fmt::format("{}: {}", describe(transfer, channel), ended_->message)};
  }

  // All below: the mesh's thread, which alone changes ended_.
  void work() {
    for (;;) {
      links_.wait(wake_.get(), time_left());
      if (!take_requests()) break;
      // Losses wait until everything that was said before has been heard.
      if (take_frames()) {
        for (const ZmqLinks::Loss& loss : links_.take_losses()) lost(loss);
        look_for_the_silent();
      }
      look_at_joining();
      look_at_operations();
    }
    for (int other = 0; other < size(); ++other) {
      if (has_left_[static_cast<size_t>(other)]) links_.forget(other);
    }
    if (!ended_) send_to_all({.type = FrameType::kLeave}, {});
    links_.close(ended_ ? kLastWords : kFarewell);
  }

  std::optional<milliseconds> time_left() const {
    if (ended_) return std::nullopt;
    Deadline first = next_beat_;
    const auto consider = [&first](Deadline deadline) { first = std::min(first, deadline); };
    if (joins_until_) consider(*joins_until_);
    for (const Conversation& conversation : conversations_) {
      if (conversation.is_under_way()) consider(conversation.transfer()->deadline);
    }
    return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(first - Clock::now()));
  }

  // False when the mesh is to close.
  bool take_requests() {
    uint64_t ignored = 0;
    // Before the requests are taken: what comes later wakes again.
    while (::read(wake_.get(), &ignored, sizeof(ignored)) < 0 && errno == EINTR) {
    }
    std::vector<std::pair<int, const Transfer*>> begun;
    std::optional<Error> reason;
    std::optional<Join> join;
    {
      const std::lock_guard lock(mutex_);
      if (is_closing_) return false;
      for (const int channel : new_) {
        begun.emplace_back(channel, channels_[static_cast<size_t>(channel)].transfer);
      }
      new_.clear();
      reason = asked_to_end_;
      join = std::exchange(to_join_, std::nullopt);
    }
    if (reason) end(*reason);
    if (join) begin_joining(*join);
    for (const auto& [channel, transfer] : begun) begin_operation(channel, *transfer);
    return true;
  }

  void begin_operation(int channel, const Transfer& transfer) {
    if (ended_) {
      finish(channel, error_of(transfer, channel));
      return;
    }
    if (auto begun = conversations_[static_cast<size_t>(channel)].begin(transfer); !begun) {
      end(begun.error());
    }
  }

  // True when nothing more is there.
  bool take_frames() {
    ZmqLinks::Incoming incoming;
    for (int i = 0; i < kFramesAtOnceMax; ++i) {
      if (!links_.receive(incoming)) return true;
      if (!ended_) hear(incoming);
    }
    return false;
  }

  void hear(const ZmqLinks::Incoming& incoming) {
    const int from = incoming.rank;
    heard_at_[static_cast<size_t>(from)] = Clock::now();
    const auto received =
        decode({static_cast<const std::byte*>(incoming.message.data()), incoming.message.size()});
    if (!received || received->frame.type != FrameType::kBeat) ++num_frames_;
    Status heard = received ? hear(from, *received) : Status(received.error());
    if (heard) return;
    Error error = heard.error();
    if (error.code == ErrorCode::kCorruption) {
      error.message =
          fmt::format("{} does not keep to the protocol: {}", title(from), error.message);
    }
    end(error);
  }

  Status hear(int from, const Received& received) {
    const Frame& frame = received.frame;
    const auto index = static_cast<size_t>(from);
    if (frame.type == FrameType::kHello) return hear_hello(from, frame);
    if (!is_heard_[index] || has_left_[index]) {
      return Error{ErrorCode::kCorruption, "it speaks before its hello or after its farewell"};
    }
    if (frame.type == FrameType::kBeat) return ok();
    if (frame.type == FrameType::kLeave) {
      has_left_[index] = true;
      return ok();
    }
    if (frame.type == FrameType::kGiveUp) {
      end({code_of(frame.count),
           fmt::format("{} (says {})", printable(received.payload), title(from))});
      return ok();
    }
    if (frame.channel >= options_.num_channels) {
      return Error{ErrorCode::kCorruption, fmt::format("there is no channel {}", frame.channel)};
    }
    return conversations_[frame.channel].receive(from, received);
  }

  Frame hello() const {
    return {.type = FrameType::kHello,
            .channel = static_cast<uint16_t>(options_.num_channels),
            .rank = static_cast<uint32_t>(rank()),
            .count = static_cast<uint32_t>(size()),
            .call = {.number = options_.seat.epoch}};
  }

  Status hear_hello(int from, const Frame& frame) {
    Frame expected = hello();
    expected.rank = static_cast<uint32_t>(from);
    if (is_heard_[static_cast<size_t>(from)]) {
      return Error{ErrorCode::kCorruption, "it says hello twice"};
    }
    is_heard_[static_cast<size_t>(from)] = true;
    if (frame != expected) {
      return Error{ErrorCode::kInternal,
                   fmt::format("rank {} is rank {} of {} with {} channels in epoch {}, and rank {} "
                               "is of {} with {} in epoch {}",
                               from, frame.rank, frame.count, frame.channel, frame.call.number,
                               rank(), size(), options_.num_channels, options_.seat.epoch)};
    }
    if (from > rank()) links_.send(from, hello(), {});
    return ok();
  }

  void begin_joining(const Join& join) {
    joins_until_ = join.deadline;
    for (const std::string& endpoint : join.endpoints) hosts_.push_back(host_of(endpoint));
    for (int other = 0; other < rank() && !ended_; ++other) {
      const std::string& endpoint = join.endpoints[static_cast<size_t>(other)];
      if (auto dialled = links_.dial(other, endpoint); !dialled) {
        end(dialled.error());
      } else {
        links_.send(other, hello(), {});
      }
    }
  }

  // The library's own heartbeats say nothing of a frozen rank whose connection is full: they wait
  // behind what it does not read, and only then begin to count.
  void look_for_the_silent() {
    const auto now = Clock::now();
    // Who was frozen here itself has heard nobody, and asks again.
    if (now - looked_at_ > options_.silence_max / 2) {
      std::fill(heard_at_.begin(), heard_at_.end(), now);
    }
    looked_at_ = now;
    for (int other = 0; other < size() && !ended_; ++other) {
      const auto index = static_cast<size_t>(other);
      if (other == rank() || !is_heard_[index] || has_left_[index]) continue;
      if (now - heard_at_[index] <= options_.silence_max) continue;
      end({ErrorCode::kUnavailable,
           fmt::format("{} is gone: {} has heard nothing of it for {} ms", title(other),
                       title(rank()), options_.silence_max.count())});
    }
    if (ended_ || now < next_beat_) return;
    next_beat_ = now + options_.heartbeat;
    for (int other = 0; other < size(); ++other) {
      if (other != rank() && is_heard_[static_cast<size_t>(other)]) {
        links_.send(other, {.type = FrameType::kBeat}, {});
      }
    }
  }

  void look_at_joining() {
    if (!joins_until_) return;
    const auto missing = std::find(is_heard_.begin(), is_heard_.end(), false);
    if (missing != is_heard_.end() && *joins_until_ <= Clock::now()) {
      end({ErrorCode::kUnavailable,
           fmt::format("{} has not joined in time",
                       title(static_cast<int>(missing - is_heard_.begin())))});
    }
    if (missing != is_heard_.end() && !ended_) return;
    joins_until_.reset();
    const std::lock_guard lock(mutex_);
    join_result_ = ended_ ? Status(*ended_) : ok();
    joined_.notify_all();
  }

  void look_at_operations() {
    const auto now = Clock::now();
    for (int channel = 0; channel < options_.num_channels; ++channel) {
      Conversation& conversation = conversations_[static_cast<size_t>(channel)];
      if (!conversation.is_under_way()) continue;
      if (conversation.is_done()) {
        finish(channel, ok());
        continue;
      }
      const Transfer& transfer = *conversation.transfer();
      const int waits_for = conversation.waits_for();
      for (const int other : transfer.ranks) {
        if (!has_left_[static_cast<size_t>(other)] || !conversation.is_open(other)) continue;
        end({ErrorCode::kUnavailable, fmt::format("{} has left", title(other))});
        return;
      }
      if (transfer.deadline <= now) {
        end({ErrorCode::kUnavailable, fmt::format("{} waited until its deadline: {}", title(rank()),
                                                  conversation.missing_from(waits_for))});
        return;
      }
      const std::lock_guard lock(mutex_);
      channels_[static_cast<size_t>(channel)].progress.waits_for = waits_for;
    }
    const std::lock_guard lock(mutex_);
    counts_ = {links_.num_admitted(), links_.num_refused(), num_frames_};
  }

  // The caller's memory is its own again.
  void finish(int channel, Status result) {
    conversations_[static_cast<size_t>(channel)].end();
    const std::lock_guard lock(mutex_);
    Channel& waiting = channels_[static_cast<size_t>(channel)];
    waiting.result = std::move(result);
    waiting.done.notify_one();
  }

  void lost(const ZmqLinks::Loss& loss) {
    // A rank that has said farewell may go; who still needs it is told by look_at_operations.
    if (ended_ || has_left_[static_cast<size_t>(loss.rank)]) return;
    end({ErrorCode::kUnavailable, fmt::format("{} is gone: {}", title(loss.rank), loss.reason)});
  }

  void end(const Error& reason) {
    if (ended_) return;
    {
      const std::lock_guard lock(mutex_);
      ended_ = reason;
    }
    const auto* text = reinterpret_cast<const std::byte*>(reason.message.data());
    send_to_all({.type = FrameType::kGiveUp, .count = static_cast<uint32_t>(reason.code)},
                {text, std::min(reason.message.size(), kReasonBytesMax)});
    for (int channel = 0; channel < options_.num_channels; ++channel) {
      const Conversation& conversation = conversations_[static_cast<size_t>(channel)];
      if (!conversation.is_under_way()) continue;
      // What is done is done.
      finish(channel,
             conversation.is_done() ? ok() : Status(error_of(*conversation.transfer(), channel)));
    }
  }

  // "rank 2 at 10.0.0.7", or only its number where all are on one host.
  std::string title(int other) const {
    const auto index = static_cast<size_t>(other);
    const bool is_elsewhere = index < hosts_.size() && !hosts_[index].empty();
    return fmt::format("rank {}{}", other, is_elsewhere ? " at " + hosts_[index] : "");
  }

  void send_to_all(const Frame& frame, std::span<const std::byte> payload) {
    for (int other = 0; other < size(); ++other) {
      if (other != rank()) links_.send(other, frame, payload);
    }
  }

  const Options options_;
  const Descriptor wake_;
  std::string endpoint_{};

  // The mesh's thread.
  ZmqLinks links_;
  std::vector<Conversation> conversations_{};  // By channel.
  std::vector<std::string> hosts_{};           // By rank, once they join; empty: this one.
  std::vector<bool> is_heard_;                 // By rank: its hello.
  std::vector<bool> has_left_;                 // By rank: its farewell.
  std::vector<Clock::time_point> heard_at_;    // By rank: its last frame.
  Clock::time_point looked_at_{};
  Clock::time_point next_beat_{};
  std::optional<Deadline> joins_until_{};  // While it does.
  uint64_t num_frames_ = 0;

  mutable std::mutex mutex_{};
  std::vector<Channel> channels_;
  std::vector<int> new_{};  // Channels whose operation has not been begun here.
  std::optional<Join> to_join_{};
  std::optional<Status> join_result_{};
  std::condition_variable joined_{};
  std::optional<Error> asked_to_end_{};
  std::optional<Error> ended_{};
  Counts counts_{};
  bool is_closing_ = false;

  std::thread thread_{};
};

ZmqMesh::ZmqMesh(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  make_numbers(impl_->num_channels());
}
ZmqMesh::~ZmqMesh() = default;

Result<std::shared_ptr<ZmqMesh>> ZmqMesh::open(Options options) {
  if (auto checked = check(options.seat); !checked) return checked.error();
  if (options.num_channels < 1 || options.num_channels > kChannelsMax ||
      options.num_io_threads < 1 || options.heartbeat <= milliseconds(0) ||
      options.silence_max < 4 * options.heartbeat) {
    return invalid_argument(
        fmt::format("a mesh has 1 to {} channels, threads for input and output, and four "
                    "heartbeats before it takes silence for an end",
                    kChannelsMax));
  }
  Descriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return system_error("cannot make an event", errno);
  try {
    auto impl = std::make_unique<Impl>(std::move(options), std::move(wake));
    if (auto begun = impl->begin(); !begun) return begun.error();
    return std::shared_ptr<ZmqMesh>(new ZmqMesh(std::move(impl)));
  } catch (const zmq::error_t& error) {
    return Error{ErrorCode::kInternal,
                 fmt::format("cannot make the sockets of a rank: {}", error.what())};
  }
}

const std::string& ZmqMesh::endpoint() const { return impl_->endpoint(); }
Status ZmqMesh::join(std::vector<std::string> endpoints, Deadline deadline) {
  return impl_->join(std::move(endpoints), deadline);
}
int ZmqMesh::rank() const { return impl_->rank(); }
int ZmqMesh::size() const { return impl_->size(); }
int ZmqMesh::num_channels() const { return impl_->num_channels(); }
Status ZmqMesh::run(int channel, const Transfer& transfer) { return impl_->run(channel, transfer); }
std::optional<Error> ZmqMesh::ended() const { return impl_->ended(); }
void ZmqMesh::give_up(const Error& reason) { impl_->give_up(reason); }
Progress ZmqMesh::progress(int channel) const { return impl_->progress(channel); }
ZmqMesh::Counts ZmqMesh::counts() const { return impl_->counts(); }

}  // namespace troupe::kernels::collective
