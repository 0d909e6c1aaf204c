// Files of a user's own that travel with a job to a head on another host, and those of the head's
// host that users may name.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/network_head.h"

namespace troupe {
namespace {

namespace fs = std::filesystem;

using nlohmann::json;
using tests::contents;
using tests::Ended;
using tests::NetworkHead;
using tests::write_text;

std::vector<std::string> submission(const std::string& job, std::vector<std::string> set = {}) {
  std::vector<std::string> words = {"submit", job, "--json"};
  for (const auto& one : set) words.insert(words.end(), {"--set", one});
  return words;
}

std::string weights_of(const NetworkHead& head, const std::string& who, int id) {
  const Ended watched = head.as(who, {"watch", std::to_string(id), "--json"});
  REQUIRE_MESSAGE(watched.exit_code == 0, watched.error);
  return json::parse(watched.out)["weights_sha256"];
}

std::string weights_alone(const NetworkHead& head) {
  const Ended ended = tests::troupe(head.job().run("alone"));
  REQUIRE_MESSAGE(ended.exit_code == 0, ended.error);
  return json::parse(ended.out)["weights_sha256"];
}

// A folder that is a user's own host as far as the head can tell: the head runs, its user's files
// are elsewhere, and are gone once they were sent.
struct UsersHost {
  tests::TempDir dir{};
  explicit UsersHost(const NetworkHead& head) {
    fs::copy(head.job().file("data"), dir.file("data"));
    fs::copy(head.job().job(), job());
  }
  std::string job() const { return dir.file("job.toml"); }
};

TEST_CASE("users' inputs: data travel with a job once, and the weights are those of troupe run") {
  NetworkHead head;
  const std::string expected = weights_alone(head);
  int first = 0;
  {
    const UsersHost host(head);
    const Ended submitted = head.as("alice", submission(host.job()));
    CAPTURE(submitted.error);
    CHECK(submitted.error.find("sent 4 of 4 files of this host") != std::string::npos);
    first = head.id_of(submitted);
    // kill -9 right after the answer loses nothing.
    head.daemon().signal(SIGKILL);
    CHECK(head.daemon().wait().exit_code == -1);
  }
  fs::remove_all(head.job().file("data"));
  head.start(head.address());
  CHECK(weights_of(head, "alice", first) == expected);
}

TEST_CASE("users' inputs: what the head has is not sent again, and each user has own files") {
  NetworkHead head;
  const UsersHost host(head);
  const auto said = [](const Ended& submitted) {
    REQUIRE_MESSAGE(submitted.exit_code == 0, submitted.error);
    return submitted.error;
  };
  CHECK(said(head.as("alice", submission(host.job()))).find("sent 4 of 4 files") !=
        std::string::npos);
  CHECK(
      said(head.as("alice", submission(host.job()))).find("sent 0 of 4 files of this host, 0 b") !=
      std::string::npos);
  // Under another name it is the same file.
  fs::rename(host.dir.file("data/train.jsonl"), host.dir.file("data/renamed.jsonl"));
  const auto renamed = submission(host.job(), {"data.train=data/renamed.jsonl"});
  const Ended again = head.as("alice", renamed);
  CHECK(said(again).find("sent 0 of 4 files") != std::string::npos);
  CHECK(weights_of(head, "alice", head.id_of(again)) == weights_alone(head));
  // Whether others have it is nobody's business.
  CHECK(said(head.as("bob", renamed)).find("sent 4 of 4 files") != std::string::npos);
  std::ofstream(host.dir.file("data/renamed.jsonl"), std::ios::app) << "\n";
  CHECK(said(head.as("alice", renamed)).find("sent 1 of 4 files") != std::string::npos);
}

TEST_CASE("users' inputs: what cannot travel is refused before anything is sent") {
  NetworkHead head;
  const UsersHost host(head);
  const auto refused = [&](const std::string& set) {
    const Ended ended = head.as("alice", submission(host.job(), {set}));
    CHECK(ended.exit_code == 2);
    CHECK(std::count(ended.error.begin(), ended.error.end(), '\n') == 1);
    CHECK(ended.error.find("sent ") == std::string::npos);
    return ended.error;
  };
  CHECK(refused("data.train=data/none.jsonl").find("data.train: cannot read ") !=
        std::string::npos);
  CHECK(refused("policy.model=data")
            .find("only files travel with a job; copy it to the daemon's "
                  "host") != std::string::npos);
  fs::resize_file(host.dir.file("data/train.jsonl"), (64 << 20) + 1);
  CHECK(refused("seed=2").find("train.jsonl has 67.1 MB, and a file that travels with a job has at "
                               "most 67.1 MB") != std::string::npos);
}

TEST_CASE("users' inputs: users name files of the head's host where its operator lets them") {
  const tests::TempDir disk;
  fs::create_directory(disk.file("allowed"));
  fs::create_directory(disk.file("secret"));
  NetworkHead head({"--allow-path", disk.file("allowed")});
  fs::copy(head.job().file("data"), disk.file("allowed/data"));
  fs::copy(head.job().file("data"), disk.file("secret/data"));
  fs::create_symlink(disk.file("secret/data"), disk.file("allowed/link"));
  const auto with_train = [&](const std::string& path) {
    return submission(head.job().job(), {"data.train=" + path});
  };
  const auto refused = [&](const std::string& who, const std::string& set) {
    const Ended ended = head.as(who, submission(head.job().job(), {set}));
    CAPTURE(ended.error);
    CHECK(ended.exit_code == 2);
    CHECK(ended.error.find("is not a file that users of the daemon may name: it allows what lies "
                           "in " +
                           disk.file("allowed")) != std::string::npos);
  };
  const Ended allowed = head.as("alice", with_train(disk.file("allowed/data/train.jsonl")));
  CHECK(allowed.error.find("sent 3 of 3 files") != std::string::npos);
  const int of_alice = head.id_of(allowed);
  CHECK(weights_of(head, "alice", of_alice) == weights_alone(head));

  refused("alice", "data.train=" + disk.file("secret/data/train.jsonl"));
  refused("alice", "data.train=" + disk.file("allowed/../secret/data/train.jsonl"));
  refused("alice", "data.train=" + disk.file("allowed/link/train.jsonl"));
  refused("alice", "data.train=/etc/passwd");
  refused("alice", "data.train=/etc/there-is-no-such-file");
  refused("bob", "data.held_out=" + head.job().file("daemon/jobs/1/log.txt"));
  refused("alice", "data.cold_start=[\"" + disk.file("secret/data/held_out.jsonl") + "\"]");
  refused("alice", "policy.model=" + disk.file("secret"));
  // A user's own job is its user's, and nobody else's.
  const Ended shown = head.as("alice", {"show", std::to_string(of_alice), "--json"});
  const std::string home = json::parse(shown.out)["home"];
  std::string checkpoint;
  for (const auto& one : fs::directory_iterator(home + "/checkpoints")) checkpoint = one.path();
  REQUIRE_FALSE(checkpoint.empty());
  const auto goes_on = submission(head.job().job(), {"policy.model=" + checkpoint, "sft.steps=0"});
  CHECK(weights_of(head, "alice", head.id_of(head.as("alice", goes_on))).size() == 64);
  refused("bob", "policy.model=" + checkpoint);
  refused("bob", "data.train=" + head.job().file("daemon/content"));
  // Operators, and who may open the daemon's own sockets, name what there is.
  CHECK(head.as("olga", with_train(disk.file("secret/data/train.jsonl"))).exit_code == 0);
  CHECK(head.here(with_train(disk.file("allowed/link/train.jsonl"))).exit_code == 0);
}

TEST_CASE("users' inputs: a path that leads elsewhere when its job begins is refused then") {
  const tests::TempDir disk;
  fs::create_directories(disk.file("allowed/data"));
  fs::create_directory(disk.file("secret"));
  NetworkHead head({"--allow-path", disk.file("allowed"), "--slots", "1"});
  fs::copy(head.job().file("data/train.jsonl"), disk.file("allowed/data/train.jsonl"));
  fs::copy(head.job().file("data/train.jsonl"), disk.file("secret/train.jsonl"));
  const int first =
      head.id_of(head.as("alice", submission(head.job().job(), {"grpo.steps=100000"})));
  const int second = head.id_of(head.as(
      "alice",
      submission(head.job().job(), {"data.train=" + disk.file("allowed/data/train.jsonl")})));
  fs::remove_all(disk.file("allowed/data"));
  fs::create_symlink(disk.file("secret"), disk.file("allowed/data"));
  CHECK(head.as("alice", {"cancel", std::to_string(first)}).exit_code == 0);
  const Ended watched = head.as("alice", {"watch", std::to_string(second)});
  CHECK(watched.exit_code == 1);
  CAPTURE(watched.error);
  CHECK(watched.error.find("is not a file that users of the daemon may name") != std::string::npos);
}

}  // namespace
}  // namespace troupe
