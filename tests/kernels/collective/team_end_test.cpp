// How a team ends: every rank is told at once and why, over every transport, and nobody hangs.
#include <doctest/doctest.h>

#include <algorithm>
#include <mutex>

#include "tests/kernels/collective/team_fixture.h"

namespace troupe::kernels {
namespace {

using namespace tests;  // NOLINT: the fixture is this file's language.

// What each rank's body returned, by rank.
std::vector<Status> statuses(const TestTeam& team,
                             const std::function<Status(Communicator&)>& body) {
  std::vector<Status> all(static_cast<size_t>(team.num_ranks()), ok());
  team.run([&](Communicator& at) {
    // Each thread its own element.
    all[static_cast<size_t>(at.rank())] = body(at);
  });
  return all;
}

bool says(const Status& status, ErrorCode code, const std::string& text) {
  if (!status && status.error().code == code &&
      status.error().message.find(text) != std::string::npos) {
    return true;
  }
  MESSAGE("instead: " << (status ? "ok" : status.error().message));
  return false;
}

// What each of two calls says, with bytes for two ranks.
Status gather(Communicator& at, size_t mine, const std::vector<size_t>& sizes) {
  std::vector<std::vector<std::byte>> to;
  std::vector<Part> parts;
  for (const size_t size : sizes) to.emplace_back(size);
  for (auto& bytes : to) parts.push_back(part_of(bytes));
  std::vector<std::byte> from(mine);
  return at.all_gather(nullptr, part_of(from), parts, soon());
}

// Of a rank that was late: it hears of the end at its second call if the others had begun the
// first.
Status late_barrier(const TestTeam& team, int rank) {
  Status late = team.at(rank)->barrier(soon());
  return late ? team.at(rank)->barrier(soon()) : late;
}

TEST_CASE("team_end: ranks that call different operations are told so") {
  for_each_team({2, 3}, 1, [](TestTeam& team) {
    const auto all = statuses(team, [](Communicator& at) {
      if (auto begun = at.barrier(soon()); !begun) return begun;
      return at.rank() == 1 ? at.barrier(soon())
                            : gather(at, 5, std::vector<size_t>(static_cast<size_t>(at.size()), 5));
    });
    for (const Status& status : all) {
      CHECK(says(status, ErrorCode::kInternal, "barrier number 1 (sends 0 bytes and expects 0"));
      CHECK(says(status, ErrorCode::kInternal, "all_gather number 1 (sends 5 bytes and expects 5"));
      CHECK(says(status, ErrorCode::kInternal, "rank 1 calls barrier"));
      CHECK(says(status, ErrorCode::kInternal, "on channel 0"));
    }
  });
}

TEST_CASE("team_end: ranks that disagree on sizes are told so, and no byte is written") {
  for_each_team({2}, 1, [](TestTeam& team) {
    std::vector<std::byte> canary(64, std::byte{0x5a});
    const auto all = statuses(team, [&canary](Communicator& at) {
      if (at.rank() == 0) return gather(at, 16, {16, 32});
      std::vector<std::byte> mine(33);
      const std::vector<Part> to = {{reinterpret_cast<uint64_t>(canary.data()), 16}, part_of(mine)};
      return at.all_gather(nullptr, part_of(mine), to, soon());
    });
    CHECK(says(all[0], ErrorCode::kInternal, "sends 33 bytes"));
    CHECK(says(all[0], ErrorCode::kInternal, "expects 32 bytes"));
    CHECK(says(all[1], ErrorCode::kInternal, "expects 32 bytes"));
    for (const std::byte byte : canary) CHECK(byte == std::byte{0x5a});
  });
}

TEST_CASE("team_end: so are those with other roots, bounds, or groups, or one call too many") {
  const std::function<Status(Communicator&)> cases[] = {
      [](Communicator& at) {
        std::vector<std::byte> bytes(4);
        return at.broadcast(nullptr, at.rank(), part_of(bytes), soon());
      },
      [](Communicator& at) {
        const auto all = at.exchange({}, 100 + at.rank(), soon());
        return all ? ok() : Status(all.error());
      },
      [](Communicator& at) {
        const std::vector<int> order = {at.rank(), 1 - at.rank()};
        return at.subset(order)->barrier(soon());
      },
      [](Communicator& at) {
        const std::vector<int> both = {0, 1};
        const auto twin = at.subset(both);
        if (at.rank() == 0) return twin->barrier(soon());
        return at.barrier(soon());
      },
  };
  for (const auto& body : cases) {
    for (const Transport transport : kTransports) {
      CAPTURE(name_of(transport));
      TestTeam team(transport, 2);
      // The fourth: the same list is the same group, so the same operation.
      const bool is_agreed = &body == &cases[3];
      for (const Status& status : statuses(team, body)) {
        if (is_agreed) {
          CHECK(status);
        } else {
          CHECK(says(status, ErrorCode::kInternal, "rank 0 calls"));
        }
      }
      // It stays so.
      if (is_agreed) continue;
      for (const Status& status :
           statuses(team, [](Communicator& at) { return at.barrier(soon()); })) {
        CHECK(says(status, ErrorCode::kInternal, "rank 0 calls"));
      }
    }
  }
}

TEST_CASE("team_end: a rank that is one call ahead of the others is told so") {
  for_each_team({2}, 1, [](TestTeam& team) {
    const int ranks[] = {0, 1};
    team.mesh(1).take_number(0, collective::group_of(ranks));
    const auto all = statuses(team, [](Communicator& at) { return at.barrier(soon()); });
    for (const Status& status : all) {
      CHECK(says(status, ErrorCode::kInternal, "rank 1 calls barrier number 1"));
      CHECK(says(status, ErrorCode::kInternal, "rank 0 calls barrier number 0"));
    }
  });
}

TEST_CASE("team_end: more than may be exchanged is refused on all ranks") {
  for_each_team({2, 3}, 1, [](TestTeam& team) {
    const auto all = statuses(team, [](Communicator& at) {
      const std::vector<std::byte> mine(at.rank() == 1 ? 101 : 100);
      const auto exchanged = at.exchange(mine, 100, soon());
      return exchanged ? ok() : Status(exchanged.error());
    });
    for (const Status& status : all) {
      CHECK(says(status, ErrorCode::kInternal, "rank 1 has 101 bytes to exchange"));
    }
  });
}

TEST_CASE("team_end: a deadline names who was waited for") {
  for_each_team({2, 3}, 1, [](TestTeam& team) {
    const int last = team.num_ranks() - 1;
    std::vector<Status> all(static_cast<size_t>(team.num_ranks()), ok());
    const auto begun = std::chrono::steady_clock::now();
    team.run([&](Communicator& at) {
      if (at.rank() == last) return;
      all[static_cast<size_t>(at.rank())] =
          at.barrier(at.rank() == 0 ? after(milliseconds(50)) : soon());
    });
    CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(20));
    for (int rank = 0; rank < last; ++rank) {
      CHECK(says(all[static_cast<size_t>(rank)], ErrorCode::kUnavailable,
                 "rank " + std::to_string(last)));
    }
    CHECK(says(late_barrier(team, last), ErrorCode::kUnavailable, "rank " + std::to_string(last)));
  });
}

TEST_CASE("team_end: a deadline that has passed already fails, unless nobody is waited for") {
  for_each_team({1, 2}, 1, [](TestTeam& team) {
    const Status status = team.at(0)->barrier(after(milliseconds(-1)));
    CHECK(static_cast<bool>(status) == (team.num_ranks() == 1));
  });
}

TEST_CASE("team_end: abort ends whoever waits, on all channels, subsets and ranks") {
  for_each_team({3}, 2, [](TestTeam& team) {
    std::mutex mutex;
    std::vector<Status> all;
    std::vector<std::thread> threads;
    const auto wait = [&](int rank, int channel, bool is_subset) {
      threads.emplace_back([&, rank, channel, is_subset] {
        const auto at = team.at(rank, channel);
        const std::vector<int> pair = {0, 1};
        Status status = is_subset ? at->subset(pair)->barrier(soon()) : at->barrier(soon());
        const std::lock_guard lock(mutex);
        all.push_back(std::move(status));
      });
    };
    wait(0, 0, false);
    wait(0, 1, true);
    wait(2, 0, false);
    for (const auto& [rank, channel] : {std::pair{0, 0}, {0, 1}, {2, 0}}) {
      CHECK(eventually(
          [&team, r = rank, c = channel] { return team.at(r, c)->progress().waits_for == 1; }));
    }
    team.at(0)->abort();
    for (std::thread& thread : threads) thread.join();
    REQUIRE(all.size() == 3);
    for (const Status& status : all) {
      CHECK(says(status, ErrorCode::kUnavailable, "rank 0 was aborted"));
    }
    for (int rank = 0; rank < 3; ++rank) {
      CHECK(says(late_barrier(team, rank), ErrorCode::kUnavailable, "rank 0 was aborted"));
    }
  });
}

TEST_CASE("team_end: bytes under way at an abort are neither written nor read afterwards") {
  const auto abort_at_work = [](TestTeam& team) {
    constexpr size_t kSize = 16 << 20;
    std::thread stop([&team] {
      CHECK(eventually([&team] { return team.at(0)->progress().begun > 2; }));
      team.at(1)->abort();
    });
    team.run([](Communicator& at) {
      std::vector<std::byte> mine(kSize, std::byte{1});
      std::vector<std::byte> theirs(kSize);
      std::vector<Part> to(2, part_of(mine));
      to[static_cast<size_t>(1 - at.rank())] = part_of(theirs);
      for (;;) {
        std::fill(theirs.begin(), theirs.end(), std::byte{0});
        if (!at.all_gather(nullptr, part_of(mine), to, soon())) break;
      }
      // Whatever had come has come, and was read before the other rank had its memory back.
      CHECK(std::find(theirs.begin(), theirs.end(), std::byte{9}) == theirs.end());
      std::fill(theirs.begin(), theirs.end(), std::byte{7});
      std::fill(mine.begin(), mine.end(), std::byte{9});
      CHECK(eventually([turns = 0]() mutable { return ++turns > 20; }));
      CHECK(std::all_of(theirs.begin(), theirs.end(),
                        [](std::byte byte) { return byte == std::byte{7}; }));
    });
    stop.join();
  };
  for (int turn = 0; turn < 4; ++turn) for_each_team({2}, 1, abort_at_work);
}

TEST_CASE("team_end: a rank that leaves after its last operation takes nothing from the others") {
  for (int turn = 0; turn < 12; ++turn) {
    for (const Transport transport : kTransports) {
      CAPTURE(name_of(transport));
      TestTeam team(transport, 3);
      std::vector<std::thread> threads;
      for (int rank = 0; rank < 3; ++rank) {
        threads.emplace_back([&team, rank, turn] {
          {
            const auto at = team.at(rank);
            const auto size = static_cast<size_t>(turn) * 40'000;
            CHECK(good(gather(*at, size, std::vector<size_t>(3, size))));
          }
          team.leave(rank);
        });
      }
      for (std::thread& thread : threads) thread.join();
    }
  }
}

TEST_CASE("team_end: a rank that has left is missed by name") {
  for_each_team({2, 3}, 1, [](TestTeam& team) {
    const int last = team.num_ranks() - 1;
    team.run([](Communicator& at) { CHECK(good(at.barrier(soon()))); });
    team.leave(last);
    for (int rank = 0; rank < last; ++rank) {
      CHECK(says(team.at(rank)->barrier(soon()), ErrorCode::kUnavailable,
                 "rank " + std::to_string(last) + " has left"));
    }
  });
}

TEST_CASE("team_end: those who do not need the one that has left go on") {
  for_each_team({3}, 1, [](TestTeam& team) {
    team.run([](Communicator& at) { CHECK(good(at.barrier(soon()))); });
    team.leave(2);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < 2; ++rank) {
      threads.emplace_back([&team, rank] {
        const std::vector<int> pair = {0, 1};
        const auto both = team.at(rank)->subset(pair);
        for (int turn = 0; turn < 20; ++turn) CHECK(good(both->barrier(soon())));
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
}

}  // namespace
}  // namespace troupe::kernels
