// What a communicator promises, over every transport.
#include <doctest/doctest.h>

#include <atomic>
#include <random>

#include "kernels/collective/frame.h"
#include "tests/kernels/collective/team_fixture.h"

namespace troupe::kernels {
namespace {

using namespace tests;  // NOLINT: the fixture is this file's language.

// One all_to_all whose part from rank a to rank b has size(a, b) bytes; true when all came.
bool exchanges(Communicator& team, const std::function<size_t(int, int)>& size) {
  std::vector<std::vector<std::byte>> from, to;
  std::vector<Part> from_parts, to_parts;
  for (int other = 0; other < team.size(); ++other) {
    from.push_back(bytes_between(team.rank(), other, size(team.rank(), other)));
    to.emplace_back(size(other, team.rank()));
  }
  for (int other = 0; other < team.size(); ++other) {
    from_parts.push_back(part_of(from[static_cast<size_t>(other)]));
    to_parts.push_back(part_of(to[static_cast<size_t>(other)]));
  }
  if (!good(team.all_to_all(nullptr, from_parts, to_parts, soon()))) return false;
  for (int other = 0; other < team.size(); ++other) {
    if (to[static_cast<size_t>(other)] !=
        bytes_between(other, team.rank(), size(other, team.rank()))) {
      return false;
    }
  }
  return true;
}

TEST_CASE("communicator: all_to_all brings each part to its rank") {
  for_each_team(
      {1, 2, 3, 4}, 1,
      [](TestTeam& team) {
        team.run([](Communicator& at) {
          for (int i = 0; i < 20; ++i) {
            CHECK(exchanges(at, [i](int from, int to) {
              return static_cast<size_t>(1 + i * 97 + from * 1'000 + to * 10);
            }));
          }
        });
      },
      kAllTransports);
}

TEST_CASE("communicator: parts may be empty, of one whole message, or of many") {
  constexpr size_t kChunk = collective::kChunkBytesMax;
  for_each_team(
      {2, 3}, 1,
      [](TestTeam& team) {
        team.run([](Communicator& at) {
          CHECK(exchanges(at, [](int, int) { return 0; }));
          CHECK(exchanges(at, [](int from, int to) { return from < to ? 3'000'001 : 0; }));
          CHECK(exchanges(at, [](int from, int) { return from == 0 ? 0 : kChunk; }));
          CHECK(exchanges(at, [](int, int to) { return kChunk + static_cast<size_t>(to); }));
        });
      },
      kAllTransports);
}

TEST_CASE("communicator: all_gather, broadcast, exchange and barrier in turns") {
  for_each_team(
      {1, 2, 3, 4}, 1,
      [](TestTeam& team) {
        team.run([](Communicator& at) {
          const auto me = static_cast<size_t>(at.rank()), all = static_cast<size_t>(at.size());
          for (size_t turn = 0; turn < 10; ++turn) {
            // In place: the own part lies where it belongs already.
            std::vector<std::vector<std::byte>> gathered(all);
            std::vector<Part> parts;
            for (size_t r = 0; r < all; ++r) {
              gathered[r].resize(100 * r + turn);
              if (r == me) gathered[r] = bytes_between(at.rank(), 0, gathered[r].size());
              parts.push_back(part_of(gathered[r]));
            }
            CHECK(good(at.all_gather(nullptr, parts[me], parts, soon())));
            for (size_t r = 0; r < all; ++r) {
              CHECK(gathered[r] == bytes_between(static_cast<int>(r), 0, gathered[r].size()));
            }

            const int root = static_cast<int>(turn % all);
            auto shared = bytes_between(at.rank(), 1, 5'000);
            CHECK(good(at.broadcast(nullptr, root, part_of(shared), soon())));
            CHECK(shared == bytes_between(root, 1, 5'000));

            const auto mine = bytes_between(at.rank(), 2, me * turn * 50'000);
            const auto exchanged = at.exchange(mine, 50'000 * 40, soon());
            CHECK(exchanged);
            if (!exchanged) return;
            for (size_t r = 0; r < all; ++r) {
              CHECK((*exchanged)[r] == bytes_between(static_cast<int>(r), 2, r * turn * 50'000));
            }
            CHECK(good(at.barrier(soon())));
          }
          const Progress progress = at.progress();
          CHECK(progress.begun == 40);
          CHECK(progress.done == 40);
          CHECK(progress.under_way == Collective::kNone);
          CHECK(progress.waits_for == -1);
        });
      },
      kAllTransports);
}

TEST_CASE("communicator: nobody is through a barrier before all have come to it") {
  for_each_team(
      {2, 4}, 1,
      [](TestTeam& team) {
        std::atomic<int> arrived{0};
        team.run([&arrived](Communicator& at) {
          for (int turn = 1; turn <= 50; ++turn) {
            ++arrived;
            CHECK(good(at.barrier(soon())));
            CHECK(arrived >= turn * at.size());
            CHECK(good(at.barrier(soon())));
          }
        });
      },
      kAllTransports);
}

TEST_CASE("communicator: what was sent may be overwritten, what was received stays") {
  for_each_team(
      {2, 3}, 1,
      [](TestTeam& team) {
        team.run([](Communicator& at) {
          const auto all = static_cast<size_t>(at.size());
          constexpr size_t kSize = 300'000;
          std::vector<std::byte> mine(kSize);
          std::vector<std::vector<std::byte>> to(all, std::vector<std::byte>(kSize));
          std::vector<Part> parts;
          for (auto& bytes : to) parts.push_back(part_of(bytes));
          for (int turn = 0; turn < 20; ++turn) {
            const auto of = [turn](int rank) { return static_cast<std::byte>(turn * 16 + rank); };
            std::fill(mine.begin(), mine.end(), of(at.rank()));
            CHECK(good(at.all_gather(nullptr, part_of(mine), parts, soon())));
            std::fill(mine.begin(), mine.end(), std::byte{0xff});
            for (size_t r = 0; r < all; ++r) {
              CHECK(std::all_of(to[r].begin(), to[r].end(),
                                [&](std::byte byte) { return byte == of(static_cast<int>(r)); }));
            }
          }
        });
      },
      kAllTransports);
}

TEST_CASE("communicator: subsets have numbers of their own and take turns with the whole") {
  for_each_team(
      {4}, 1,
      [](TestTeam& team) {
        team.run([](Communicator& at) {
          // Pairs (0, 1), (3, 2); then those with the same place in them.
          const std::vector<int> pair = at.rank() < 2 ? std::vector{0, 1} : std::vector{3, 2};
          const int place = at.rank() < 2 ? at.rank() : 3 - at.rank();
          const std::vector<int> across = place == 0 ? std::vector{0, 3} : std::vector{1, 2};
          const auto within = at.subset(pair), between = at.subset(across);
          CHECK(within->rank() == place);
          CHECK(within->size() == 2);
          CHECK(between->rank() == (at.rank() < 2 ? 0 : 1));
          for (int turn = 0; turn < 20; ++turn) {
            CHECK(exchanges(*within, [turn](int, int) { return turn * 1'000; }));
            if (turn % 3 == 0) CHECK(good(at.barrier(soon())));
            CHECK(exchanges(*between, [turn](int, int) { return turn * 100; }));
            std::vector<std::byte> number(1, static_cast<std::byte>(at.rank()));
            CHECK(good(within->broadcast(nullptr, 1, part_of(number), soon())));
            CHECK(number[0] == static_cast<std::byte>(pair[1]));
          }
          // The same list again goes on where the first one is.
          CHECK(good(at.subset(pair)->barrier(soon())));
          CHECK(good(within->barrier(soon())));
          const std::vector<int> alone = {at.rank()};
          CHECK(good(at.subset(alone)->barrier(soon())));
          CHECK(exchanges(at, [](int, int) { return 10; }));
        });
      },
      kAllTransports);
}

TEST_CASE("communicator: channels do not cross, whatever the order of their threads") {
  constexpr int kChannels = 4;
  for_each_team(
      {2, 3}, kChannels,
      [](TestTeam& team) {
        std::vector<std::thread> threads;
        for (int rank = 0; rank < team.num_ranks(); ++rank) {
          for (int channel = 0; channel < kChannels; ++channel) {
            threads.emplace_back([&team, rank, channel] {
              const auto at = team.at(rank, channel);
              for (int turn = 0; turn < 30; ++turn) {
                CHECK(exchanges(*at, [&](int, int) {
                  return static_cast<size_t>(channel * 70'000 + turn * 100 + 1);
                }));
              }
            });
          }
        }
        for (std::thread& thread : threads) thread.join();
      },
      kAllTransports);
}

TEST_CASE("communicator: one channel may wait while another works") {
  for_each_team(
      {2}, 2,
      [](TestTeam& team) {
        std::thread early([&team] { CHECK(good(team.at(0, 1)->barrier(soon()))); });
        CHECK(eventually([&team] { return team.at(0, 1)->progress().waits_for == 1; }));
        CHECK(team.at(0, 1)->progress().under_way == Collective::kBarrier);
        CHECK(team.at(0, 1)->progress().begun == 1);
        CHECK(team.at(0, 1)->progress().done == 0);
        team.run([](Communicator& at) {
          for (int turn = 0; turn < 10; ++turn) CHECK(good(at.barrier(soon())));
        });
        CHECK(good(team.at(1, 1)->barrier(soon())));
        early.join();
      },
      kAllTransports);
}

}  // namespace
}  // namespace troupe::kernels
