// The dashboard as browsers, Prometheus and strangers see it: a real daemon with real jobs.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "tests/support/http.h"
#include "tests/support/served.h"

namespace troupe {
namespace {

using nlohmann::json;
using tests::Ended;
using tests::http_get;
using tests::HttpClient;
using tests::Invocation;
using tests::Process;
using tests::ShortJob;

// A daemon whose dashboard listens at a free port of `address`.
class Shown {
 public:
  Shown(const ShortJob& job, std::vector<std::string> more = {}) : job_(job), more_(more) {
    start();
  }
  void start() {
    std::vector<std::string> words = {"--home",          job_.file("daemon"), "--server",
                                      job_.file("door"), "--slots",           "1"};
    words.insert(words.end(), more_.begin(), more_.end());
    daemon_.emplace(Invocation{.arguments = words, .name = "trouped"});
    REQUIRE(daemon_->says("serving"));
    const std::string& said = daemon_->error();
    const size_t from = said.find("dashboard: http://");
    REQUIRE(from != std::string::npos);
    port_ = tests::port_in(said.substr(from, said.find('\n', from) - from));
  }
  uint16_t port() const { return port_; }
  Process& daemon() { return *daemon_; }
  json get(const std::string& target, const std::string& headers = "") const {
    const auto answer = http_get(port_, target, headers);
    CAPTURE(target);
    CAPTURE(answer.body);
    REQUIRE(answer.status == 200);
    return json::parse(answer.body);
  }
  int submit(const std::vector<std::string>& set) const {
    std::vector<std::string> words = {"submit", job_.job(), "--json", "--server",
                                      job_.file("door")};
    for (const auto& one : set) words.insert(words.end(), {"--set", one});
    const Ended submitted = tests::troupe(words);
    REQUIRE_MESSAGE(submitted.exit_code == 0, submitted.error);
    return json::parse(submitted.out)["id"];
  }
  void watch(int id) const {
    CHECK(tests::troupe({"watch", std::to_string(id), "--server", job_.file("door")}).exit_code ==
          0);
  }

 private:
  const ShortJob& job_;
  const std::vector<std::string> more_;
  std::optional<Process> daemon_{};
  uint16_t port_ = 0;
};

TEST_CASE("dashboard: a job's numbers, curves, work and traces, and after a restart the same") {
  const ShortJob job;
  Shown shown(job);
  const int id = shown.submit({"grpo.steps=8", "eval.every_steps=4"});
  shown.watch(id);
  const std::string at = "/api/jobs/" + std::to_string(id);
  const auto look = [&] {
    const json cluster = shown.get("/api/cluster");
    REQUIRE(cluster["jobs"].size() == 1);
    CHECK(cluster["jobs"][0]["state"] == "finished");
    CHECK(cluster["hosts"].size() == 1);
    const json one = shown.get(at);
    CHECK(one["job"]["steps_done"] == 12);
    const json steps = shown.get(at + "/curves?of=steps&names=reward%2Fmean,loss");
    REQUIRE(steps["x"].size() == 12);
    CHECK(steps["x"].back() == 12);
    CHECK(steps["curves"]["reward/mean"][0].is_null());
    CHECK(steps["curves"]["reward/mean"][11].is_number());
    // Only what is new is sent to one who goes on.
    const json news =
        shown.get(at + "/curves?of=steps&names=loss&generation=" + steps["generation"].dump() +
                  "&bucket=" + steps["bucket"].dump() + "&next=" + steps["next"].dump());
    CHECK(news["x"].empty());
    const json evaluations = shown.get(at + "/curves?of=evaluations&names=eval/pass_at_1");
    CHECK(evaluations["x"].size() >= 2);
    const json work = shown.get(at + "/work?since=0")["work"];
    std::set<std::string> roles;
    for (const json& piece : work) {
      roles.insert(piece["role"].get<std::string>());
      CHECK(piece["end"].get<double>() >= piece["start"].get<double>());
    }
    CHECK(roles == std::set<std::string>{"learner", "rollout", "verifier"});
    const json rounds = shown.get(at + "/rounds")["rounds"];
    REQUIRE(rounds.size() == 4);
    const json overview = shown.get(at + "/rounds/" + rounds[0].dump());
    REQUIRE(overview["groups"].size() == 4);
    CHECK(overview["groups"][0]["samples"].size() == 4);
    const json group = shown.get(at + "/rounds/" + rounds[0].dump() + "/" +
                                 overview["groups"][0]["ordinal"].dump());
    CHECK(group["samples"][0]["texts"].size() == group["samples"][0]["logprobs"].size());
    const json held_out = shown.get(at + "/held-out")["problems"];
    REQUIRE(!held_out.empty());
    CHECK(held_out[0]["answers"].size() >= 2);
  };
  look();
  shown.daemon().signal(SIGTERM);
  CHECK(shown.daemon().wait().exit_code == 0);
  shown.start();
  look();
}

TEST_CASE("dashboard: what Prometheus reads") {
  const ShortJob job;
  Shown shown(job);
  const int id = shown.submit({"grpo.steps=100000", "eval.every_steps=2"});
  const std::string at = "/api/jobs/" + std::to_string(id);
  tests::wait_until([&] {
    const json board = shown.get(at)["board"];
    return !board["step"].is_null() && !board["sample"].is_null() &&
           !board["evaluation"].is_null() && !board["ledger"]["verdicts"].empty();
  });
  const auto metrics = http_get(shown.port(), "/metrics");
  CHECK(metrics.status == 200);
  CHECK(metrics.head.find("text/plain; version=0.0.4") != std::string::npos);
  for (const char* name : {"troupe_busy_share{", "troupe_policy_version{", "troupe_host_slots{"}) {
    CAPTURE(name);
    CHECK(metrics.body.find(name) != std::string::npos);
  }
  // Whatever Grafana's page asks for is there.
  const std::string page = shown.get("/grafana.json").dump();
  std::set<std::string> asked;
  for (size_t from = 0; (from = page.find("troupe_", from)) != std::string::npos;) {
    const size_t end = page.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789", from);
    asked.insert(page.substr(from, end - from));
    from = end;
  }
  CHECK(asked.size() > 10);
  for (const std::string& name : asked) {
    CAPTURE(name);
    CHECK(metrics.body.find("\n" + name + "{") != std::string::npos);
  }
  // Prometheus' own checker, where it is installed.
  if (std::system("command -v promtool >/dev/null 2>&1") == 0) {
    tests::write_text(job.file("metrics"), metrics.body);
    const std::string check =
        "promtool check metrics < " + job.file("metrics") + " > " + job.file("said") + " 2>&1";
    CHECK_MESSAGE(std::system(check.c_str()) == 0, tests::contents(job.file("said")));
  }
}

TEST_CASE("dashboard: without a token nobody sees a byte of a job; users see their own") {
  const ShortJob job;
  const std::string keys = job.file("keys");
  REQUIRE(tests::troupe({"keys", "init", "--keys", keys}).exit_code == 0);
  for (const char* name : {"alice", "olga"}) {
    std::vector<std::string> words = {
        "keys", "user", name, "--keys", keys, "--out", job.file(std::string(name) + ".key")};
    if (name[0] == 'o') words.push_back("--operator");
    REQUIRE(tests::troupe(words).exit_code == 0);
  }
  // Every address of this host is more than this host.
  const Shown shown(job, {"--dashboard", "0.0.0.0:0", "--keys", keys});
  const int id = shown.submit({});
  shown.watch(id);
  const auto token_of = [&](const char* name) {
    const Ended made = tests::troupe({"keys", "web", name, "--keys", keys});
    REQUIRE_MESSAGE(made.exit_code == 0, made.error);
    const size_t from = made.out.find("Authorization: ");
    return made.out.substr(from, made.out.find('\n', from) - from) + "\r\n";
  };
  const std::string alice = token_of("alice"), olga = token_of("olga");
  const std::string at = "/api/jobs/" + std::to_string(id);
  // The job is of whoever has the daemon's own sockets.
  CHECK(shown.get("/api/cluster", olga)["jobs"].size() == 1);
  CHECK(shown.get("/api/cluster", alice)["jobs"].empty());
  CHECK(http_get(shown.port(), at, alice).status == 404);
  CHECK(http_get(shown.port(), at, olga).status == 200);
  CHECK(http_get(shown.port(), "/", "").status == 200);
  std::mt19937_64 random(1);
  const std::string targets[] = {"/api/cluster",
                                 at,
                                 at + "/curves?of=steps&names=loss",
                                 at + "/work?since=0",
                                 at + "/rounds",
                                 at + "/rounds/0",
                                 at + "/held-out",
                                 "/metrics",
                                 "/api/events"};
  int answered = 0, refused = 0;
  std::optional<HttpClient> client;
  for (int i = 0; i < 10'000; ++i) {
    if (!client) client.emplace(shown.port());
    std::string guess;
    if (i % 3 == 1) guess = "Authorization: Bearer alice." + std::to_string(random()) + "\r\n";
    if (i % 3 == 2) guess = "Cookie: troupe_session=olga.99999999999.ab\r\n";
    const auto answer = client->get(targets[random() % std::size(targets)], guess);
    if (answer.status == 0) client.reset();
    refused += answer.status == 401 ? 1 : 0;
    answered += answer.status == 200 || answer.body.find("short") != std::string::npos ? 1 : 0;
  }
  CHECK(answered == 0);
  CHECK(refused > 9'000);
}

TEST_CASE("dashboard: bad addresses, and keys that are not there, are said before anything runs") {
  const ShortJob job;
  for (const auto& [text, reason] :
       std::vector<std::pair<std::string, std::string>>{{"nonsense", "--dashboard"},
                                                        {"127.0.0.1:99999", "--dashboard"},
                                                        {"0.0.0.0:0", "token"}}) {
    const Ended ended = tests::troupe({"run", job.job(), "--home", job.file("home"), "--dashboard",
                                       text, "--keys", job.file("no_keys")});
    CAPTURE(text);
    CHECK(ended.exit_code == 2);
    CHECK(ended.error.find(reason) != std::string::npos);
    CHECK(!std::filesystem::exists(job.file("home")));
  }
  const Ended off =
      tests::troupe({"run", job.job(), "--home", job.file("home"), "--dashboard", "off"});
  CHECK(off.exit_code == 0);
  CHECK(off.out.find("dashboard") == std::string::npos);
}

}  // namespace
}  // namespace troupe
