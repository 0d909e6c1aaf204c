// One value of every message between a head and a node, with each field set to something of its
// own; and equality of messages.
#pragma once

#include <vector>

#include "schemas/node.h"
#include "tests/schemas/filled.h"

namespace troupe {

inline LinkHeader filled_link_header() {
  return {.session = 1, .sequence = 2, .received = 3, .goes_on = true, .is_missing = true};
}

inline std::vector<FromNode> filled_from_node() {
  return {
      NodeHello{.instance = 1,
                .build = "build",
                .arithmetic_id = "arithmetic",
                .instruction_set = "set",
                .address = "address",
                .head_address = "head",
                .facts = filled_host_facts(),
                .shared_home = "shared",
                .canary = "canary",
                .copies_port = 2,
                .copies_key = "key"},
      NodeProcesses{{{.job = 1, .slot = 2, .pid = 3, .token = "token"}}},
      NodeBeat{.disk_free_bytes = 1},
      ProcessStarted{.request_id = 1, .pid = 2, .failure = "failure"},
      ProcessEnded{
          .job = 1, .slot = 2, .pid = 3, .exit_code = -4, .signal = 5, .last_words = "words"},
      WorkerSays{.peer = 1, .envelope = {std::byte{2}}},
      WorkerGone{.peer = 1},
      NodeLeaves{.is_now = true},
      NodeExamined{.request_id = 1, .reading = filled_host_reading(), .payload = {std::byte{2}}},
      FilesGiven{.request_id = 1, .has_any = true, .failure = "failure"},
      FileRequest{.request_id = 1, .job = 2, .what = ListFolder{"path"}},
      FileRequest{.request_id = 1, .job = 2, .what = ReadFile{.path = "p", .offset = 3, .size = 4}},
      FileRequest{.request_id = 1,
                  .job = 2,
                  .what = WriteFile{.path = "path",
                                    .offset = 3,
                                    .bytes = {std::byte{4}},
                                    .is_last = true,
                                    .modified_ns = -5}},
      FileRequest{.request_id = 1, .job = 2, .what = AskRoom{.path = "p", .bytes = 3}},
      FileRequest{
          .request_id = 1, .job = 2, .what = HashParts{.path = "p", .offset = 3, .count = 4}},
      FileRequest{
          .request_id = 1, .job = 2, .what = FindSource{.file = {"path", 3, -4}, .failed = "node"}},
      FileRequest{.request_id = 1, .job = 2, .what = HaveFile{{"path", 3, -4}}},
      FileRequest{.request_id = 1,
                  .job = 2,
                  .what = ReadCopy{.file = {"path", 3, -4}, .offset = 5, .size = 6}}};
}

inline std::vector<ToNode> filled_to_node() {
  return {
      NodeWelcome{.instance = 1, .session = 2},
      NodeRefused{.instance = 1, .reason = "reason", .is_final = true},
      StartProcess{.request_id = 1,
                   .job = 2,
                   .slot = 3,
                   .token = "token",
                   .home = "home",
                   .patience_seconds = 4,
                   .device = "device"},
      KillProcess{.pid = 1},
      WorkerHears{.peer = 1, .envelope = {std::byte{2}}},
      DropFiles{.job = 1, .path = "path"},
      FileReply{.request_id = 1,
                .error = filled_error(),
                .files = {{"name", 2, -3}},
                .bytes = {std::byte{3}},
                .source = {.node = "node", .address = "address", .port = 4, .key = "key"}},
      ExamineNode{.request_id = 1, .payload = {std::byte{2}}, .reply_bytes = 3, .computes = true},
      PeerUp{.node = "node", .key = "key"},
      PeerGone{"node"},
      KeepFiles{.job = 1, .home = "home", .was = "was", .path = "path"},
      GiveFiles{.request_id = 1, .job = 2, .home = "home", .path = "path"}};
}

inline bool same(const NodeProcess& a, const NodeProcess& b) {
  return a.job == b.job && a.slot == b.slot && a.pid == b.pid && a.token == b.token;
}
inline bool same(const NodeHello& a, const NodeHello& b) {
  return a.instance == b.instance && a.build == b.build && a.arithmetic_id == b.arithmetic_id &&
         a.instruction_set == b.instruction_set && a.address == b.address &&
         a.head_address == b.head_address && a.facts == b.facts && a.shared_home == b.shared_home &&
         a.canary == b.canary && a.copies_port == b.copies_port && a.copies_key == b.copies_key;
}
inline bool same(const NodeProcesses& a, const NodeProcesses& b) {
  return same(a.processes, b.processes);
}
inline bool same(const NodeBeat& a, const NodeBeat& b) {
  return a.disk_free_bytes == b.disk_free_bytes;
}
inline bool same(const ProcessStarted& a, const ProcessStarted& b) {
  return a.request_id == b.request_id && a.pid == b.pid && a.failure == b.failure;
}
inline bool same(const ProcessEnded& a, const ProcessEnded& b) {
  return a.job == b.job && a.slot == b.slot && a.pid == b.pid && a.exit_code == b.exit_code &&
         a.signal == b.signal && a.last_words == b.last_words;
}
inline bool same(const WorkerSays& a, const WorkerSays& b) {
  return a.peer == b.peer && a.envelope == b.envelope;
}
inline bool same(const WorkerGone& a, const WorkerGone& b) { return a.peer == b.peer; }
inline bool same(const NodeLeaves& a, const NodeLeaves& b) { return a.is_now == b.is_now; }
inline bool same(const NodeExamined& a, const NodeExamined& b) {
  return a.request_id == b.request_id && a.reading == b.reading && a.payload == b.payload;
}
inline bool same(const ExamineNode& a, const ExamineNode& b) {
  return a.request_id == b.request_id && a.payload == b.payload && a.reply_bytes == b.reply_bytes &&
         a.computes == b.computes;
}
inline bool same(const ListFolder& a, const ListFolder& b) { return a.path == b.path; }
inline bool same(const ReadFile& a, const ReadFile& b) {
  return a.path == b.path && a.offset == b.offset && a.size == b.size;
}
inline bool same(const WriteFile& a, const WriteFile& b) {
  return a.path == b.path && a.offset == b.offset && a.bytes == b.bytes && a.is_last == b.is_last &&
         a.modified_ns == b.modified_ns;
}
inline bool same(const AskRoom& a, const AskRoom& b) {
  return a.path == b.path && a.bytes == b.bytes;
}
inline bool same(const HashParts& a, const HashParts& b) {
  return a.path == b.path && a.offset == b.offset && a.count == b.count;
}
inline bool same(const FindSource& a, const FindSource& b) {
  return a.file == b.file && a.failed == b.failed;
}
inline bool same(const HaveFile& a, const HaveFile& b) { return a.file == b.file; }
inline bool same(const ReadCopy& a, const ReadCopy& b) {
  return a.file == b.file && a.offset == b.offset && a.size == b.size;
}
inline bool same(const FileRequest& a, const FileRequest& b) {
  return a.request_id == b.request_id && a.job == b.job && same(a.what, b.what);
}
inline bool same(const NodeWelcome& a, const NodeWelcome& b) {
  return a.instance == b.instance && a.session == b.session;
}
inline bool same(const NodeRefused& a, const NodeRefused& b) {
  return a.instance == b.instance && a.reason == b.reason && a.is_final == b.is_final;
}
inline bool same(const StartProcess& a, const StartProcess& b) {
  return a.request_id == b.request_id && a.job == b.job && a.slot == b.slot && a.token == b.token &&
         a.home == b.home && a.patience_seconds == b.patience_seconds && a.device == b.device;
}
inline bool same(const KillProcess& a, const KillProcess& b) { return a.pid == b.pid; }
inline bool same(const WorkerHears& a, const WorkerHears& b) {
  return a.peer == b.peer && a.envelope == b.envelope;
}
inline bool same(const DropFiles& a, const DropFiles& b) {
  return a.job == b.job && a.path == b.path;
}
inline bool same(const FileReply& a, const FileReply& b) {
  return a.request_id == b.request_id && same(a.error, b.error) && a.files == b.files &&
         a.bytes == b.bytes && a.source == b.source;
}
inline bool same(const PeerUp& a, const PeerUp& b) { return a.node == b.node && a.key == b.key; }
inline bool same(const PeerGone& a, const PeerGone& b) { return a.node == b.node; }
inline bool same(const KeepFiles& a, const KeepFiles& b) {
  return a.job == b.job && a.home == b.home && a.was == b.was && a.path == b.path;
}
inline bool same(const GiveFiles& a, const GiveFiles& b) {
  return a.request_id == b.request_id && a.job == b.job && a.home == b.home && a.path == b.path;
}
inline bool same(const FilesGiven& a, const FilesGiven& b) {
  return a.request_id == b.request_id && a.has_any == b.has_any && a.failure == b.failure;
}
inline bool same(const LinkHeader& a, const LinkHeader& b) { return a == b; }

}  // namespace troupe
