#include "cluster/gateway/front_door.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "cluster/monitor/metrics_feed.h"
#include "tests/cluster/gateway/door_fixture.h"
#include "tests/support/process.h"

namespace troupe::cluster {
namespace {

using std::chrono::milliseconds;
using tests::client_of;
using tests::eventually;
using tests::JobBook;
using tests::open_door;
using tests::RawClient;

TEST_CASE("front_door: each verb comes to the daemon and its answer back") {
  const tests::TempDir dir;
  JobBook book;
  const auto door = open_door({.folder = dir.file("door")}, book.at_once());
  const auto client = client_of(dir.file("door"));
  JobSpec job;
  job.name = "mine";
  const auto submitted = client->ask(SubmitJob{"request-1", job});
  REQUIRE(submitted);
  REQUIRE(submitted->jobs.size() == 1);
  CHECK(submitted->jobs[0].id == 1);
  CHECK(submitted->jobs[0].name == "mine");
  CHECK(client->ask(SubmitJob{"request-1", job})->jobs[0].id == 1);  // The same request, one job.
  CHECK(client->ask(SubmitJob{"request-2", job})->jobs[0].id == 2);
  CHECK(client->ask(ListJobs{})->jobs.size() == 2);
  CHECK(client->ask(ListJobs{2})->jobs.size() == 1);
  CHECK(client->ask(ShowJob{2})->jobs[0].id == 2);
  CHECK(client->ask(JobLogs{2, 5})->lines == std::vector<std::string>{"line of job 2"});
  CHECK(client->ask(JobLogs{2, 5})->next == 6);
  CHECK(client->ask(WatchJob{2, 0})->events.size() == 1);
  CHECK(client->ask(PauseJob{1})->jobs[0].state == JobState::kPaused);
  CHECK(client->ask(ResumeJob{1})->jobs[0].state == JobState::kQueued);
  CHECK(client->ask(CancelJob{1})->jobs[0].state == JobState::kCancelled);
  const auto refused = client->ask(ShowJob{99});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kInvalidArgument);
  CHECK(refused.error().message == "there is no job 99");
}

TEST_CASE("front_door: answers may come from any thread, in any order, and count once") {
  const tests::TempDir dir;
  JobBook book;
  std::vector<std::thread> threads;
  std::vector<std::function<void()>> waiting;
  constexpr int kRequests = 12;
  const auto door = open_door(
      {.folder = dir.file("door")},
      [&](ControlRequest request, const Asker&, std::function<void(ControlReply)> answer) {
        const uint64_t id = std::get<ShowJob>(request).id;
        waiting.push_back([id, answer = std::move(answer)] {
          answer({.jobs = {{.id = id}}});
          answer({.jobs = {{.id = 999}}});
        });
        if (waiting.size() < kRequests) return;
        while (!waiting.empty()) {  // The last first.
          threads.emplace_back(std::move(waiting.back()));
          waiting.pop_back();
        }
      });
  RawClient client(dir.file("door"));
  for (uint64_t i = 0; i < kRequests; ++i) client.send("tag" + std::to_string(i), ShowJob{i});
  std::vector<bool> seen(kRequests, false);
  for (int i = 0; i < kRequests; ++i) {
    const auto [tag, reply] = client.receive();
    REQUIRE(reply.jobs.size() == 1);
    CHECK(tag == "tag" + std::to_string(reply.jobs[0].id));
    seen.at(reply.jobs[0].id) = true;
  }
  CHECK(std::count(seen.begin(), seen.end(), true) == kRequests);
  for (auto& thread : threads) thread.join();
}

TEST_CASE("front_door: what is no request is answered with what is wrong, or dropped") {
  const tests::TempDir dir;
  JobBook book;
  const auto door = open_door({.folder = dir.file("door")}, book.at_once());
  RawClient hostile(dir.file("door"));
  const auto good = client_of(dir.file("door"));
  for (const char* payload : {"", "x", "12345678", "garbage that is no message"}) {
    hostile.send({"tag", payload});
    const auto [tag, reply] = hostile.receive();
    CHECK(tag == "tag");
    REQUIRE(reply.error);
    CHECK(reply.error->code == ErrorCode::kCorruption);
    CHECK_FALSE(reply.error->message.empty());
    CHECK(good->ask(ListJobs{}));
  }
  CHECK(door->counts().undecodable == 4);
  hostile.send({"one frame"});
  hostile.send({"tag", "three", "frames"});
  hostile.send(std::vector<std::string>(50, "many frames"));
  hostile.send({std::string(kDoorTagBytesMax + 1, 't'), "payload"});
  CHECK(eventually([&] { return door->counts().malformed == 4; }));
  CHECK(good->ask(ListJobs{}));
}

TEST_CASE("front_door: a message that is too long ends its connection and nothing else") {
  const tests::TempDir dir;
  JobBook book;
  const auto door = open_door({.folder = dir.file("door")}, book.at_once());
  const auto good = client_of(dir.file("door"));
  RawClient hostile(dir.file("door"));
  hostile.send({"tag", std::string(kControlBytesMax + 1, 'x')});
  hostile.send({"tag", std::string(8, 'x')});  // On a new connection.
  CHECK(hostile.receive().second.error->code == ErrorCode::kCorruption);
  CHECK(good->ask(ListJobs{}));
  CHECK(door->counts().undecodable == 1);
}

TEST_CASE("front_door: a flood is told to wait, and others are served meanwhile") {
  const tests::TempDir dir;
  JobBook book;
  const auto door = open_door(
      {.folder = dir.file("door"), .limits = {.per_client_per_second = 1, .per_client_burst = 50}},
      book.at_once());
  RawClient loud(dir.file("door"));
  const auto good = client_of(dir.file("door"));
  for (int i = 0; i < 40; ++i) {
    for (int j = 0; j < 50; ++j) loud.send("flood", ListJobs{});
    CHECK(good->ask(ListJobs{}));
  }
  int refused = 0;
  while (refused == 0) {
    const auto [tag, reply] = loud.receive();
    if (!reply.error) continue;
    CHECK(reply.error->code == ErrorCode::kOverloaded);
    CHECK(reply.error->message.find("again in ") != std::string::npos);
    ++refused;
  }
  CHECK(eventually([&] { return door->counts().overloaded >= 1'900; }));
  CHECK(door->counts().requests <= 50 + 40 + 30);
}

TEST_CASE("front_door: requests in flight are bounded, and an answer that never comes is said") {
  const tests::TempDir dir;
  std::vector<std::function<void(ControlReply)>> kept;
  const auto door = open_door(
      {.folder = dir.file("door"),
       .limits = {.in_flight_per_client_max = 4},
       .answer_deadline = milliseconds(300)},
      [&kept](const ControlRequest&, const Asker&, std::function<void(ControlReply)> answer) {
        kept.push_back(std::move(answer));
      });
  RawClient client(dir.file("door"));
  for (int i = 0; i < 6; ++i) client.send("tag", ShowJob{1});
  int overloaded = 0;
  int unknown = 0;
  for (int i = 0; i < 6; ++i) {
    const auto reply = client.receive().second;
    REQUIRE(reply.error);
    overloaded += reply.error->code == ErrorCode::kOverloaded;
    unknown += reply.error->code == ErrorCode::kUnknownOutcome;
  }
  CHECK(overloaded == 2);
  CHECK(unknown == 4);
  for (const auto& answer : kept) answer({});  // Too late: nobody hears it.
  client.send("next", ShowJob{1});
  CHECK(client.receive().first == "next");
}

TEST_CASE(
    "front_door: a second daemon is refused while the first lives, and what a dead one left "
    "is replaced") {
  const tests::TempDir dir;
  const std::string folder = dir.file("deep/er/door");
  JobBook book;
  auto first = open_door({.folder = folder}, book.at_once());
  const auto second = FrontDoor::open({.folder = folder}, book.at_once());
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::kInvalidArgument);
  CHECK(second.error().message.find("another daemon serves " + folder) == 0);
  CHECK(client_of(folder)->ask(ListJobs{}));  // The first is as it was.
  first.reset();
  CHECK_FALSE(std::filesystem::exists(control_socket(folder)));
  // What kill -9 leaves: files at the sockets' paths and a lock that nobody holds.
  tests::write_text(control_socket(folder), "stale");
  tests::write_text(feed_socket(folder), "stale");
  first = open_door({.folder = folder}, book.at_once());
  CHECK(client_of(folder)->ask(ListJobs{}));
}

TEST_CASE("front_door: the folder is closed to others, or refused") {
  const tests::TempDir dir;
  JobBook book;
  {
    const auto door = open_door({.folder = dir.file("new")}, book.at_once());
    struct stat about {};
    REQUIRE(::stat(dir.file("new").c_str(), &about) == 0);
    CHECK((about.st_mode & 0777) == 0700);
  }
  std::filesystem::create_directory(dir.file("open"));
  REQUIRE(::chmod(dir.file("open").c_str(), 0750) == 0);
  std::filesystem::create_directory_symlink(dir.file("new"), dir.file("link"));
  tests::write_text(dir.file("file"), "");
  for (const std::string& folder :
       {dir.file("open"), dir.file("link"), dir.file("file"), dir.file("file/door"), std::string(),
        dir.file(std::string(100, 'x'))}) {
    CAPTURE(folder);
    const auto refused = FrontDoor::open({.folder = folder}, book.at_once());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kInvalidArgument);
    CHECK(refused.error().message.find('\n') == std::string::npos);
  }
  const auto refused = FrontDoor::open({.folder = dir.file(std::string(100, 'x'))}, book.at_once());
  CHECK(refused.error().message.find("the system takes 107") != std::string::npos);
}

TEST_CASE("front_door: a folder of somebody else is refused") {
  if (::geteuid() != 0) return;  // Only root can make one.
  const tests::TempDir dir;
  std::filesystem::create_directory(dir.file("theirs"));
  REQUIRE(::chmod(dir.file("theirs").c_str(), 0700) == 0);
  REQUIRE(::chown(dir.file("theirs").c_str(), 12345, 12345) == 0);
  JobBook book;
  const auto refused = FrontDoor::open({.folder = dir.file("theirs")}, book.at_once());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("another user") != std::string::npos);
}

TEST_CASE("front_door: whoever opens ever more connections loses them, others come back") {
  const tests::TempDir dir;
  JobBook book;
  const auto door = open_door({.folder = dir.file("door"), .connections_max = 32}, book.at_once());
  const auto good = client_of(dir.file("door"));
  CHECK(good->ask(ListJobs{}));
  for (const bool is_feed : {false, true}) {
    const auto path = is_feed ? feed_socket(dir.file("door")) : control_socket(dir.file("door"));
    const uint64_t restarts = door->counts().restarts;
    std::vector<int> held;
    CHECK(eventually([&] {
      const int socket = held.size() < 200 ? tests::connect_bare(path) : -1;
      if (socket >= 0) held.push_back(socket);
      return door->counts().restarts > restarts;
    }));
    CHECK(held.size() >= 16);
    CHECK(good->ask(ListJobs{}));
    CHECK(client_of(dir.file("door"))->ask(ListJobs{}));
    for (const int socket : held) ::close(socket);
  }
}

TEST_CASE("front_door: events reach those who subscribed to their job") {
  const tests::TempDir dir;
  JobBook book;
  const auto door = open_door({.folder = dir.file("door")}, book.at_once());
  const auto client = client_of(dir.file("door"));
  CHECK_FALSE(*client->next_event(milliseconds(0)));
  REQUIRE(client->subscribe(1));
  uint64_t sequence = 0;
  // The subscription takes effect when the daemon has heard of it.
  CHECK(eventually([&] {
    ++sequence;
    for (const uint64_t job : {1, 12, 2}) {
      door->publish(feed_topic(job), "",
                    encode(RunEvent{.job = job, .sequence = sequence, .what = Noted{"hello"}}));
    }
    const auto event = client->next_event(milliseconds(10));
    REQUIRE(event);
    return event->has_value();
  }));
  // No other job's, and in order.
  uint64_t last = 0;
  for (auto event = client->next_event(milliseconds(0)); *event;
       event = client->next_event(milliseconds(0))) {
    CHECK((*event)->job == 1);
    CHECK((*event)->sequence > last);
    last = (*event)->sequence;
  }
  door->publish(feed_topic(1), "", std::vector<std::byte>(13));
  Result<std::optional<RunEvent>> event = std::optional<RunEvent>{};
  CHECK(eventually([&] {
    event = client->next_event(milliseconds(10));
    return !event;
  }));
  CHECK(event.error().code == ErrorCode::kCorruption);
}

TEST_CASE("front_door: events that nobody can take in time are lost, not kept") {
  const tests::TempDir dir;
  JobBook book;
  const auto door =
      open_door({.folder = dir.file("door"), .event_bytes_waiting_max = 1'000}, book.at_once());
  door->publish("job/1/", "", std::vector<std::byte>(2'000));
  CHECK(door->counts().events_lost == 1);
  CHECK(client_of(dir.file("door"))->ask(ListJobs{}));
}

TEST_CASE("front_door_client: no daemon is one clear line, at once") {
  const tests::TempDir dir;
  std::filesystem::create_directory(dir.file("empty"));
  for (const std::string& folder : {dir.file("empty"), dir.file("missing")}) {
    const auto client = FrontDoorClient::connect({.folder = folder});
    REQUIRE_FALSE(client);
    CHECK(client.error().code == ErrorCode::kInternal);
    CHECK(client.error().message.find("no daemon serves " + folder) == 0);
  }
  CHECK(FrontDoorClient::connect({.folder = std::string(200, 'x')}).error().code ==
        ErrorCode::kInvalidArgument);
}

TEST_CASE("front_door_client: a daemon that does not answer is not waited for") {
  const tests::TempDir dir;
  std::vector<std::function<void(ControlReply)>> kept;
  const auto door = open_door(
      {.folder = dir.file("door")},
      [&kept](const ControlRequest&, const Asker&, std::function<void(ControlReply)> answer) {
        if (kept.empty()) {
          kept.push_back(std::move(answer));
        } else {
          kept.front()({.next = 1});  // Late, under the tag before.
          answer({.next = 2});
        }
      });
  const auto client = client_of(dir.file("door"), milliseconds(200));
  const auto reply = client->ask(ListJobs{});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == ErrorCode::kUnknownOutcome);
  CHECK(reply.error().message ==
        "no answer from " + dir.file("door") + " within 0.2 s; is trouped running?");
  // The late answer is not taken for the next one's.
  CHECK(client->ask(ListJobs{})->next == 2);
}

TEST_CASE("front_door_client: a submit whose connection breaks is sent again and is one job") {
  const tests::TempDir dir;
  JobBook book;
  std::atomic<int> heard{0};
  // The first daemon does the work and dies before it answers.
  auto door = open_door({.folder = dir.file("door")},
                        [&](const ControlRequest& request, const Asker&, const auto&) {
                          (void)book.serve(request);
                          ++heard;
                        });
  const auto client = client_of(dir.file("door"));
  Result<ControlReply> submitted = ControlReply{};
  std::thread asking([&] { submitted = client->ask(SubmitJob{"once", {}}); });
  CHECK(eventually([&] { return heard == 1; }));
  door.reset();
  door = open_door({.folder = dir.file("door")}, book.at_once());
  asking.join();
  REQUIRE(submitted);
  CHECK(submitted->jobs[0].id == 1);
  CHECK(client->ask(ListJobs{})->jobs.size() == 1);
}

TEST_CASE("front_door_client: a change whose connection breaks has an unknown outcome") {
  const tests::TempDir dir;
  std::atomic<int> heard{0};
  auto door = open_door({.folder = dir.file("door")},
                        [&](const ControlRequest&, const Asker&, const auto&) { ++heard; });
  const auto client = client_of(dir.file("door"));
  Result<ControlReply> changed = ControlReply{};
  std::thread asking([&] { changed = client->ask(CancelJob{1}); });
  CHECK(eventually([&] { return heard == 1; }));
  door.reset();
  asking.join();
  REQUIRE_FALSE(changed);
  CHECK(changed.error().code == ErrorCode::kUnknownOutcome);
}

TEST_CASE("front_door: requests per second of one client, one at a time and many") {
  const tests::TempDir dir;
  JobBook book;
  const auto door = open_door({.folder = dir.file("door"),
                               .limits = {.in_flight_max = 1'000,
                                          .in_flight_per_client_max = 1'000,
                                          .per_second = 1e9,
                                          .burst = 1e9,
                                          .per_client_per_second = 1e9,
                                          .per_client_burst = 1e9}},
                              book.at_once());
  constexpr int kRequests = 5'000;
  const auto seconds_of = [](const std::function<void()>& work) {
    const auto began = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  };
  const auto client = client_of(dir.file("door"));
  const double one = seconds_of([&] {
    for (int i = 0; i < kRequests; ++i) REQUIRE(client->ask(ListJobs{}));
  });
  RawClient raw(dir.file("door"));
  const double many = seconds_of([&] {
    for (int i = 0; i < kRequests; ++i) {
      raw.send("tag", ListJobs{});
      if (i >= 32) raw.receive();
    }
    for (int i = 0; i < 32; ++i) raw.receive();
  });
  CHECK(door->counts().requests == 2 * kRequests);
  MESSAGE("one at a time " << kRequests / one << " requests/s, 32 at a time " << kRequests / many);
}

}  // namespace
}  // namespace troupe::cluster
