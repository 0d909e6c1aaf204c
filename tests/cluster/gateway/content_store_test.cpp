#include "cluster/gateway/content_store.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/support/process.h"
#include "tests/support/small_disk.h"
#include "tests/support/temp_dir.h"

using namespace troupe;
using namespace troupe::cluster;
using namespace troupe::tests;
using namespace std::chrono_literals;

namespace fs = std::filesystem;

namespace {

struct Fixture {
  TempDir dir{};
  ContentStore::Limits limits{};
  std::optional<ContentStore> store{};
  ContentStore::Time now{};

  explicit Fixture(ContentStore::Limits given = {}) : limits(given) { open(); }
  void open() {
    auto opened = ContentStore::open(folder(), limits);
    REQUIRE_MESSAGE(opened, opened.error().message);
    store.emplace(std::move(*opened));
  }
  std::string folder() const { return dir.file("content"); }

  // So long ago it was used.
  void age(const std::string& owner, const ContentFile& file, std::chrono::hours hours) {
    const std::string path =
        fs::path(store->path_of(owner, {file.sha256, file.name})).parent_path();
    fs::last_write_time(path, fs::file_time_type::clock::now() - hours);
  }
  bool has(const std::string& owner, const ContentFile& file) {
    return fs::exists(store->path_of(owner, {file.sha256, file.name}));
  }
};

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

ContentFile described(const std::string& text, const std::string& name = "a.jsonl") {
  return {.sha256 = sha256_hex(bytes_of(text)), .name = name, .bytes = text.size()};
}

// One part, of a text of several.
Result<uint64_t> send(Fixture& f, const std::string& owner, const ContentFile& file,
                      const std::string& text, size_t offset, size_t size) {
  const auto part = bytes_of(text).subspan(offset, size);
  return f.store->take(owner, {.file = file, .offset = offset, .bytes = {part.begin(), part.end()}},
                       f.now);
}

void send_all(Fixture& f, const std::string& owner, const ContentFile& file,
              const std::string& text) {
  const auto next = send(f, owner, file, text, 0, text.size());
  REQUIRE_MESSAGE(next, next.error().message);
  CHECK(*next == text.size());
}

template <class T>
std::string error_of(const Result<T>& result, ErrorCode code) {
  REQUIRE_FALSE(result);
  CHECK(result.error().code == code);
  return result.error().message;
}
std::string error_of(const Status& status, ErrorCode code) {
  REQUIRE_FALSE(status);
  CHECK(status.error().code == code);
  return status.error().message;
}

}  // namespace

TEST_CASE("content_store: a file comes in parts and is there when it is whole") {
  Fixture f;
  const std::string text = "0123456789";
  const ContentFile file = described(text);
  CHECK(*f.store->lacking("alice", {&file, 1}) == std::vector{file.sha256});
  CHECK(*send(f, "alice", file, text, 4, 2) == 0);  // Not begun.
  CHECK(*send(f, "alice", file, text, 0, 4) == 4);
  CHECK(*send(f, "alice", file, text, 0, 4) == 4);  // Again: changes nothing.
  CHECK(*send(f, "alice", file, text, 8, 2) == 4);  // Not the next.
  CHECK_FALSE(f.has("alice", file));
  CHECK(*send(f, "alice", file, text, 4, 6) == 10);
  CHECK(contents(f.store->path_of("alice", {file.sha256, file.name})) == text);
  CHECK(f.store->lacking("alice", {&file, 1})->empty());
  CHECK(*send(f, "alice", file, text, 4, 6) == 10);  // The answer was lost: all of it is here.
  // Another user has own files.
  CHECK(f.store->lacking("bob", {&file, 1})->size() == 1);
  const ContentFile empty = described("", "empty");
  send_all(f, "alice", empty, "");
  CHECK(f.has("alice", empty));
}

TEST_CASE("content_store: bytes that are not what was said are thrown away") {
  Fixture f;
  const std::string text = "0123456789";
  const ContentFile file = described(text);
  CHECK(error_of(send(f, "alice", file, "0123x56789", 0, 10), ErrorCode::kInvalidArgument)
            .find("\"a.jsonl\" is not what was said") != std::string::npos);
  CHECK_FALSE(f.has("alice", file));
  ContentFile shorter = file;
  shorter.bytes = 5;
  CHECK(error_of(send(f, "alice", shorter, text, 0, 10), ErrorCode::kInvalidArgument)
            .find("is longer than was said") != std::string::npos);
  CHECK(fs::is_empty(f.folder() + "/.coming"));
  send_all(f, "alice", file, text);
  for (ContentFile bad : {ContentFile{.sha256 = "../x", .name = "x"},
                          ContentFile{.sha256 = file.sha256, .name = "../x"},
                          ContentFile{.sha256 = file.sha256, .name = ".."},
                          ContentFile{.sha256 = file.sha256, .name = ""}}) {
    (void)error_of(f.store->lacking("alice", {&bad, 1}), ErrorCode::kInvalidArgument);
    (void)error_of(send(f, "alice", bad, text, 0, 1), ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("content_store: what was not finished is gone with the daemon, or after a while") {
  Fixture f;
  const std::string text = "0123456789";
  const ContentFile file = described(text);
  const ContentFile whole = described("whole");
  send_all(f, "alice", whole, "whole");
  CHECK(*send(f, "alice", file, text, 0, 4) == 4);
  f.open();
  CHECK(fs::is_empty(f.folder() + "/.coming"));
  CHECK(f.has("alice", whole));
  CHECK(*send(f, "alice", file, text, 4, 6) == 0);
  CHECK(*send(f, "alice", file, text, 0, 4) == 4);
  f.now += f.limits.quiet_max - 1s;
  f.store->sweep(f.now);
  CHECK(*send(f, "alice", file, text, 4, 1) == 5);
  f.now += f.limits.quiet_max;
  f.store->sweep(f.now);
  CHECK(fs::is_empty(f.folder() + "/.coming"));
  CHECK(*send(f, "alice", file, text, 5, 5) == 0);
}

TEST_CASE("content_store: a file stays while a job that may run names it, and a day longer") {
  Fixture f;
  const ContentFile file = described("x");
  send_all(f, "alice", file, "x");
  f.store->hold(7, "alice", {{file.sha256, file.name}});
  f.age("alice", file, 25h);
  f.store->sweep(f.now);
  CHECK(f.has("alice", file));
  f.store->release(7);
  // A job that is about to be submitted has asked for it.
  REQUIRE(f.store->check("alice", std::vector<ContentReference>{{file.sha256, file.name}}));
  f.store->sweep(f.now);
  CHECK(f.has("alice", file));
  f.age("alice", file, 25h);
  f.store->sweep(f.now);
  CHECK_FALSE(f.has("alice", file));
  CHECK(error_of(f.store->check("alice", std::vector<ContentReference>{{file.sha256, "a"}}),
                 ErrorCode::kInvalidArgument)
            .find("is not here") != std::string::npos);
}

TEST_CASE("content_store: one content may have several names, and is one file") {
  Fixture f;
  const ContentFile file = described("x");
  send_all(f, "alice", file, "x");
  const ContentReference other{file.sha256, "b.csv"};
  REQUIRE(f.store->check("alice", std::vector{other}));
  struct stat a {
  }, b{};
  REQUIRE(::stat(f.store->path_of("alice", {file.sha256, file.name}).c_str(), &a) == 0);
  REQUIRE(::stat(f.store->path_of("alice", other).c_str(), &b) == 0);
  CHECK(a.st_ino == b.st_ino);
  Status last = ok();
  for (int i = 0; i < 20 && last; ++i) {
    last = f.store->check("alice", std::vector<ContentReference>{{file.sha256, std::to_string(i)}});
  }
  CHECK(error_of(last, ErrorCode::kInvalidArgument).find("other names") != std::string::npos);
}

TEST_CASE("content_store: a user has bounds, within which the longest unused goes first") {
  Fixture f({.owner_bytes_max = 10, .owner_files_max = 3, .owner_coming_max = 2, .coming_max = 3});
  const auto text = [](char c) { return std::string(4, c); };
  for (const char c : {'a', 'b'}) send_all(f, "alice", described(text(c)), text(c));
  // Both were just sent: for a job that is about to come, as far as anybody knows.
  CHECK(
      error_of(send(f, "alice", described(text('c')), text('c'), 0, 4), ErrorCode::kExhausted)
          .find("keeps 8 bytes in 2 files of alice, this job would bring 4 bytes in 1 more, and a "
                "user may have 10 bytes in 3") != std::string::npos);
  send_all(f, "bob", described(text('c')), text('c'));
  f.age("alice", described(text('a')), 2h);
  f.age("alice", described(text('b')), 1h);
  f.store->hold(1, "alice", {{described(text('a')).sha256, "a.jsonl"}});
  send_all(f, "alice", described(text('c')), text('c'));
  CHECK(f.has("alice", described(text('a'))));
  CHECK_FALSE(f.has("alice", described(text('b'))));
  // So many at a time.
  Fixture g(f.limits);
  for (const char c : {'a', 'b'}) CHECK(*send(g, "alice", described(text(c)), text(c), 0, 1) == 1);
  (void)error_of(send(g, "alice", described("c"), "c", 0, 0), ErrorCode::kOverloaded);
  CHECK(*send(g, "bob", described(text('a')), text('a'), 0, 1) == 1);
  (void)error_of(send(g, "carol", described("c"), "c", 0, 0), ErrorCode::kOverloaded);
}

TEST_CASE("content_store: room on the disk is looked at before anything is taken") {
  const auto disk = SmallDisk::mount(2);
  if (!disk) return;
  auto store = ContentStore::open(disk->file("content"), {});
  REQUIRE(store);
  const ContentFile large{.sha256 = std::string(64, 'a'), .name = "a", .bytes = 3 << 20};
  const std::string said = error_of(store->lacking("alice", {&large, 1}), ErrorCode::kExhausted);
  CAPTURE(said);
  CHECK(said.find("the daemon's host has 2.") == 0);
  CHECK(said.find("what is sent with the job needs 3.1 MB; make room on that disk") !=
        std::string::npos);
}
