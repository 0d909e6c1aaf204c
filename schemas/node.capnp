@0x8d3c5921e39c5412;
# What the head of a cluster and the daemon of another host say to each other: a LinkHeader and,
# behind it, a FromNode or a ToNode. node.h says when.
#
# Evolution: append fields with the next ordinal; a reader that meets an older message sees the
# default. Never renumber, retype or reuse an ordinal or an enumerant.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("troupe::wire");

using Failure = import "result.capnp".Failure;

struct LinkHeader {
  # In front of every message.

  session @0 :UInt64;  # 0: what comes with it belongs to none.
  sequence @1 :UInt64;  # 1, 2, ... of the parts that the sender has sent; 0: not one of these.
  received @2 :UInt64;  # The last that the sender has of the other side, with all before.
  goesOn @3 :Bool;  # The message is longer than this part of it.
  isMissing @4 :Bool;  # Something was lost: the sender wants the connection made anew.
}

struct HostFacts {
  slots @0 :UInt32;  # Workers with a device that it takes at a time.
  cores @1 :UInt32;
  coresOfPart @2 :List(UInt32);  # By NUMA part.
  memoryBytes @3 :UInt64;
  diskBytes @4 :UInt64;  # Of the file system of its home.
  diskFreeBytes @5 :UInt64;
  devices @6 :List(Text);
}

struct NodeProcess {
  # That a node has started, or taken over.

  job @0 :UInt64;
  slot @1 :UInt32;
  pid @2 :UInt64;  # On its host.
  token @3 :Text;
}

struct NodeHello {
  instance @0 :UInt64;  # Of this run of the daemon.
  build @1 :Text;  # Of the program.
  arithmeticId @2 :Text;  # "cpu-1"
  instructionSet @3 :Text;
  address @4 :Text;  # Under which others are to reach it; empty: as the head sees it.
  headAddress @5 :Text;  # Under which it reaches the head.
  facts @6 :HostFacts;
  sharedHome @7 :Text;  # The head's folder where this host sees it too; empty: it does not.
  canary @8 :Text;  # What it has written there as a proof.
  copiesPort @9 :UInt16;  # Where it serves its copies of files to other nodes ...
  copiesKey @10 :Text;  # ... and the public key that it shows there.
}

struct NodeProcesses {
  processes @0 :List(NodeProcess);
}

struct NodeBeat {
  diskFreeBytes @0 :UInt64;
}

struct ProcessStarted {
  requestId @0 :UInt64;
  pid @1 :UInt64;  # 0: there is none.
  failure @2 :Text;
}

struct ProcessEnded {
  job @0 :UInt64;
  slot @1 :UInt32;
  pid @2 :UInt64;
  exitCode @3 :Int32;
  signal @4 :Int32;
  lastWords @5 :Text;  # Of its standard error.
}

struct NodeLeaves {
  isNow @0 :Bool;  # Nothing runs there any more.
}

struct WorkerEnvelope {
  # From or to a worker of the node.

  peer @0 :UInt64;  # Its connection to the node's daemon.
  envelope @1 :Data;
}

struct FolderToList {
  path @0 :Text;
}

struct FileToRead {
  path @0 :Text;
  offset @1 :UInt64;
  size @2 :UInt32;
}

struct FileToWrite {
  path @0 :Text;
  offset @1 :UInt64;
  bytes @2 :Data;
  isLast @3 :Bool;  # It appears under its name.
  modifiedNs @4 :Int64;  # Of the file that it is a copy of, since 1970.
}

struct RoomToHave {
  # Asked before any of it is sent.

  path @0 :Text;
  bytes @1 :UInt64;
}

struct PartsToHash {
  path @0 :Text;
  offset @1 :UInt64;
  count @2 :UInt32;
}

struct FileVersion {
  path @0 :Text;  # At the head.
  bytes @1 :UInt64;
  modifiedNs @2 :Int64;  # Since 1970; a copy with the same size and time is the same file.
}

struct SourceToFind {
  # Which host to read a file of: the one named has failed.

  file @0 :FileVersion;
  failed @1 :Text;
}

struct CopyToRead {
  # Of a node that has it, or is about to.

  file @0 :FileVersion;
  offset @1 :UInt64;
  size @2 :UInt32;
}

struct FileRequest {
  requestId @0 :UInt64;
  job @1 :UInt64;  # Whose files they are.
  union {
    list @2 :FolderToList;
    read @3 :FileToRead;
    write @4 :FileToWrite;
    room @5 :RoomToHave;
    hash @6 :PartsToHash;
    find @7 :SourceToFind;
    have @8 :FileVersion;  # The node holds it wholly.
    copy @9 :CopyToRead;
  }
}

struct HostReading {
  # What a host says of itself when it is asked.

  clockNs @0 :Int64;  # Since 1970, when it answered.
  home @1 :Text;  # Folder of its daemon.
  diskFreeBytes @2 :UInt64;  # Of the home's file system.
  memoryFreeBytes @3 :UInt64;
  shmBytes @4 :UInt64;  # Of /dev/shm ...
  shmFreeBytes @5 :UInt64;
  flopsPerCore @6 :Float64;  # In a product, per second of one core's time; 0: not measured.
}

struct NodeExamined {
  requestId @0 :UInt64;
  reading @1 :HostReading;
  payload @2 :Data;
}

struct FromNode {
  union {
    hello @0 :NodeHello;
    processes @1 :NodeProcesses;
    beat @2 :NodeBeat;
    started @3 :ProcessStarted;
    ended @4 :ProcessEnded;
    workerSays @5 :WorkerEnvelope;
    workerGone @6 :UInt64;  # Its connection.
    file @7 :FileRequest;
    leaves @8 :NodeLeaves;
    examined @9 :NodeExamined;
    given @10 :FilesGiven;
  }
}

struct NodeWelcome {
  instance @0 :UInt64;  # Whose hello this answers.
  session @1 :UInt64;  # The same as before: what was said before goes on.
}

struct NodeRefused {
  instance @0 :UInt64;
  reason @1 :Text;
  isFinal @2 :Bool;  # Asking again is of no use.
}

struct StartProcess {
  requestId @0 :UInt64;
  job @1 :UInt64;
  slot @2 :UInt32;
  token @3 :Text;
  home @4 :Text;  # Of the job, at the head.
  patienceSeconds @5 :UInt32;  # How long it may live without a head.
  device @6 :Text = "cpu";  # Or cuda.
}

struct DropFiles {
  job @0 :UInt64;
  path @1 :Text;  # At the head; empty: all of the job.
}

struct FilesToKeep {
  job @0 :UInt64;
  home @1 :Text;  # Of the job, at the head.
  was @2 :Text;  # What it was called there while it was written ...
  path @3 :Text;  # ... and what it is called now.
}

struct FilesToGive {
  requestId @0 :UInt64;
  job @1 :UInt64;
  home @2 :Text;
  path @3 :Text;
}

struct FilesGiven {
  requestId @0 :UInt64;
  hasAny @1 :Bool;
  failure @2 :Text;
}

struct FileEntry {
  name @0 :Text;
  bytes @1 :UInt64;
  modifiedNs @2 :Int64;  # Since 1970; a copy with the same size and time is the same file.
}

struct CopySource {
  # A node that serves a copy.

  node @0 :Text;  # Empty: the head is to be read.
  address @1 :Text;
  port @2 :UInt16;
  key @3 :Text;  # By which it is known.
}

struct FileReply {
  requestId @0 :UInt64;
  error @1 :Failure;
  hasError @2 :Bool;
  files @3 :List(FileEntry);
  bytes @4 :Data;
  source @5 :CopySource;
}

struct ExamineNode {
  requestId @0 :UInt64;
  payload @1 :Data;  # Its way there is what is measured.
  replyBytes @2 :UInt32;  # Of the answer's payload.
  computes @3 :Bool;  # A product is to be timed, too.
}

struct PeerIsUp {
  node @0 :Text;
  key @1 :Text;  # The public key that it shows to others.
}

struct ToNode {
  union {
    welcome @0 :NodeWelcome;
    refused @1 :NodeRefused;
    start @2 :StartProcess;
    kill @3 :UInt64;  # A process of the node's.
    workerHears @4 :WorkerEnvelope;
    drop @5 :DropFiles;
    file @6 :FileReply;
    examine @7 :ExamineNode;
    peerUp @8 :PeerIsUp;
    peerGone @9 :Text;
    keep @10 :FilesToKeep;
    give @11 :FilesToGive;
  }
}
