// Files between a node and its head: the service and the mover together.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <random>

#include "cluster/nodes/file_mover.h"
#include "cluster/nodes/file_service.h"
#include "tests/support/process.h"
#include "tests/support/small_disk.h"
#include "tests/support/temp_dir.h"

using namespace troupe;
using namespace troupe::cluster;
using namespace troupe::tests;

namespace fs = std::filesystem;

namespace {

std::string random_text(size_t bytes) {
  std::mt19937 random(static_cast<uint32_t>(bytes));
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// A head with files, a node without, and nothing but their messages between them.
struct Fixture {
  TempDir head{};
  TempDir node{};
  std::atomic<int> lost_every = 0;  // Of so many requests one is lost; 0: none.
  int asked = 0;
  std::atomic<uint64_t> bytes_answered{0};  // All that comes over the link.
  std::function<void(const FileRequest&)> on_answer{};
  FileService service{};
  FileMover mover{[this](FileRequest request) {
                    if (lost_every > 0 && ++asked % lost_every == 0) return;
                    service.ask("b", request, [this, request](FileReply reply) {
                      if (on_answer) on_answer(request);
                      bytes_answered += reply.bytes.size() + 64 * reply.files.size() + 64;
                      mover.answered(std::move(reply));
                    });
                  },
                  "node b"};

  Fixture() { service.allow(7, head.file("job"), {head.file("model")}); }

  Status fetch(std::vector<FileMove> files) {
    std::promise<Status> done;
    mover.fetch(7, std::move(files), [&done](Status status) { done.set_value(std::move(status)); });
    return done.get_future().get();
  }
  Status push(std::vector<FileMove> files) {
    std::promise<Status> done;
    mover.push(7, std::move(files), [&done](Status status) { done.set_value(std::move(status)); });
    return done.get_future().get();
  }
};

void write(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  write_text(path, text);
}

}  // namespace

TEST_CASE("files: a folder is fetched whole, once") {
  Fixture f;
  const std::string big = random_text((9 << 20) + 5);
  write(f.head.file("job/checkpoints/step_1/part"), big);
  write(f.head.file("job/checkpoints/step_1/recovery/empty"), "");
  const FileMove move{f.head.file("job/checkpoints/step_1"), f.node.file("step_1")};
  REQUIRE(f.fetch({move}));
  CHECK(contents(f.node.file("step_1/part")) == big);
  CHECK(fs::exists(f.node.file("step_1/recovery/empty")));
  const uint64_t moved = f.mover.bytes_moved();
  CHECK(moved == big.size());
  REQUIRE(f.fetch({move}));
  CHECK(f.mover.bytes_moved() == moved);
  // Another file of the same name and size is another file.
  write(f.head.file("job/checkpoints/step_1/part"), std::string(big.size(), 'x'));
  REQUIRE(f.fetch({move}));
  CHECK(contents(f.node.file("step_1/part")) == std::string(big.size(), 'x'));
}

TEST_CASE("files: rollouts get of a model what is not its weights") {
  Fixture f;
  write(f.head.file("model/config.json"), "{}");
  write(f.head.file("model/model.safetensors"), random_text(1000));
  REQUIRE(f.fetch({{f.head.file("model"), f.node.file("model"), true}}));
  CHECK(fs::exists(f.node.file("model/config.json")));
  CHECK_FALSE(fs::exists(f.node.file("model/model.safetensors")));
  REQUIRE(f.fetch({{f.head.file("model"), f.node.file("model")}}));
  CHECK(fs::exists(f.node.file("model/model.safetensors")));
}

TEST_CASE("files: what is pushed appears whole or not at all, and messages may be lost") {
  Fixture f;
  f.lost_every = 4;
  const std::string big = random_text((5 << 20) + 1);
  write(f.node.file("a"), big);
  write(f.node.file("empty"), "");
  REQUIRE(f.push({{f.head.file("job/policies/a"), f.node.file("a")},
                  {f.head.file("job/checkpoints/new/empty"), f.node.file("empty")}}));
  CHECK(contents(f.head.file("job/policies/a")) == big);
  CHECK(fs::file_size(f.head.file("job/checkpoints/new/empty")) == 0);
  CHECK_FALSE(fs::exists(f.head.file("job/policies/a.coming")));
  // Who has pushed a file has it.
  const uint64_t moved = f.mover.bytes_moved();
  REQUIRE(f.fetch({{f.head.file("job/policies/a"), f.node.file("a")}}));
  CHECK(f.mover.bytes_moved() == moved);
}

TEST_CASE("files: what was asked over a connection that broke is asked over the next at once") {
  Fixture f;
  write(f.head.file("job/log.txt"), "x");
  f.lost_every = 1;
  std::promise<Status> done;
  f.mover.fetch(7, {{f.head.file("job/log.txt"), f.node.file("here")}},
                [&done](Status status) { done.set_value(std::move(status)); });
  auto fetched = done.get_future();
  CHECK(fetched.wait_for(std::chrono::milliseconds(200)) == std::future_status::timeout);
  f.lost_every = 0;
  f.mover.connected();
  // Sooner than it would ask again by itself.
  REQUIRE(fetched.wait_for(std::chrono::seconds(2)) == std::future_status::ready);
  CHECK(fetched.get());
}

TEST_CASE("files: a node reaches what its jobs have, and nothing else") {
  Fixture f;
  write(f.head.file("secret"), "x");
  write(f.head.file("job/log.txt"), "x");
  write(f.head.file("jobs/log.txt"), "x");
  write(f.node.file("x"), "x");
  const std::string here = f.node.file("here");
  CHECK(f.fetch({{f.head.file("job/log.txt"), here}}));
  CHECK_FALSE(f.fetch({{f.head.file("secret"), f.node.file("no")}}));
  CHECK_FALSE(f.fetch({{f.head.file("jobs/log.txt"), f.node.file("no")}}));
  CHECK_FALSE(f.fetch({{f.head.file("job/../secret"), f.node.file("no")}}));
  CHECK_FALSE(f.fetch({{"/etc/passwd", f.node.file("no")}}));
  // A model is read only, and so is what of a job's folder is the head's own.
  CHECK_FALSE(f.push({{f.head.file("model/x"), f.node.file("x")}}));
  CHECK_FALSE(f.push({{f.head.file("job/log.txt"), f.node.file("x")}}));
  CHECK_FALSE(f.push({{f.head.file("job/policies/../log.txt"), f.node.file("x")}}));
  CHECK_FALSE(f.push({{f.head.file("job/policies"), f.node.file("x")}}));
  f.service.forbid(7);
  CHECK_FALSE(f.fetch({{f.head.file("job/log.txt"), f.node.file("again")}}));
  CHECK(contents(f.head.file("job/log.txt")) == "x");
}

TEST_CASE("files: a model costs little more than its bytes, and what differs only that") {
  Fixture f;
  std::string part = random_text((20 << 20) + 77);
  write(f.head.file("model/model-1.safetensors"), part);
  write(f.head.file("model/model-2.safetensors"), random_text(3 << 20));
  write(f.head.file("model/config.json"), "{}");
  const uint64_t bytes = part.size() + (3 << 20) + 2;
  const FileMove move{f.head.file("model"), f.node.file("model")};
  REQUIRE(f.fetch({move}));
  CHECK(f.mover.bytes_moved() == bytes);
  CHECK(f.bytes_answered < bytes * 105 / 100);
  // A second job with the same model.
  f.service.allow(8, f.head.file("other"), {f.head.file("model")});
  f.bytes_answered = 0;
  std::promise<Status> done;
  f.mover.fetch(8, {move}, [&done](Status status) { done.set_value(std::move(status)); });
  REQUIRE(done.get_future().get());
  CHECK(f.mover.bytes_moved() == bytes);
  CHECK(f.bytes_answered < 1000);
  // One byte in the middle, and a longer end.
  part[10 << 20] ^= 1;
  part += random_text(1 << 20);
  write(f.head.file("model/model-1.safetensors"), part);
  f.bytes_answered = 0;
  REQUIRE(f.fetch({move}));
  CHECK(contents(f.node.file("model/model-1.safetensors")) == part);
  CHECK(f.mover.bytes_moved() <= bytes + (3 << 20) + 77);
  CHECK(f.bytes_answered < (3 << 20) + (64 << 10));
  // Shorter: nothing but digests.
  part.resize(7 << 20);
  write(f.head.file("model/model-1.safetensors"), part);
  f.bytes_answered = 0;
  REQUIRE(f.fetch({move}));
  CHECK(contents(f.node.file("model/model-1.safetensors")) == part);
  CHECK(f.bytes_answered < 2000);
}

TEST_CASE("files: room is looked at before the first byte, and waited for") {
  const auto disk = SmallDisk::mount(4);
  if (!disk) return;
  Fixture f;
  write(f.head.file("model/model.safetensors"), random_text(3 << 20));
  write(f.head.file("model/more.safetensors"), random_text(1 << 20));
  std::promise<std::string> waits;
  std::promise<Status> done;
  f.mover.fetch(
      7, {{f.head.file("model"), disk->file("model")}},
      [&done](Status status) { done.set_value(std::move(status)); },
      [&waits](const std::string& why) { waits.set_value(why); });
  const std::string why = waits.get_future().get();
  CAPTURE(why);
  CHECK(why.find("node b has 4.") == 0);
  CHECK(why.find("what job 7 reads there, " + f.head.file("model/model.safetensors") +
                 " the largest of it, needs 4.2 MB; make room on that disk") != std::string::npos);
  CHECK(f.mover.bytes_moved() == 0);
  CHECK_FALSE(fs::exists(disk->file("model")));
  // Others are not kept waiting.
  write(f.head.file("other/policies/p"), "x");
  f.service.allow(8, f.head.file("other"), {});
  std::promise<Status> other;
  f.mover.fetch(8, {{f.head.file("other/policies/p"), f.node.file("p")}},
                [&other](Status status) { other.set_value(std::move(status)); });
  CHECK(other.get_future().get());
  fs::remove(f.head.file("model/more.safetensors"));
  CHECK(done.get_future().get());
  CHECK(fs::file_size(disk->file("model/model.safetensors")) == 3 << 20);
}

TEST_CASE("files: the head's room is asked before a point is sent there") {
  const auto disk = SmallDisk::mount(2);
  if (!disk) return;
  Fixture f;
  f.service.allow(9, disk->file("job"), {});
  write(f.node.file("a"), random_text(1 << 20));
  write(f.node.file("b"), random_text(1 << 20));
  std::promise<std::string> waits;
  std::promise<Status> done;
  f.mover.push(
      9,
      {{disk->file("job/policies/a"), f.node.file("a")},
       {disk->file("job/policies/b"), f.node.file("b")}},
      [&done](Status status) { done.set_value(std::move(status)); },
      [&waits](const std::string& why) { waits.set_value(why); });
  const std::string why = waits.get_future().get();
  CAPTURE(why);
  CHECK(why.find("the head's host has 2.") == 0);
  CHECK(why.find("what a node has of job 9 needs 2.1 MB") != std::string::npos);
  CHECK(f.mover.bytes_moved() == 0);
  CHECK_FALSE(fs::exists(disk->file("job")));
  fs::resize_file(f.node.file("b"), 10);
  CHECK(done.get_future().get());
  CHECK(fs::file_size(disk->file("job/policies/b")) == 10);
}

TEST_CASE("files: a small file of one job does not wait for the model of another") {
  Fixture f;
  write(f.head.file("model/model.safetensors"), random_text(30 << 20));
  write(f.head.file("other/policies/p"), "x");
  f.service.allow(8, f.head.file("other"), {f.head.file("model")});
  std::promise<Status> model, same_model, small;
  std::promise<uint64_t> moved_before;
  std::atomic<bool> has_begun = false;
  f.on_answer = [&](const FileRequest& request) {
    if (request.job != 7 || !std::holds_alternative<ReadFile>(request.what)) return;
    if (has_begun.exchange(true)) return;
    f.mover.fetch(8, {{f.head.file("other/policies/p"), f.node.file("p")}}, [&](Status status) {
      moved_before.set_value(f.mover.bytes_moved());
      small.set_value(std::move(status));
    });
    f.mover.fetch(8, {{f.head.file("model"), f.node.file("model")}},
                  [&](Status status) { same_model.set_value(std::move(status)); });
  };
  f.mover.fetch(7, {{f.head.file("model"), f.node.file("model")}},
                [&](Status status) { model.set_value(std::move(status)); });
  CHECK(small.get_future().get());
  CHECK(moved_before.get_future().get() < 30 << 20);
  CHECK(model.get_future().get());
  // Both want the same: it comes once.
  CHECK(same_model.get_future().get());
  CHECK(f.mover.bytes_moved() == (30 << 20) + 1);
}
