// What a channel makes of frames: those that ranks of this program send in any order that a network
// allows, and those that nobody of this program would send.
#include "kernels/collective/conversation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <utility>

#include "tests/kernels/collective/team_fixture.h"

namespace troupe::kernels::collective {
namespace {

using tests::bytes_between;
using tests::part_of;

using Bytes = std::vector<std::byte>;

// Messages between ranks, in order between two of them and in any order otherwise.
class Network {
 public:
  Network() = default;

  void add(int from, int to, Bytes message) {
    auto& queue = queues_[{from, to}];
    queue.push_back(std::move(message));
    most_ = std::max(most_, queue.size());
  }
  // One of the next messages, by chance.
  bool take(std::mt19937& random, int& from, int& to, Bytes& message) {
    std::vector<std::pair<int, int>> ready;
    for (const auto& [ends, queue] : queues_) {
      if (!queue.empty()) ready.push_back(ends);
    }
    if (ready.empty()) return false;
    const auto ends = ready[random() % ready.size()];
    std::tie(from, to) = ends;
    message = std::move(queues_[ends].front());
    queues_[ends].pop_front();
    return true;
  }
  size_t most() const { return most_; }

 private:
  std::map<std::pair<int, int>, std::deque<Bytes>> queues_{};
  size_t most_ = 0;
};

class Sink final : public FrameSink {
 public:
  Sink(Network& network, int from) : network_(network), from_(from) {}
  void send(int rank, const Frame& frame, std::span<const std::byte> payload) override {
    Bytes message(kFrameBytes + payload.size());
    encode(frame, std::span<std::byte, kFrameBytes>(message.data(), kFrameBytes));
    std::copy(payload.begin(), payload.end(), message.begin() + kFrameBytes);
    network_.add(from_, rank, std::move(message));
  }

 private:
  Network& network_;
  const int from_;
};

// One rank that does all_to_alls of sizes of its own, one after another.
class Rank {
 public:
  Rank(Network& network, int rank, int num_ranks)
      : rank_(rank), sink_(network, rank), conversation_(0, rank, num_ranks, sink_) {
    for (int other = 0; other < num_ranks; ++other) ranks_.push_back(other);
  }

  static size_t size(uint64_t turn, int from, int to) {
    return (turn * 7'919 + static_cast<uint64_t>(from * 3 + to) * 1'047'291) % 5'000'000;
  }

  Status begin() {
    from_.clear();
    to_.clear();
    from_parts_.clear();
    to_parts_.clear();
    for (const int other : ranks_) {
      from_.push_back(bytes_between(rank_, other, size(turn_, rank_, other)));
      to_.emplace_back(size(turn_, other, rank_));
    }
    for (size_t i = 0; i < ranks_.size(); ++i) {
      from_parts_.push_back(part_of(from_[i]));
      to_parts_.push_back(part_of(to_[i]));
    }
    transfer_ = {.kind = Collective::kAllToAll,
                 .group = group_of(ranks_),
                 .number = turn_,
                 .ranks = ranks_,
                 .me = static_cast<size_t>(rank_),
                 .from = from_parts_,
                 .to = to_parts_};
    return conversation_.begin(transfer_);
  }

  // Ends what is done; true when there was something.
  bool finish() {
    if (!conversation_.is_under_way() || !conversation_.is_done()) return false;
    for (const int other : ranks_) {
      if (other == rank_) continue;
      CHECK(to_[static_cast<size_t>(other)] ==
            bytes_between(other, rank_, size(turn_, other, rank_)));
    }
    conversation_.end();
    ++turn_;
    return true;
  }

  Conversation& conversation() { return conversation_; }
  uint64_t turn() const { return turn_; }

 private:
  const int rank_;
  Sink sink_;
  Conversation conversation_;
  std::vector<int> ranks_{};
  std::vector<Bytes> from_{}, to_{};
  std::vector<Part> from_parts_{}, to_parts_{};
  Transfer transfer_{};
  uint64_t turn_ = 0;
};

TEST_CASE("conversation: every order that a network allows gives the same bytes") {
  constexpr int kRanks = 3;
  constexpr uint64_t kTurns = 4;
  for (uint32_t seed = 0; seed < 6; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    Network network;
    std::vector<std::unique_ptr<Rank>> ranks;
    for (int rank = 0; rank < kRanks; ++rank) {
      ranks.push_back(std::make_unique<Rank>(network, rank, kRanks));
    }
    const auto all_done = [&] {
      return std::all_of(ranks.begin(), ranks.end(),
                         [](const auto& rank) { return rank->turn() == kTurns; });
    };
    int idle = 0;
    while (!all_done()) {
      // A rank may be late to begin.
      Rank& one = *ranks[random() % kRanks];
      bool has_moved = one.finish();
      if (!one.conversation().is_under_way() && one.turn() < kTurns && random() % 4 == 0) {
        REQUIRE(one.begin());
        has_moved = true;
      }
      int from = 0, to = 0;
      Bytes message;
      if (network.take(random, from, to, message)) {
        const auto received = decode(message);
        REQUIRE(received);
        REQUIRE(ranks[static_cast<size_t>(to)]->conversation().receive(from, *received));
        has_moved = true;
      }
      idle = has_moved ? 0 : idle + 1;
      REQUIRE(idle < 1'000);  // Nobody waits for nothing.
    }
    // Chunks in flight, their acknowledgements, and a begin.
    CHECK(network.most() <= 2 * kChunksInFlightMax + 2);
    CHECK(network.most() >= kChunksInFlightMax);
  }
}

TEST_CASE("conversation: what a rank may not say now is refused by name") {
  Network network;
  Rank rank(network, 0, 2);
  Conversation& at = rank.conversation();
  const Bytes payload(16);
  const auto refuses = [&](const Frame& frame, std::span<const std::byte> bytes) {
    const Status status = at.receive(1, {frame, bytes});
    return !status && status.error().code == ErrorCode::kCorruption &&
           status.error().message.find("rank 1") != std::string::npos;
  };
  const Frame chunk{.type = FrameType::kChunk};
  const Frame acknowledge{.type = FrameType::kAcknowledge, .count = 1};
  CHECK(refuses(chunk, payload));
  CHECK(refuses(acknowledge, {}));
  REQUIRE(rank.begin());
  CHECK(refuses(chunk, payload));  // Not before its begin.
  const int ranks[] = {0, 1};
  Frame begin{.type = FrameType::kBegin,
              .call = {.kind = Collective::kAllToAll,
                       .group = group_of(ranks),
                       .sends = Rank::size(0, 1, 0),
                       .expects = Rank::size(0, 0, 1)}};
  REQUIRE(at.receive(1, {begin, {}}));
  Frame misplaced = chunk;
  misplaced.offset = 1;
  CHECK(refuses(misplaced, payload));
  misplaced = chunk;
  misplaced.call.number = 1;
  CHECK(refuses(misplaced, payload));
  const Bytes too_long(Rank::size(0, 1, 0) + 1);
  CHECK(refuses(chunk, too_long));
  Frame too_many = acknowledge;
  too_many.count = kChunksInFlightMax + 1;
  CHECK(refuses(too_many, {}));
  too_many.count = 0;
  CHECK(refuses(too_many, {}));
  begin.call.number = 1;
  REQUIRE(at.receive(1, {begin, {}}));  // One ahead.
  begin.call.number = 2;
  CHECK(refuses(begin, {}));
  CHECK(refuses({.type = FrameType::kHello}, {}));
}

TEST_CASE("frame: comes back as it went, and only whole ones do") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 1'000; ++i) {
    const Frame frame{.type = FrameType::kBegin,
                      .channel = static_cast<uint16_t>(random()),
                      .call = {.kind = Collective{static_cast<uint8_t>(1 + random() % 5)},
                               .group = random(),
                               .number = random(),
                               .argument = random(),
                               .sends = random() % kPartBytesMax,
                               .expects = i % 2 == 0 ? kAnyBytes : random() % kPartBytesMax}};
    Bytes message(kFrameBytes);
    encode(frame, std::span<std::byte, kFrameBytes>(message.data(), kFrameBytes));
    const auto received = decode(message);
    REQUIRE(received);
    CHECK(received->frame == frame);
    CHECK(received->payload.empty());
    message.push_back(std::byte{0});
    CHECK(!decode(message));
    message.resize(random() % kFrameBytes);
    CHECK(!decode(message));
  }
}

// What frames may be made of, so that many get past the first checks.
Bytes random_message(std::mt19937& random) {
  const uint64_t numbers[] = {
      0, 1, 2, 7, 8, 9, 64, 4'096, kChunkBytesMax, kAnyBytes, 1ULL << 45, 1ULL << 47, random()};
  const auto number = [&] { return numbers[random() % std::size(numbers)]; };
  const int ranks[] = {0, 1};
  Frame frame{.type = FrameType{static_cast<uint8_t>(random() % 8)}};
  const auto fill = [&](bool is_wanted, auto& field) {
    if (is_wanted || random() % 16 == 0) {
      field = static_cast<std::remove_reference_t<decltype(field)>>(number());
    }
  };
  const bool is_begin = frame.type == FrameType::kBegin;
  if (is_begin && random() % 2 == 0) {
    // One that agrees with many a call.
    const uint64_t size = random() % 3 == 0 ? 4'096 : random() % 2;
    frame.call = {
        .kind = Collective::kAllToAll, .group = group_of(ranks), .sends = size, .expects = size};
    if (random() % 2 == 0) {
      frame.call.kind = Collective::kExchange;
      frame.call.argument = 4'096;
      frame.call.sends = random() % 3 == 0 ? number() : random() % 100;
      frame.call.expects = kAnyBytes;
    }
    Bytes message(kFrameBytes);
    encode(frame, std::span<std::byte, kFrameBytes>(message.data(), kFrameBytes));
    return message;
  }
  if (is_begin) {
    frame.call.kind = Collective{static_cast<uint8_t>(random() % 7)};
    frame.call.group = random() % 4 == 0 ? number() : group_of(ranks);
  }
  fill(is_begin, frame.call.argument);
  fill(is_begin, frame.call.sends);
  fill(is_begin, frame.call.expects);
  fill(random() % 2 == 0 && frame.type == FrameType::kChunk, frame.offset);
  fill(random() % 2 == 0 && (is_begin || frame.type == FrameType::kChunk), frame.call.number);
  fill(frame.type == FrameType::kAcknowledge, frame.count);
  if (random() % 8 == 0) fill(true, frame.channel);
  Bytes message(kFrameBytes + (random() % 2 == 0 ? random() % 100 : 0));
  encode(frame, std::span<std::byte, kFrameBytes>(message.data(), kFrameBytes));
  if (random() % 8 == 0) message[random() % message.size()] = static_cast<std::byte>(random());
  if (random() % 32 == 0) message.resize(random() % (message.size() + 1));
  return message;
}

class CountingSink final : public FrameSink {
 public:
  void send(int, const Frame&, std::span<const std::byte> payload) override {
    ++frames;
    bytes += payload.size();
  }
  size_t frames = 0;
  size_t bytes = 0;
};

TEST_CASE("conversation: 300,000 random frames write nothing beside their place") {
  std::mt19937 random(20'260'101);
  constexpr size_t kSize = 4'096, kGuard = 256;
  const std::vector<int> ranks = {0, 1};
  int decoded = 0, taken = 0, done = 0, resized = 0;
  for (int round = 0; round < 3'000; ++round) {
    CountingSink sink;
    Conversation conversation(0, 0, 2, sink);
    Bytes memory(kSize + 2 * kGuard, std::byte{0x77});
    const Bytes source(kSize);
    std::vector<Bytes> all(2);
    const uint64_t size = random() % 3 == 0 ? kSize : random() % 2;
    const bool is_exchange = random() % 2 == 0;
    const std::vector<Part> from(
        2, {reinterpret_cast<uint64_t>(source.data()), static_cast<int64_t>(size)});
    const std::vector<Part> to(
        2, {reinterpret_cast<uint64_t>(memory.data() + kGuard), static_cast<int64_t>(size)});
    const Transfer transfer{.kind = is_exchange ? Collective::kExchange : Collective::kAllToAll,
                            .group = group_of(ranks),
                            .argument = is_exchange ? kSize : 0,
                            .ranks = ranks,
                            .from = from,
                            .to = to,
                            .received = is_exchange ? &all : nullptr};
    if (random() % 2 == 0) REQUIRE(conversation.begin(transfer));
    for (int i = 0; i < 100; ++i) {
      const Bytes message = random_message(random);
      const auto received = decode(message);
      if (!received) continue;
      ++decoded;
      if (received->frame.type == FrameType::kGiveUp) continue;
      // A rank that is refused is a team that has ended; this goes on to reach more.
      if (conversation.receive(1, *received)) ++taken;
      if (conversation.is_under_way() && conversation.is_done()) {
        ++done;
        conversation.end();
      }
    }
    for (size_t i = 0; i < kGuard; ++i) {
      REQUIRE(memory[i] == std::byte{0x77});
      REQUIRE(memory[kGuard + size + i] == std::byte{0x77});
    }
    REQUIRE(all[1].size() <= kSize);
    resized += !all[1].empty();
    REQUIRE(sink.bytes <= size);
    REQUIRE(sink.frames <= 200);
  }
  // It has been somewhere.
  CHECK(decoded > 50'000);
  CHECK(taken > 3'000);
  CHECK(done > 20);
  CHECK(resized > 20);
}

}  // namespace
}  // namespace troupe::kernels::collective
