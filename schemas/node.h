// What the head of a cluster and the daemon of another host say to each other. A node dials its
// head and never the reverse.
//
//   node                        head
//     NodeHello       ──▶                      again and again, until it is answered
//                     ◀──       NodeWelcome    or NodeRefused, with the reason
//     NodeProcesses   ──▶                      what runs there; first in a session
//     NodeBeat        ──▶                      four times a second
//                     ◀──       StartProcess, KillProcess, WorkerHears, DropFiles, ExamineNode,
//                               PeerUp, PeerGone, KeepFiles, GiveFiles
//     ProcessStarted, ProcessEnded, WorkerSays, WorkerGone, NodeExamined, FilesGiven
//                               ──▶
//     FileRequest     ──▶       ◀── FileReply  beside the session: the sender asks again
//
// And what nodes say to each other: FileRequest with ReadCopy ──▶, ◀── FileReply.
//
// What belongs to a session arrives once and in order for as long as both processes live, however
// often their connection breaks. A head that begins anew begins another session.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "schemas/result.h"

namespace troupe {

inline constexpr size_t kFileChunkBytesMax = 4 << 20;  // Of one read or write.
inline constexpr size_t kFilePartBytes = 1 << 20;      // That has a hash of its own.
inline constexpr uint32_t kHashPartsMax = 64;          // In one request.
inline constexpr size_t kExamBytesMax = 4 << 20;       // That are sent only to see how fast.
inline constexpr uint32_t kNodeProcessesMax = 1 << 12;
inline constexpr uint32_t kFolderFilesMax = 1 << 14;

// In front of every message of the link.
struct LinkHeader {
  uint64_t session = 0;     // 0: what comes with it belongs to none.
  uint64_t sequence = 0;    // 1, 2, ... of the parts that the sender has sent; 0: not one of these.
  uint64_t received = 0;    // The last that the sender has of the other side, with all before.
  bool goes_on = false;     // The message is longer than this part of it.
  bool is_missing = false;  // Something was lost: the sender wants the connection made anew.
  bool operator==(const LinkHeader&) const = default;
};

// What a host has.
struct HostFacts {
  uint32_t slots = 0;  // Workers with a device that it takes at a time.
  uint32_t cores = 0;
  std::vector<uint32_t> cores_of_part{};  // By NUMA part.
  uint64_t memory_bytes = 0;
  uint64_t disk_bytes = 0;  // Of the file system of its home ...
  uint64_t disk_free_bytes = 0;
  std::vector<std::string> devices{};  // GPUs, by what their driver calls them.
  bool operator==(const HostFacts&) const = default;
};

// What a host says of itself when it is asked.
struct HostReading {
  int64_t clock_ns = 0;          // Since 1970, when it answered.
  std::string home{};            // Folder of its daemon.
  uint64_t disk_free_bytes = 0;  // Of the home's file system.
  uint64_t memory_free_bytes = 0;
  uint64_t shm_bytes = 0;  // Of /dev/shm ...
  uint64_t shm_free_bytes = 0;
  double flops_per_core = 0;  // In a product, per second of one core's time; 0: not measured.
  bool operator==(const HostReading&) const = default;
};

// A process that a node has started, or taken over.
struct NodeProcess {
  uint64_t job = 0;
  uint32_t slot = 0;
  uint64_t pid = 0;  // On its host.
  std::string token{};
};

// ---- From a node.

struct NodeHello {
  uint64_t instance = 0;          // Of this run of the daemon.
  std::string build{};            // Of the program.
  std::string arithmetic_id{};    // "cpu-1"
  std::string instruction_set{};  // "avx512"
  std::string address{};          // Under which others are to reach it; empty: as the head sees it.
  std::string head_address{};     // Under which it reaches the head.
  HostFacts facts{};
  // The head's folder where this host sees it too, and what it has written there as a proof; empty:
  // it has no folder in common with the head.
  std::string shared_home{};
  std::string canary{};
  uint16_t copies_port = 0;  // Where it serves its copies of files to other nodes; 0: it does not.
  std::string copies_key{};  // The public key that it shows there, as text.
};

struct NodeProcesses {
  std::vector<NodeProcess> processes{};
};

struct NodeBeat {
  uint64_t disk_free_bytes = 0;
};

struct ProcessStarted {
  uint64_t request_id = 0;
  uint64_t pid = 0;  // 0: there is none, because of `failure`.
  std::string failure{};
};

struct ProcessEnded {
  uint64_t job = 0;
  uint32_t slot = 0;
  uint64_t pid = 0;
  int32_t exit_code = 0;
  int32_t signal = 0;
  std::string last_words{};  // Of its standard error.
};

// It is about to end: nothing new is to be begun there.
struct NodeLeaves {
  bool is_now = false;  // Nothing runs there any more.
};

// An envelope of a worker's; `peer` is its connection to the node's daemon.
struct WorkerSays {
  uint64_t peer = 0;
  std::vector<std::byte> envelope{};
};

struct WorkerGone {
  uint64_t peer = 0;
};

struct ListFolder {
  std::string path{};  // At the head. A file is a folder of itself, with an empty name.
};
struct ReadFile {
  std::string path{};
  uint64_t offset = 0;
  uint32_t size = 0;  // At most kFileChunkBytesMax.
};
// In order of offsets; the last makes the file appear under its name.
struct WriteFile {
  std::string path{};
  uint64_t offset = 0;
  std::vector<std::byte> bytes{};
  bool is_last = false;
  int64_t modified_ns = 0;  // Of the file that it is a copy of, since 1970.
};

// Whether there is room for so much at a path of the head's, before any of it is sent.
struct AskRoom {
  std::string path{};
  uint64_t bytes = 0;
};

// SHA-256 of each of so many parts of a file, one after another: for whoever has another version of
// it. The last part of a file may be shorter.
struct HashParts {
  std::string path{};
  uint64_t offset = 0;
  uint32_t count = 0;  // At most kHashPartsMax.
};

// A file of the head's as it was when it had this size and time.
struct FileVersion {
  std::string path{};  // At the head.
  uint64_t bytes = 0;
  int64_t modified_ns = 0;  // Since 1970.
  auto operator<=>(const FileVersion&) const = default;
};

// From which host to read a file; `failed` could not give it.
struct FindSource {
  FileVersion file{};
  std::string failed{};
};
// The node holds it wholly, and others may have it from there.
struct HaveFile {
  FileVersion file{};
};
// From one node to another, which has the file or is about to.
struct ReadCopy {
  FileVersion file{};
  uint64_t offset = 0;
  uint32_t size = 0;  // At most kFilePartBytes.
};

struct FileRequest {
  uint64_t request_id = 0;
  uint64_t job = 0;  // Whose files they are.
  std::variant<ListFolder, ReadFile, WriteFile, AskRoom, HashParts, FindSource, HaveFile, ReadCopy>
      what{};
};

struct NodeExamined {
  uint64_t request_id = 0;
  HostReading reading{};
  std::vector<std::byte> payload{};
};

// The answer to GiveFiles.
struct FilesGiven {
  uint64_t request_id = 0;
  bool has_any = false;  // And all that it has is at the head now, if there is no failure.
  std::string failure{};
};

using FromNode =
    std::variant<NodeHello, NodeProcesses, NodeBeat, ProcessStarted, ProcessEnded, WorkerSays,
                 WorkerGone, FileRequest, NodeLeaves, NodeExamined, FilesGiven>;

// ---- To a node.

struct NodeWelcome {
  uint64_t instance = 0;  // Whose hello this answers.
  uint64_t session = 0;   // The same as before: what was said before goes on.
};

struct NodeRefused {
  uint64_t instance = 0;
  std::string reason{};
  bool is_final = false;  // Asking again is of no use.
};

struct StartProcess {
  uint64_t request_id = 0;
  uint64_t job = 0;
  uint32_t slot = 0;
  std::string token{};
  std::string home{};             // Of the job, at the head.
  uint32_t patience_seconds = 0;  // How long it may live without a head.
  std::string device = "cpu";     // Or cuda.
};

struct KillProcess {
  uint64_t pid = 0;
};

struct WorkerHears {
  uint64_t peer = 0;
  std::vector<std::byte> envelope{};
};

// What the node holds of a job's files at this path of the head's, and below; empty: of the job.
struct DropFiles {
  uint64_t job = 0;
  std::string path{};
};

// The node is to have a copy of what lies at this path of the head's. What it has of it already is
// called otherwise.
struct KeepFiles {
  uint64_t job = 0;
  std::string home{};  // Of the job, at the head.
  std::string was{};   // What the path was while it was written.
  std::string path{};
};

// What the node has of it is to be at the head.
struct GiveFiles {
  uint64_t request_id = 0;
  uint64_t job = 0;
  std::string home{};
  std::string path{};
};

struct FileEntry {
  std::string name{};  // Relative to what was listed.
  uint64_t bytes = 0;
  int64_t modified_ns = 0;  // Since 1970; a copy with the same size and time is the same file.
  bool operator==(const FileEntry&) const = default;
};

// A node that serves a copy. What comes from there is believed when it has the head's digests.
struct CopySource {
  std::string node{};  // Empty: the head is to be read.
  std::string address{};
  uint16_t port = 0;
  std::string key{};  // By which it is known.
  bool operator==(const CopySource&) const = default;
};

struct FileReply {
  uint64_t request_id = 0;
  std::optional<Error> error{};
  std::vector<FileEntry> files{};  // Of a folder.
  std::vector<std::byte> bytes{};  // Read, or digests of 32 bytes each.
  CopySource source{};
};

// How is it, and how far away? Answered at once, or after a fraction of a second where it computes.
struct ExamineNode {
  uint64_t request_id = 0;
  std::vector<std::byte> payload{};  // Its way there is what is measured; at most kExamBytesMax.
  uint32_t reply_bytes = 0;          // Of the answer's payload; at most kExamBytesMax.
  bool computes = false;             // A product is to be timed, too.
};

// Another node that may ask for copies, by the key that it shows.
struct PeerUp {
  std::string node{};
  std::string key{};
};
struct PeerGone {
  std::string node{};
};

using ToNode =
    std::variant<NodeWelcome, NodeRefused, StartProcess, KillProcess, WorkerHears, DropFiles,
                 FileReply, ExamineNode, PeerUp, PeerGone, KeepFiles, GiveFiles>;

}  // namespace troupe
