// Files between a node and its head: the service and the mover together.
#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <random>

#include "cluster/nodes/file_mover.h"
#include "cluster/nodes/file_service.h"
#include "tests/support/process.h"
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
  int lost_every = 0;  // Of so many requests one is lost; 0: none.
  int asked = 0;
  FileService service{};
  FileMover mover{[this](FileRequest request) {
    if (lost_every > 0 && ++asked % lost_every == 0) return;
    service.ask(std::move(request), [this](FileReply reply) { mover.answered(std::move(reply)); });
  }};

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
