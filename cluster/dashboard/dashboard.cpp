#include "cluster/dashboard/dashboard.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <thread>
#include <utility>

#include "cluster/dashboard/access.h"
#include "cluster/dashboard/board_json.h"
#include "cluster/dashboard/http_server.h"
#include "cluster/dashboard/page_texts.h"
#include "cluster/dashboard/prometheus_text.h"
#include "cluster/dashboard/recent_replies.h"
#include "cluster/keys/keys_folder.h"
#include "cluster/monitor/job_json.h"
#include "cluster/monitor/trace_files.h"
#include "schemas/json_text.h"

namespace troupe::cluster {
namespace {

using Json = nlohmann::ordered_json;
using Answer = HttpServer::Answer;

constexpr size_t kReadingsMax = 64;   // Of files that wait their turn.
constexpr size_t kBoardsMax = 8;      // Of jobs that do not run, as they were last read.
constexpr size_t kPointsMax = 2'000;  // Of a curve.
constexpr size_t kPointsDefault = 600;
constexpr size_t kNamesMax = 64;  // Of curves at once.
constexpr std::chrono::milliseconds kReplyIsGood{500};
constexpr uint64_t kWhyMax = 16;  // Jobs that wait and are told why.

int64_t unix_now() { return static_cast<int64_t>(seconds_since_1970()); }

HttpReply json_reply(const Json& json) {
  return {.body = std::make_shared<const std::string>(to_text(json, {.replaces_invalid = true}))};
}

HttpReply error_reply(const Error& error) {
  const bool is_later = error.code == ErrorCode::kOverloaded;
  const bool is_unknown = error.code == ErrorCode::kInvalidArgument;
  return http_error(is_later ? 503 : is_unknown ? 404 : 500, error.message);
}

// Reads files, one after another, so that the server's thread need not.
class FileReader {
 public:
  FileReader() : thread_([this] { run(); }) {}
  ~FileReader() {
    {
      const std::lock_guard lock(mutex_);
      is_ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  // False: too many wait.
  bool add(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.size() == kReadingsMax) return false;
      waiting_.push_back(std::move(work));
    }
    changed_.notify_all();
    return true;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return is_ended_ || !waiting_.empty(); });
      if (is_ended_) return;
      const auto work = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      work();
      lock.lock();
    }
  }

  std::mutex mutex_{};
  std::condition_variable changed_{};
  bool is_ended_ = false;
  std::deque<std::function<void()>> waiting_{};
  std::thread thread_;
};

// Boards of jobs that do not run now, from their files; on the reader's thread.
class StoredBoards {
 public:
  const RunBoard& find(const std::string& home) {
    std::error_code ignored;
    const auto size = std::filesystem::file_size(metrics_path(home), ignored);
    for (auto at = kept_.begin(); at != kept_.end(); ++at) {
      if (at->home != home) continue;
      if (at->size == size) {
        kept_.splice(kept_.begin(), kept_, at);
        return kept_.front().board;
      }
      kept_.erase(at);
      break;
    }
    RunBoard board = read_board(home);
    board.make_coarser();
    kept_.push_front({home, size, std::move(board)});
    if (kept_.size() > kBoardsMax) kept_.pop_back();
    return kept_.front().board;
  }

 private:
  struct Kept {
    std::string home{};
    uintmax_t size = 0;
    RunBoard board{};
  };
  std::list<Kept> kept_{};
};

struct CurveQuestion {
  std::string of{};
  std::vector<std::string> names{};
  size_t points = kPointsDefault;
  CurveCursor since{};

  const CurveTable* table_in(const RunBoard& board) const {
    if (of == "steps") return &board.steps();
    if (of == "evaluations") return &board.evaluations();
    return of == "samples" ? &board.samples() : nullptr;
  }
};

std::optional<CurveQuestion> curve_question(const std::map<std::string, std::string>& query) {
  CurveQuestion question;
  const auto text = [&](const char* name) {
    const auto found = query.find(name);
    return found == query.end() ? std::string() : found->second;
  };
  const auto number_or = [&](const char* name, uint64_t otherwise) -> std::optional<uint64_t> {
    return query.count(name) == 0 ? otherwise : parse_number(text(name));
  };
  question.of = text("of");
  std::istringstream names(text("names"));
  for (std::string name; std::getline(names, name, ',');) question.names.push_back(name);
  const auto points = number_or("points", kPointsDefault);
  const auto generation = number_or("generation", 0);
  const auto bucket = number_or("bucket", 0);
  const auto next = number_or("next", 0);
  if (!points || !generation || !bucket || !next || question.names.size() > kNamesMax) {
    return std::nullopt;
  }
  question.points = std::clamp<size_t>(*points, 2, kPointsMax);
  question.since = {.generation = *generation, .bucket = *bucket, .next = *next};
  return question;
}

}  // namespace

Result<DashboardSetting> parse_dashboard(const std::string& text) {
  DashboardSetting setting;
  if (text.empty()) return setting;
  setting.is_default = false;
  if (text == "off") {
    setting.is_on = false;
    return setting;
  }
  auto address = parse_host_port(text);
  if (!address) {
    return invalid_argument("--dashboard " + address.error().message + "; or say off");
  }
  setting.address = std::move(*address);
  return setting;
}

class Dashboard::Implementation {
 public:
  explicit Implementation(const Options& options)
      : access_({.is_loopback = is_this_host(options.address.host), .keys = options.keys}) {}

  Status listen(const Options& options) {
    rlimit descriptors{};
    HttpServer::Limits limits;
    // The rest is for files and workers.
    if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
      limits.connections_max = std::clamp<size_t>(descriptors.rlim_cur / 4, 16, 1'200);
    }
    auto server = HttpServer::open(
        {.address = options.address, .limits = limits},
        [this](HttpRequest request, Answer answer) { serve(std::move(request), answer); },
        [this] { return news(); });
    if (!server) return server.error();
    server_ = std::move(*server);
    return ok();
  }

  std::string url() const { return fmt::format("http://{}/", text_of(server_->address())); }

  void show(Sources sources) {
    const std::lock_guard lock(mutex_);
    sources_ = std::move(sources);
  }
  void hide() {
    const std::lock_guard lock(mutex_);
    sources_.reset();
  }

 private:
  // ---- On the server's thread.

  std::string news() { return fmt::format("{{\"tick\":{}}}", ++ticks_); }

  void serve(HttpRequest request, const Answer& answer) {
    HttpReply refused = access_.check_origin(request);
    if (refused.status != 0) return answer(std::move(refused));
    const std::string& path = request.target.path;
    if (path == "/session") return answer(access_.begin_session(request, unix_now()));
    if (request.method == "POST") return answer(http_error(405, "nothing is changed here"));
    // The page itself is no secret: it is in everybody's copy of the program.
    if (const PageText page = find_page_text(path); !page.text.empty()) {
      return answer({.content_type = std::string(page.content_type),
                     .body = std::make_shared<const std::string>(page.text)});
    }
    auto who = access_.find(request, unix_now());
    if (auto* nobody = std::get_if<HttpReply>(&who)) return answer(std::move(*nobody));
    const Asker& asker = std::get<Asker>(who);
    if (path == "/api/events") return answer({.is_event_stream = true});
    recent_.get(question_of(request, asker), RecentReplies::Clock::now(), answer,
                [&](const Answer& made) { route(request, asker, made); });
  }

  // Who asks for what.
  static std::string question_of(const HttpRequest& request, const Asker& asker) {
    std::string text =
        fmt::format("{}\n{}\n{}", asker.name, asker.is_operator, request.target.path);
    for (const auto& [name, value] : request.target.query) {
      text += fmt::format("\n{}\n{}", name, value);
    }
    return text;
  }

  void route(const HttpRequest& request, const Asker& asker, const Answer& answer) {
    const std::string& path = request.target.path;
    if (path == "/metrics") return metrics(asker, answer);
    const auto parts = path_parts(path);
    if (parts.size() >= 2 && parts[0] == "api") {
      if (parts.size() == 2 && parts[1] == "cluster") return cluster(asker, answer);
      const auto job =
          parts.size() >= 3 && parts[1] == "jobs" ? parse_number(parts[2]) : std::nullopt;
      if (job) return of_job(*job, parts, request, asker, answer);
    }
    answer(http_error(404, "there is nothing here"));
  }

  void of_job(uint64_t job, const std::vector<std::string_view>& parts, const HttpRequest& request,
              const Asker& asker, const Answer& answer) {
    // What is taken while nothing on the board may change, and what is made of it afterwards.
    using Reply = std::function<HttpReply()>;
    std::function<Reply(const JobSummary&, const RunBoard&)> take;
    if (parts.size() == 3) {
      take = [](const JobSummary& summary, const RunBoard& board) -> Reply {
        return [json = Json{{"job", to_json(summary)}, {"board", to_json(board)}}] {
          return json_reply(json);
        };
      };
    } else if (parts.size() == 4 && parts[3] == "curves") {
      auto question = curve_question(request.target.query);
      if (!question) return answer(http_error(400, "the question for curves cannot be read"));
      take = [question = std::move(*question)](const JobSummary&, const RunBoard& board) -> Reply {
        const CurveTable* const table = question.table_in(board);
        if (table == nullptr) {
          return [] { return http_error(400, "of is steps, evaluations or samples"); };
        }
        return [points = table->read(question.names, question.points, question.since)] {
          return json_reply(to_json(points));
        };
      };
    } else if (parts.size() == 4 && parts[3] == "work") {
      const auto found = request.target.query.find("since");
      const auto since = found == request.target.query.end() ? std::optional<uint64_t>(0)
                                                             : parse_number(found->second);
      if (!since) return answer(http_error(400, "since is whole seconds since 1970"));
      take = [since = static_cast<double>(*since)](const JobSummary&,
                                                   const RunBoard& board) -> Reply {
        return [json = work_json(board, since)] { return json_reply(json); };
      };
    } else if (parts.size() == 4 && parts[3] == "held-out") {
      return ask(ShowJob{job}, asker, answer, [=, this](const ControlReply& shown) {
        read_file(answer, [home = shown.jobs.at(0).home] {
          return json_reply(to_json(TraceFiles::held_out(traces_folder(home))));
        });
      });
    } else if (parts[3] == "rounds" && parts.size() <= 6) {
      const auto round = parts.size() > 4 ? parse_number(parts[4]) : std::nullopt;
      const auto ordinal = parts.size() > 5 ? parse_number(parts[5]) : std::nullopt;
      if ((parts.size() > 4 && !round) || (parts.size() > 5 && !ordinal)) {
        return answer(http_error(400, "rounds and groups are numbers"));
      }
      return ask(ShowJob{job}, asker, answer, [=, this](const ControlReply& shown) {
        read_file(answer, [home = shown.jobs.at(0).home, round, ordinal] {
          return traces(traces_folder(home), round, ordinal);
        });
      });
    } else {
      return answer(http_error(404, "there is nothing here"));
    }
    ask(ShowJob{job}, asker, answer, [this, job, answer, take](const ControlReply& shown) {
      const JobSummary summary = shown.jobs.at(0);
      const auto watched = find_job(job);
      read_file(answer, [this, summary, watched, take] {
        if (!watched) return take(summary, stored_.find(summary.home))();
        watched->read_past();
        Reply reply;
        watched->read([&](const RunBoard& board) { reply = take(summary, board); });
        return reply();
      });
    });
  }

  static HttpReply traces(const std::string& folder, std::optional<uint64_t> round,
                          std::optional<uint64_t> ordinal) {
    if (!round) {
      Json rounds = Json::array();
      for (const auto& one : TraceFiles::rounds(folder)) rounds.push_back(one.round);
      return json_reply({{"rounds", std::move(rounds)}});
    }
    const auto groups = TraceFiles::groups(folder, *round);
    if (!ordinal) return json_reply({{"round", *round}, {"groups", overview_of(groups)}});
    for (const nlohmann::json& group : groups) {
      if (group.at("ordinal") == *ordinal) {
        return {.body = std::make_shared<const std::string>(
                    to_text(group, {.replaces_invalid = true}))};
      }
    }
    return http_error(404, "this group is not among those that are kept");
  }

  void cluster(const Asker& asker, const Answer& answer) {
    ask(ListJobs{}, asker, answer, [=, this](const ControlReply& listed) {
      ask(ListHosts{}, asker, answer, [=, this](const ControlReply& hosts) {
        Json json{{"now", seconds_since_1970()}, {"who", asker.name}};
        json["jobs"] = Json::array();
        // The newest first: those are what people come for.
        for (auto job = listed.jobs.rbegin(); job != listed.jobs.rend(); ++job) {
          json["jobs"].push_back(to_json(*job));
        }
        json["hosts"] = Json::array();
        for (const HostSummary& host : hosts.hosts) json["hosts"].push_back(to_json(host));
        std::deque<uint64_t> queued;
        for (const JobSummary& job : listed.jobs) {
          if (job.state == JobState::kQueued && queued.size() < kWhyMax) queued.push_back(job.id);
        }
        json["waits"] = Json::object();
        explain(std::make_shared<Json>(std::move(json)), std::move(queued), asker, answer);
      });
    });
  }

  // Asks for one queued job after another why it waits.
  void explain(const std::shared_ptr<Json>& json, std::deque<uint64_t> queued, const Asker& asker,
               const Answer& answer) {
    if (queued.empty()) return answer(json_reply(*json));
    const uint64_t job = queued.front();
    queued.pop_front();
    ask(WhyJob{job}, asker, answer, [=, this](const ControlReply& why) {
      if (!why.lines.empty()) (*json)["waits"][std::to_string(job)] = why.lines.front();
      explain(json, queued, asker, answer);
    });
  }

  void metrics(const Asker& asker, const Answer& answer) {
    ask(ListJobs{}, asker, answer, [=, this](const ControlReply& listed) {
      ask(ListHosts{}, asker, answer, [=, this](const ControlReply& hosts) {
        PrometheusText out;
        add_hosts(out, hosts.hosts);
        for (const JobSummary& job : listed.jobs) {
          add_job(out, job);
          if (const auto watched = find_job(job.id)) {
            watched->read([&](const RunBoard& board) { add_board(out, job, board); });
          }
        }
        answer({.content_type = "text/plain; version=0.0.4; charset=utf-8",
                .body = std::make_shared<const std::string>(out.text())});
      });
    });
  }

  // ---- From any thread.

  // Answers with the error where there is one, and else goes on.
  void ask(ControlRequest request, const Asker& asker, const Answer& answer,
           std::function<void(const ControlReply&)> go_on) {
    const std::lock_guard lock(mutex_);
    if (!sources_) return answer(http_error(503, "the head is starting or stopping; ask again"));
    sources_->ask(std::move(request), asker,
                  [answer, go_on = std::move(go_on)](ControlReply reply) {
                    if (reply.error) {
                      answer(error_reply(*reply.error));
                    } else {
                      go_on(reply);
                    }
                  });
  }

  std::shared_ptr<WatchedJob> find_job(uint64_t job) {
    const std::lock_guard lock(mutex_);
    return sources_ ? sources_->find_job(job) : nullptr;
  }

  void read_file(const Answer& answer, std::function<HttpReply()> read) {
    if (!reader_.add([answer, read = std::move(read)] { answer(read()); })) {
      answer(http_error(503, "too many ask for files right now; ask again"));
    }
  }

  const Access access_;
  std::mutex mutex_{};
  std::optional<Sources> sources_{};  // Guarded by mutex_.
  RecentReplies recent_{kReplyIsGood};
  uint64_t ticks_ = 0;     // Of the server's thread.
  StoredBoards stored_{};  // Of the reader's thread.
  // Their threads use what is above.
  FileReader reader_{};
  std::unique_ptr<HttpServer> server_{};
};

Result<std::unique_ptr<Dashboard>> Dashboard::open(const Options& options) {
  if (!is_this_host(options.address.host)) {
    if (Status checked = check_keys_folder(options.keys); !checked) {
      return invalid_argument(fmt::format("a dashboard at {} is for those who have a token: {}",
                                          text_of(options.address), checked.error().message));
    }
  }
  auto implementation = std::make_unique<Implementation>(options);
  if (Status listening = implementation->listen(options); !listening) return listening.error();
  return std::unique_ptr<Dashboard>(new Dashboard(std::move(implementation)));
}

Dashboard::Dashboard(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
Dashboard::~Dashboard() = default;

std::string Dashboard::url() const { return implementation_->url(); }
void Dashboard::show(Sources sources) { implementation_->show(std::move(sources)); }
void Dashboard::hide() { implementation_->hide(); }

}  // namespace troupe::cluster
