#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cluster/cli/command.h"
#include "cluster/cli/door.h"
#include "cluster/cli/live_terminal.h"
#include "cluster/monitor/run_view.h"
#include "cluster/monitor/top_page.h"
#include "cluster/monitor/top_state.h"

namespace troupe::cluster {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kRefresh{500};  // Of jobs, hosts and a page without keys.
// Keys wait for no more than these.
constexpr std::chrono::milliseconds kListenToKeys{30};
constexpr std::chrono::milliseconds kListenToFeed{50};
constexpr std::chrono::milliseconds kDeadline{2'000};  // Of a question; keys wait meanwhile.

// A job as far as its feed tells, over a connection of its own: what was asked for a job that
// nobody looks at any more ends with it.
struct Followed {
  Followed(std::unique_ptr<FrontDoorClient> own, uint64_t job)
      : id(job), client(std::move(own)), reader(clock, sink), follower(*client, reader, job) {}

  uint64_t id;
  std::unique_ptr<FrontDoorClient> client;
  FeedClock clock{};
  StateSink sink{[this] { return clock.now(); }};
  FeedReader reader;
  JobFollower follower;
};

// The daemon's news for the state. A daemon that is away for a moment is no reason to leave: what
// went wrong is told on the page.
class News {
 public:
  News(FrontDoorClient::Options server, FrontDoorClient& client)
      : server_(std::move(server)), client_(client) {}

  const Followed* followed() const { return followed_.get(); }

  void refresh(TopState& state) {
    state.tell("");
    if (auto jobs = list_jobs(client_)) {
      state.list(without_own_name(std::move(*jobs), client_));
    } else {
      state.tell(jobs.error().message);
    }
    if (state.wants_hosts()) {
      if (auto reply = client_.ask(ListHosts{})) {
        state.list(std::move(reply->hosts));
      } else {
        state.tell(reply.error().message);
      }
    }
    const auto wanted = state.followed_job();
    if (!wanted) {
      followed_.reset();
    } else if (!followed_ || followed_->id != *wanted) {
      if (Status begun = follow(*wanted); !begun) state.tell(begun.error().message);
    }
  }

  // Listens for so long at most.
  void listen(TopState& state) {
    if (!followed_) return;
    if (!followed_->reader.has_ended()) {
      // The next refresh says what is wrong, if it still is.
      (void)!followed_->follower.follow(kListenToFeed);
    }
    state.have_traces(followed_->sink.state().answers.size());
  }

 private:
  Status follow(uint64_t job) {
    followed_.reset();
    auto client = FrontDoorClient::connect(server_);
    if (!client) return client.error();
    followed_ = std::make_unique<Followed>(std::move(*client), job);
    return followed_->follower.begin();
  }

  const FrontDoorClient::Options server_;
  FrontDoorClient& client_;
  std::unique_ptr<Followed> followed_{};
};

void show_live(const FrontDoorClient::Options& server, FrontDoorClient& client) {
  LiveTerminal terminal;
  PageWriter writer(stdout, {.has_colours = has_colours()});
  KeyReader keys;
  TopState state;
  News news(server, client);
  Clock::time_point refresh_at{};
  Clock::time_point draw_at{};
  ViewSize drawn{};
  while (!terminal.is_asked_to_leave() && !state.has_quit()) {
    const std::string bytes = terminal.typed(kListenToKeys);
    const auto before = std::pair(state.page(), state.followed_job());
    for (const KeyPress& key : bytes.empty() ? keys.pause() : keys.read(bytes)) {
      state.press(key);
      draw_at = {};
    }
    if (std::pair(state.page(), state.followed_job()) != before || Clock::now() >= refresh_at) {
      news.refresh(state);
      refresh_at = Clock::now() + kRefresh;
    }
    news.listen(state);
    if (terminal.has_come_back() || state.takes_redraw()) {
      writer.forget();
      draw_at = {};
    }
    const ViewSize size = terminal_size(stdout);
    if (Clock::now() < draw_at && size == drawn) continue;
    const Followed* followed = news.followed();
    TopPage page = render_top(state, followed ? &followed->sink.state() : nullptr,
                              {size.columns, size.rows - 1}, followed ? followed->clock.now() : 0);
    writer.draw(page.lines, size);
    drawn = size;
    state.drawn(page.rows_shown, page.rows);
    draw_at = Clock::now() + kRefresh;
  }
}

Status top(const ServerChoice& server) {
  auto options = find_server(server);
  if (!options) return options.error();
  const bool is_live = can_redraw(stdout);
  if (is_live) options->deadline = kDeadline;
  auto client = FrontDoorClient::connect(*options);
  if (!client) return client.error();
  if (is_live) {
    show_live(*options, **client);
    return ok();
  }
  const auto jobs = list_jobs(**client);
  if (!jobs) return jobs.error();
  for (const std::string& line :
       job_table(sorted(without_own_name(*jobs, **client), JobOrder::kState))) {
    std::printf("%s\n", line.c_str());
  }
  return ok();
}

}  // namespace

void add_top(Command& program, int& exit_code) {
  Command command = program.add_command("top", "Watch the whole cluster");
  command.footer(
      "The jobs and the one that is chosen, one job, the hosts, answers to held-out problems; ? "
      "on\n"
      "the page says the keys, q leaves it. Once, as plain lines, when standard output is no\n"
      "terminal.\n"
      "Example:\n  troupe top");
  auto server = std::make_shared<ServerChoice>();
  add_server_options(command, *server);
  command.callback([server, &exit_code] {
    const Status done = top(*server);
    exit_code = done ? 0 : report("top", done.error());
  });
}

}  // namespace troupe::cluster
