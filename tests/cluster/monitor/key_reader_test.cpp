#include "cluster/monitor/key_reader.h"

#include <doctest/doctest.h>

#include <random>

namespace troupe::cluster {
namespace {

std::vector<KeyPress> keys(std::initializer_list<Pressed> kinds) {
  std::vector<KeyPress> all;
  for (const Pressed kind : kinds) all.push_back({kind});
  return all;
}

TEST_CASE("key_reader: characters, and keys that are sequences, in each terminal's way") {
  KeyReader reader;
  CHECK(reader.read("q?") ==
        std::vector<KeyPress>{{Pressed::kCharacter, 'q'}, {Pressed::kCharacter, '?'}});
  CHECK(reader.read("\x1b[A\x1bOA\x1b[1;5A") == keys({Pressed::kUp, Pressed::kUp, Pressed::kUp}));
  CHECK(reader.read("\x1b[B\x1b[C\x1b[D") ==
        keys({Pressed::kDown, Pressed::kRight, Pressed::kLeft}));
  CHECK(reader.read("\x1b[5~\x1b[6~\x1b[H\x1b[1~\x1b[7~\x1bOF\x1b[4~") ==
        keys({Pressed::kPageUp, Pressed::kPageDown, Pressed::kHome, Pressed::kHome, Pressed::kHome,
              Pressed::kEnd, Pressed::kEnd}));
  CHECK(reader.read("\r\n\x1bOM\f") ==
        keys({Pressed::kEnter, Pressed::kEnter, Pressed::kEnter, Pressed::kRedraw}));
}

TEST_CASE("key_reader: a key may come in pieces, and Escape alone is known when nothing follows") {
  KeyReader reader;
  CHECK(reader.read("\x1b").empty());
  CHECK(reader.read("[").empty());
  CHECK(reader.read("A") == keys({Pressed::kUp}));
  CHECK(reader.read("\x1b").empty());
  CHECK(reader.pause() == keys({Pressed::kEscape}));
  CHECK(reader.pause().empty());
  CHECK(reader.read("\x1b\x1b[B") == keys({Pressed::kEscape, Pressed::kDown}));
  // A sequence that was never ended takes nothing of what comes later.
  CHECK(reader.read("\x1b[1").empty());
  CHECK(reader.pause().empty());
  CHECK(reader.read("q") == std::vector<KeyPress>{{Pressed::kCharacter, 'q'}});
}

TEST_CASE("key_reader: what is no key of ours is dropped, whatever it is") {
  KeyReader reader;
  // A function key, one with Alt, a mouse, letters of other scripts, controls.
  CHECK(reader.read("\x1b[15~\x1bx\x1b[<0;3;4M\xc3\xa4\x01\x7f").empty());
  CHECK(reader.read("\x1b[" + std::string(1'000, '1') + "q").back() ==
        KeyPress{Pressed::kCharacter, 'q'});
  std::mt19937_64 random(7);
  for (int i = 0; i < 1'000; ++i) {
    std::string bytes(random() % 64, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    for (const KeyPress& key : reader.read(bytes)) {
      const bool is_character = key.kind == Pressed::kCharacter;
      CHECK(is_character == (key.character >= ' ' && key.character <= '~'));
    }
  }
  reader.pause();
  CHECK(reader.read("\x1b[A") == keys({Pressed::kUp}));
}

}  // namespace
}  // namespace troupe::cluster
