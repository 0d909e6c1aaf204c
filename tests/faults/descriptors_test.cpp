// A daemon that may have few files open, and users who open more connections than that.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cluster/gateway/front_door.h"
#include "tests/faults/submission_kills.h"
#include "tests/support/killed_run.h"

namespace troupe {
namespace {

using tests::Ended;
using tests::Process;
using tests::ShortJob;

constexpr rlim_t kFew = 512;

// Connections that say nothing and are kept.
class Flood {
 public:
  explicit Flood(const std::string& path) {
    address_.sun_family = AF_UNIX;
    std::memcpy(address_.sun_path, path.c_str(), path.size() + 1);
  }
  ~Flood() {
    for (const int socket : sockets_) ::close(socket);
  }
  // Returns how many of `count` were taken, or wait to be; a door that begins anew takes none, and
  // is tried again for half a minute.
  int open(int count) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    int opened = 0;
    while (opened < count && std::chrono::steady_clock::now() < end) {
      const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      REQUIRE(socket >= 0);
      const timeval patience{.tv_sec = 0, .tv_usec = 200'000};
      ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
      if (::connect(socket, reinterpret_cast<const sockaddr*>(&address_), sizeof(address_)) == 0) {
        ++opened;
        sockets_.push_back(socket);
      } else {
        ::close(socket);
        ::poll(nullptr, 0, 1);
      }
    }
    return opened;
  }

 private:
  sockaddr_un address_{};
  std::vector<int> sockets_{};
};

// The descriptors of a process by number, and what they are.
std::map<rlim_t, std::string> descriptors_of(pid_t pid) {
  std::error_code gone;
  std::map<rlim_t, std::string> open;
  const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
  for (std::filesystem::directory_iterator at(folder, gone), end; !gone && at != end;
       at.increment(gone)) {
    std::error_code closed;
    open[std::stoul(at->path().filename())] =
        std::filesystem::read_symlink(at->path(), closed).string();
  }
  return open;
}

// Whether every number below the limit is in use: what was inherited may have a higher one.
bool has_none_left(pid_t pid, rlim_t limit) {
  const auto open = descriptors_of(pid);
  return static_cast<rlim_t>(std::distance(open.begin(), open.lower_bound(limit))) == limit;
}

TEST_CASE("descriptors: more connections than it may have files open do a daemon no harm") {
  const ShortJob job;
  const JobSpec spec = tests::endless_job(job);
  const std::string server = job.file("door");
  const tests::Invocation invocation{
      .arguments = {"--home", job.file("home"), "--server", server, "--slots", "1"},
      .name = "trouped",
      .descriptors_max = kFew};
  Process daemon(invocation);
  REQUIRE(daemon.says("serving"));
  tests::SubmissionLog log;
  tests::ClientCounts counts;
  tests::submit_all(server, spec, 0, 1, 20, log, counts);
  size_t most = 0;
  int opened = 0;
  {
    std::vector<std::thread> floods;
    std::atomic<int> opened_by_all{0};
    std::atomic<int> at_work{4};
    std::vector<std::unique_ptr<Flood>> kept;
    for (int i = 0; i < 4; ++i) {
      kept.push_back(std::make_unique<Flood>(cluster::control_socket(server)));
    }
    for (auto& flood : kept) {
      floods.emplace_back([&opened_by_all, &at_work, &flood] {
        opened_by_all += flood->open(200);
        --at_work;
      });
    }
    // Somebody who keeps to the rules comes in between.
    std::thread user([&] { tests::submit_all(server, spec, 20, 1, 40, log, counts); });
    while (at_work > 0) {
      most = std::max(most, descriptors_of(daemon.pid()).size());
      ::poll(nullptr, 0, 1);
    }
    for (auto& flood : floods) flood.join();
    opened = opened_by_all;
    kept.clear();
    user.join();
  }
  MESSAGE(opened << " connections opened, the daemon had up to " << most << " of " << kFew
                 << " files open; " << counts.failed.load() << " of " << counts.asked.load()
                 << " requests had to be sent again");
  CHECK(opened > static_cast<int>(kFew));
  CHECK(tests::is_running(daemon.pid()));
  tests::submit_all(server, spec, 40, 1, 60, log, counts);
  auto client = cluster::FrontDoorClient::connect({.folder = server});
  REQUIRE(client);
  const auto jobs = cluster::list_jobs(**client);
  REQUIRE(jobs);
  CHECK(jobs->size() == 60);
  CHECK(log.ids().size() == 60);
  CHECK(log.num_changed() == 0);
}

TEST_CASE(
    "descriptors: a daemon that has none left takes jobs all the same, and goes on with some") {
  const ShortJob job;
  const JobSpec spec = tests::endless_job(job);
  const std::string server = job.file("door");
  Process daemon(tests::Invocation{
      .arguments = {"--home", job.file("home"), "--server", server, "--slots", "1"},
      .name = "trouped"});
  REQUIRE(daemon.says("serving"));
  tests::SubmissionLog log;
  tests::ClientCounts counts;
  tests::submit_all(server, spec, 0, 1, 3, log, counts);
  auto client = cluster::FrontDoorClient::connect({.folder = server});
  REQUIRE(client);
  REQUIRE(cluster::list_jobs(**client));
  // A pipe that nobody writes to has a number from its opening on, and is listed only after it.
  const int pipe = ::open(job.file("pipe").c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(pipe >= 0);
  REQUIRE(daemon.waits_for(
      [&] {
        for (const auto& [number, what] : descriptors_of(daemon.pid())) {
          if (what == job.file("pipe")) return true;
        }
        return false;
      },
      std::chrono::seconds(20)));
  rlimit before{};
  REQUIRE(::prlimit(daemon.pid(), RLIMIT_NOFILE, nullptr, &before) == 0);
  rlimit none = before;
  none.rlim_cur = descriptors_of(daemon.pid()).size() + 2;
  REQUIRE(::prlimit(daemon.pid(), RLIMIT_NOFILE, &none, nullptr) == 0);
  {
    Flood flood(cluster::control_socket(server));
    CHECK(flood.open(50) == 50);
    CHECK(daemon.waits_for([&] { return has_none_left(daemon.pid(), none.rlim_cur); },
                           std::chrono::seconds(10)));
    // A commit takes no file of its own.
    const auto amid =
        cluster::only_job((*client)->ask(SubmitJob{.request_id = "amid", .job = spec}));
    REQUIRE_MESSAGE(amid, (amid ? "" : amid.error().message));
  }
  // The users have gone, and the limit is what it was: by itself it goes on.
  REQUIRE(::prlimit(daemon.pid(), RLIMIT_NOFILE, &before, nullptr) == 0);
  REQUIRE(daemon.waits_for(
      [&] {
        return static_cast<bool>(
            cluster::only_job((*client)->ask(SubmitJob{.request_id = "amid", .job = spec})));
      },
      std::chrono::seconds(20)));
  tests::submit_all(server, spec, 3, 1, 6, log, counts);
  CHECK(tests::is_running(daemon.pid()));
  const auto jobs = cluster::list_jobs(**client);
  REQUIRE(jobs);
  CHECK(jobs->size() == 7);
  ::close(pipe);
}

TEST_CASE("descriptors: a daemon that may not have enough says so before it begins") {
  const ShortJob job;
  const Ended ended = tests::troupe(tests::Invocation{
      .arguments = {"--home", job.file("home"), "--server", job.file("door"), "--slots", "1"},
      .name = "trouped",
      .descriptors_max = 100});
  CHECK(ended.exit_code == 2);
  CHECK_MESSAGE(ended.error.find("limit of open files is 100") != std::string::npos, ended.error);
  CHECK(ended.error.find("ulimit -n") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(job.file("home")));
}

}  // namespace
}  // namespace troupe
