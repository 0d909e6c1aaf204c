#include "schemas/node_codec.h"

#include <fmt/format.h>

#include "schemas/bounds.h"
#include "schemas/envelope.h"
#include "schemas/node_wire.h"
#include "schemas/overloaded.h"
#include "schemas/result_wire.h"
#include "schemas/wire.h"

namespace troupe {

// Not in an unnamed namespace, because wire.h finds these by their arguments.

void to_wire(wire::LinkHeader::Builder to, const LinkHeader& from) {
  to.setSession(from.session);
  to.setSequence(from.sequence);
  to.setReceived(from.received);
  to.setGoesOn(from.goes_on);
  to.setIsMissing(from.is_missing);
}

LinkHeader from_wire(wire::LinkHeader::Reader from, FieldReader&) {
  return {.session = from.getSession(),
          .sequence = from.getSequence(),
          .received = from.getReceived(),
          .goes_on = from.getGoesOn(),
          .is_missing = from.getIsMissing()};
}

void to_wire(wire::HostFacts::Builder to, const HostFacts& from) {
  to.setSlots(from.slots);
  to.setCores(from.cores);
  to.setCoresOfPart(wire::to_list(from.cores_of_part, kNodeProcessesMax));
  to.setMemoryBytes(from.memory_bytes);
  to.setDiskBytes(from.disk_bytes);
  to.setDiskFreeBytes(from.disk_free_bytes);
  wire::to_texts(to.initDevices(wire::to_size(from.devices, kNodeProcessesMax)), from.devices,
                 kNameBytesMax);
}

HostFacts from_wire(wire::HostFacts::Reader from, FieldReader& fields) {
  return {
      .slots = from.getSlots(),
      .cores = from.getCores(),
      .cores_of_part =
          fields.numbers<uint32_t>(from.getCoresOfPart(), kNodeProcessesMax, "cores_of_part"),
      .memory_bytes = from.getMemoryBytes(),
      .disk_bytes = from.getDiskBytes(),
      .disk_free_bytes = from.getDiskFreeBytes(),
      .devices = fields.texts(from.getDevices(), kNodeProcessesMax, kNameBytesMax, "devices"),
  };
}

void to_wire(wire::HostReading::Builder to, const HostReading& from) {
  to.setClockNs(from.clock_ns);
  to.setHome(wire::to_text(from.home, kNameBytesMax));
  to.setDiskFreeBytes(from.disk_free_bytes);
  to.setMemoryFreeBytes(from.memory_free_bytes);
  to.setShmBytes(from.shm_bytes);
  to.setShmFreeBytes(from.shm_free_bytes);
  to.setFlopsPerCore(from.flops_per_core);
}

HostReading from_wire(wire::HostReading::Reader from, FieldReader& fields) {
  return {.clock_ns = from.getClockNs(),
          .home = fields.text(from.getHome(), kNameBytesMax, "home"),
          .disk_free_bytes = from.getDiskFreeBytes(),
          .memory_free_bytes = from.getMemoryFreeBytes(),
          .shm_bytes = from.getShmBytes(),
          .shm_free_bytes = from.getShmFreeBytes(),
          .flops_per_core = from.getFlopsPerCore()};
}

void to_wire(wire::NodeProcess::Builder to, const NodeProcess& from) {
  to.setJob(from.job);
  to.setSlot(from.slot);
  to.setPid(from.pid);
  to.setToken(wire::to_text(from.token, kNameBytesMax));
}

NodeProcess from_wire(wire::NodeProcess::Reader from, FieldReader& fields) {
  return {.job = from.getJob(),
          .slot = from.getSlot(),
          .pid = from.getPid(),
          .token = fields.text(from.getToken(), kNameBytesMax, "token")};
}

void to_wire(wire::NodeHello::Builder to, const NodeHello& from) {
  to.setInstance(from.instance);
  to.setBuild(wire::to_text(from.build, kNameBytesMax));
  to.setArithmeticId(wire::to_text(from.arithmetic_id, kNameBytesMax));
  to.setInstructionSet(wire::to_text(from.instruction_set, kNameBytesMax));
  to.setAddress(wire::to_text(from.address, kNameBytesMax));
  to.setHeadAddress(wire::to_text(from.head_address, kNameBytesMax));
  to_wire(to.initFacts(), from.facts);
  to.setSharedHome(wire::to_text(from.shared_home, kNameBytesMax));
  to.setCanary(wire::to_text(from.canary, kNameBytesMax));
  to.setCopiesPort(from.copies_port);
  to.setCopiesKey(wire::to_text(from.copies_key, kNameBytesMax));
}

NodeHello from_wire(wire::NodeHello::Reader from, FieldReader& fields) {
  return {
      .instance = from.getInstance(),
      .build = fields.text(from.getBuild(), kNameBytesMax, "build"),
      .arithmetic_id = fields.text(from.getArithmeticId(), kNameBytesMax, "arithmetic_id"),
      .instruction_set = fields.text(from.getInstructionSet(), kNameBytesMax, "instruction_set"),
      .address = fields.text(from.getAddress(), kNameBytesMax, "address"),
      .head_address = fields.text(from.getHeadAddress(), kNameBytesMax, "head_address"),
      .facts = from_wire(from.getFacts(), fields),
      .shared_home = fields.text(from.getSharedHome(), kNameBytesMax, "shared_home"),
      .canary = fields.text(from.getCanary(), kNameBytesMax, "canary"),
      .copies_port = from.getCopiesPort(),
      .copies_key = fields.text(from.getCopiesKey(), kNameBytesMax, "copies_key"),
  };
}

void to_wire(wire::NodeProcesses::Builder to, const NodeProcesses& from) {
  wire::to_structs(to.initProcesses(wire::to_size(from.processes, kNodeProcessesMax)),
                   from.processes);
}

NodeProcesses from_wire(wire::NodeProcesses::Reader from, FieldReader& fields) {
  return {.processes =
              fields.structs<NodeProcess>(from.getProcesses(), kNodeProcessesMax, "processes")};
}

void to_wire(wire::NodeBeat::Builder to, const NodeBeat& from) {
  to.setDiskFreeBytes(from.disk_free_bytes);
}

NodeBeat from_wire(wire::NodeBeat::Reader from, FieldReader&) {
  return {.disk_free_bytes = from.getDiskFreeBytes()};
}

void to_wire(wire::ProcessStarted::Builder to, const ProcessStarted& from) {
  to.setRequestId(from.request_id);
  to.setPid(from.pid);
  to.setFailure(wire::to_text(wire::cut(from.failure), kTextBytesMax));
}

ProcessStarted from_wire(wire::ProcessStarted::Reader from, FieldReader& fields) {
  return {.request_id = from.getRequestId(),
          .pid = from.getPid(),
          .failure = fields.text(from.getFailure(), kTextBytesMax, "failure")};
}

void to_wire(wire::ProcessEnded::Builder to, const ProcessEnded& from) {
  to.setJob(from.job);
  to.setSlot(from.slot);
  to.setPid(from.pid);
  to.setExitCode(from.exit_code);
  to.setSignal(from.signal);
  to.setLastWords(wire::to_text(wire::cut(from.last_words), kTextBytesMax));
}

ProcessEnded from_wire(wire::ProcessEnded::Reader from, FieldReader& fields) {
  return {.job = from.getJob(),
          .slot = from.getSlot(),
          .pid = from.getPid(),
          .exit_code = from.getExitCode(),
          .signal = from.getSignal(),
          .last_words = fields.text(from.getLastWords(), kTextBytesMax, "last_words")};
}

void to_wire(wire::FileVersion::Builder to, const FileVersion& from) {
  to.setPath(wire::to_text(from.path, kNameBytesMax));
  to.setBytes(from.bytes);
  to.setModifiedNs(from.modified_ns);
}

FileVersion from_wire(wire::FileVersion::Reader from, FieldReader& fields) {
  return {.path = fields.text(from.getPath(), kNameBytesMax, "path"),
          .bytes = from.getBytes(),
          .modified_ns = from.getModifiedNs()};
}

void to_wire(wire::FileRequest::Builder to, const FileRequest& from) {
  to.setRequestId(from.request_id);
  to.setJob(from.job);
  std::visit(Overloaded{
                 [&](const ListFolder& list) {
                   to.initList().setPath(wire::to_text(list.path, kNameBytesMax));
                 },
                 [&](const ReadFile& read) {
                   auto builder = to.initRead();
                   builder.setPath(wire::to_text(read.path, kNameBytesMax));
                   builder.setOffset(read.offset);
                   builder.setSize(read.size);
                 },
                 [&](const WriteFile& write) {
                   auto builder = to.initWrite();
                   builder.setPath(wire::to_text(write.path, kNameBytesMax));
                   builder.setOffset(write.offset);
                   builder.setBytes(wire::to_blob(write.bytes, kFileChunkBytesMax));
                   builder.setIsLast(write.is_last);
                   builder.setModifiedNs(write.modified_ns);
                 },
                 [&](const AskRoom& room) {
                   auto builder = to.initRoom();
                   builder.setPath(wire::to_text(room.path, kNameBytesMax));
                   builder.setBytes(room.bytes);
                 },
                 [&](const HashParts& hash) {
                   auto builder = to.initHash();
                   builder.setPath(wire::to_text(hash.path, kNameBytesMax));
                   builder.setOffset(hash.offset);
                   builder.setCount(hash.count);
                 },
                 [&](const FindSource& find) {
                   auto builder = to.initFind();
                   to_wire(builder.initFile(), find.file);
                   builder.setFailed(wire::to_text(find.failed, kNameBytesMax));
                 },
                 [&](const HaveFile& have) { to_wire(to.initHave(), have.file); },
                 [&](const ReadCopy& copy) {
                   auto builder = to.initCopy();
                   to_wire(builder.initFile(), copy.file);
                   builder.setOffset(copy.offset);
                   builder.setSize(copy.size);
                 },
             },
             from.what);
}

FileRequest from_wire(wire::FileRequest::Reader from, FieldReader& fields) {
  FileRequest request{.request_id = from.getRequestId(), .job = from.getJob()};
  switch (from.which()) {
    case wire::FileRequest::LIST:
      request.what = ListFolder{fields.text(from.getList().getPath(), kNameBytesMax, "path")};
      break;
    case wire::FileRequest::READ: {
      const auto read = from.getRead();
      if (read.getSize() > kFileChunkBytesMax) fields.refuse("more is to be read than a chunk");
      request.what = ReadFile{.path = fields.text(read.getPath(), kNameBytesMax, "path"),
                              .offset = read.getOffset(),
                              .size = read.getSize()};
      break;
    }
    case wire::FileRequest::WRITE: {
      const auto write = from.getWrite();
      request.what = WriteFile{.path = fields.text(write.getPath(), kNameBytesMax, "path"),
                               .offset = write.getOffset(),
                               .bytes = fields.blob(write.getBytes(), kFileChunkBytesMax, "bytes"),
                               .is_last = write.getIsLast(),
                               .modified_ns = write.getModifiedNs()};
      break;
    }
    case wire::FileRequest::ROOM: {
      const auto room = from.getRoom();
      request.what = AskRoom{.path = fields.text(room.getPath(), kNameBytesMax, "path"),
                             .bytes = room.getBytes()};
      break;
    }
    case wire::FileRequest::HASH: {
      const auto hash = from.getHash();
      if (hash.getCount() > kHashPartsMax) fields.refuse("more parts are to be hashed than may be");
      request.what = HashParts{.path = fields.text(hash.getPath(), kNameBytesMax, "path"),
                               .offset = hash.getOffset(),
                               .count = hash.getCount()};
      break;
    }
    case wire::FileRequest::FIND: {
      const auto find = from.getFind();
      request.what = FindSource{.file = from_wire(find.getFile(), fields),
                                .failed = fields.text(find.getFailed(), kNameBytesMax, "failed")};
      break;
    }
    case wire::FileRequest::HAVE:
      request.what = HaveFile{from_wire(from.getHave(), fields)};
      break;
    case wire::FileRequest::COPY: {
      const auto copy = from.getCopy();
      if (copy.getSize() > kFilePartBytes) fields.refuse("more is to be read than a part");
      request.what = ReadCopy{.file = from_wire(copy.getFile(), fields),
                              .offset = copy.getOffset(),
                              .size = copy.getSize()};
      break;
    }
    default:
      fields.refuse("what is asked of a file is unknown");
  }
  return request;
}

void to_wire(wire::NodeExamined::Builder to, const NodeExamined& from) {
  to.setRequestId(from.request_id);
  to_wire(to.initReading(), from.reading);
  to.setPayload(wire::to_blob(from.payload, kExamBytesMax));
}

NodeExamined from_wire(wire::NodeExamined::Reader from, FieldReader& fields) {
  return {.request_id = from.getRequestId(),
          .reading = from_wire(from.getReading(), fields),
          .payload = fields.blob(from.getPayload(), kExamBytesMax, "payload")};
}

void to_wire(wire::FilesGiven::Builder to, const FilesGiven& from) {
  to.setRequestId(from.request_id);
  to.setHasAny(from.has_any);
  to.setFailure(wire::to_text(wire::cut(from.failure), kTextBytesMax));
}

FilesGiven from_wire(wire::FilesGiven::Reader from, FieldReader& fields) {
  return {.request_id = from.getRequestId(),
          .has_any = from.getHasAny(),
          .failure = fields.text(from.getFailure(), kTextBytesMax, "failure")};
}

void to_wire(wire::FromNode::Builder to, const FromNode& from) {
  std::visit(Overloaded{
                 [&](const NodeHello& one) { to_wire(to.initHello(), one); },
                 [&](const NodeProcesses& one) { to_wire(to.initProcesses(), one); },
                 [&](const NodeBeat& one) { to_wire(to.initBeat(), one); },
                 [&](const ProcessStarted& one) { to_wire(to.initStarted(), one); },
                 [&](const ProcessEnded& one) { to_wire(to.initEnded(), one); },
                 [&](const WorkerSays& one) {
                   auto builder = to.initWorkerSays();
                   builder.setPeer(one.peer);
                   builder.setEnvelope(wire::to_blob(one.envelope, kEnvelopeBytesMax));
                 },
                 [&](const WorkerGone& one) { to.setWorkerGone(one.peer); },
                 [&](const FileRequest& one) { to_wire(to.initFile(), one); },
                 [&](const NodeLeaves& one) { to.initLeaves().setIsNow(one.is_now); },
                 [&](const NodeExamined& one) { to_wire(to.initExamined(), one); },
                 [&](const FilesGiven& one) { to_wire(to.initGiven(), one); },
             },
             from);
}

FromNode from_wire(wire::FromNode::Reader from, FieldReader& fields) {
  switch (from.which()) {
    case wire::FromNode::HELLO:
      return from_wire(from.getHello(), fields);
    case wire::FromNode::PROCESSES:
      return from_wire(from.getProcesses(), fields);
    case wire::FromNode::BEAT:
      return from_wire(from.getBeat(), fields);
    case wire::FromNode::STARTED:
      return from_wire(from.getStarted(), fields);
    case wire::FromNode::ENDED:
      return from_wire(from.getEnded(), fields);
    case wire::FromNode::WORKER_SAYS: {
      const auto says = from.getWorkerSays();
      return WorkerSays{says.getPeer(),
                        fields.blob(says.getEnvelope(), kEnvelopeBytesMax, "envelope")};
    }
    case wire::FromNode::WORKER_GONE:
      return WorkerGone{from.getWorkerGone()};
    case wire::FromNode::FILE:
      return from_wire(from.getFile(), fields);
    case wire::FromNode::LEAVES:
      return NodeLeaves{from.getLeaves().getIsNow()};
    case wire::FromNode::EXAMINED:
      return from_wire(from.getExamined(), fields);
    case wire::FromNode::GIVEN:
      return from_wire(from.getGiven(), fields);
  }
  fields.refuse("its kind is unknown");
  return {};
}

void to_wire(wire::NodeWelcome::Builder to, const NodeWelcome& from) {
  to.setInstance(from.instance);
  to.setSession(from.session);
}

NodeWelcome from_wire(wire::NodeWelcome::Reader from, FieldReader&) {
  return {.instance = from.getInstance(), .session = from.getSession()};
}

void to_wire(wire::NodeRefused::Builder to, const NodeRefused& from) {
  to.setInstance(from.instance);
  to.setReason(wire::to_text(wire::cut(from.reason), kTextBytesMax));
  to.setIsFinal(from.is_final);
}

NodeRefused from_wire(wire::NodeRefused::Reader from, FieldReader& fields) {
  return {.instance = from.getInstance(),
          .reason = fields.text(from.getReason(), kTextBytesMax, "reason"),
          .is_final = from.getIsFinal()};
}

void to_wire(wire::StartProcess::Builder to, const StartProcess& from) {
  to.setRequestId(from.request_id);
  to.setJob(from.job);
  to.setSlot(from.slot);
  to.setToken(wire::to_text(from.token, kNameBytesMax));
  to.setHome(wire::to_text(from.home, kNameBytesMax));
  to.setPatienceSeconds(from.patience_seconds);
  to.setDevice(wire::to_text(from.device, kNameBytesMax));
}

StartProcess from_wire(wire::StartProcess::Reader from, FieldReader& fields) {
  return {.request_id = from.getRequestId(),
          .job = from.getJob(),
          .slot = from.getSlot(),
          .token = fields.text(from.getToken(), kNameBytesMax, "token"),
          .home = fields.text(from.getHome(), kNameBytesMax, "home"),
          .patience_seconds = from.getPatienceSeconds(),
          .device = fields.text(from.getDevice(), kNameBytesMax, "device")};
}

void to_wire(wire::DropFiles::Builder to, const DropFiles& from) {
  to.setJob(from.job);
  to.setPath(wire::to_text(from.path, kNameBytesMax));
}

DropFiles from_wire(wire::DropFiles::Reader from, FieldReader& fields) {
  return {.job = from.getJob(), .path = fields.text(from.getPath(), kNameBytesMax, "path")};
}

void to_wire(wire::FilesToKeep::Builder to, const KeepFiles& from) {
  to.setJob(from.job);
  to.setHome(wire::to_text(from.home, kNameBytesMax));
  to.setWas(wire::to_text(from.was, kNameBytesMax));
  to.setPath(wire::to_text(from.path, kNameBytesMax));
}

KeepFiles from_wire(wire::FilesToKeep::Reader from, FieldReader& fields) {
  return {.job = from.getJob(),
          .home = fields.text(from.getHome(), kNameBytesMax, "home"),
          .was = fields.text(from.getWas(), kNameBytesMax, "was"),
          .path = fields.text(from.getPath(), kNameBytesMax, "path")};
}

void to_wire(wire::FilesToGive::Builder to, const GiveFiles& from) {
  to.setRequestId(from.request_id);
  to.setJob(from.job);
  to.setHome(wire::to_text(from.home, kNameBytesMax));
  to.setPath(wire::to_text(from.path, kNameBytesMax));
}

GiveFiles from_wire(wire::FilesToGive::Reader from, FieldReader& fields) {
  return {.request_id = from.getRequestId(),
          .job = from.getJob(),
          .home = fields.text(from.getHome(), kNameBytesMax, "home"),
          .path = fields.text(from.getPath(), kNameBytesMax, "path")};
}

void to_wire(wire::FileEntry::Builder to, const FileEntry& from) {
  to.setName(wire::to_text(from.name, kNameBytesMax));
  to.setBytes(from.bytes);
  to.setModifiedNs(from.modified_ns);
}

FileEntry from_wire(wire::FileEntry::Reader from, FieldReader& fields) {
  return {.name = fields.text(from.getName(), kNameBytesMax, "name"),
          .bytes = from.getBytes(),
          .modified_ns = from.getModifiedNs()};
}

void to_wire(wire::CopySource::Builder to, const CopySource& from) {
  to.setNode(wire::to_text(from.node, kNameBytesMax));
  to.setAddress(wire::to_text(from.address, kNameBytesMax));
  to.setPort(from.port);
  to.setKey(wire::to_text(from.key, kNameBytesMax));
}

CopySource from_wire(wire::CopySource::Reader from, FieldReader& fields) {
  return {.node = fields.text(from.getNode(), kNameBytesMax, "node"),
          .address = fields.text(from.getAddress(), kNameBytesMax, "address"),
          .port = from.getPort(),
          .key = fields.text(from.getKey(), kNameBytesMax, "key")};
}

void to_wire(wire::FileReply::Builder to, const FileReply& from) {
  to.setRequestId(from.request_id);
  if (from.error) to_wire(to.initError(), *from.error);
  to.setHasError(from.error.has_value());
  wire::to_structs(to.initFiles(wire::to_size(from.files, kFolderFilesMax)), from.files);
  to.setBytes(wire::to_blob(from.bytes, kFileChunkBytesMax));
  to_wire(to.initSource(), from.source);
}

FileReply from_wire(wire::FileReply::Reader from, FieldReader& fields) {
  FileReply reply{.request_id = from.getRequestId()};
  if (from.getHasError()) reply.error = from_wire(from.getError(), fields);
  reply.files = fields.structs<FileEntry>(from.getFiles(), kFolderFilesMax, "files");
  reply.bytes = fields.blob(from.getBytes(), kFileChunkBytesMax, "bytes");
  reply.source = from_wire(from.getSource(), fields);
  return reply;
}

void to_wire(wire::ExamineNode::Builder to, const ExamineNode& from) {
  to.setRequestId(from.request_id);
  to.setPayload(wire::to_blob(from.payload, kExamBytesMax));
  to.setReplyBytes(from.reply_bytes);
  to.setComputes(from.computes);
}

ExamineNode from_wire(wire::ExamineNode::Reader from, FieldReader& fields) {
  if (from.getReplyBytes() > kExamBytesMax) fields.refuse("too long an answer is asked for");
  return {.request_id = from.getRequestId(),
          .payload = fields.blob(from.getPayload(), kExamBytesMax, "payload"),
          .reply_bytes = from.getReplyBytes(),
          .computes = from.getComputes()};
}

void to_wire(wire::ToNode::Builder to, const ToNode& from) {
  std::visit(
      Overloaded{
          [&](const NodeWelcome& one) { to_wire(to.initWelcome(), one); },
          [&](const NodeRefused& one) { to_wire(to.initRefused(), one); },
          [&](const StartProcess& one) { to_wire(to.initStart(), one); },
          [&](const KillProcess& one) { to.setKill(one.pid); },
          [&](const WorkerHears& one) {
            auto builder = to.initWorkerHears();
            builder.setPeer(one.peer);
            builder.setEnvelope(wire::to_blob(one.envelope, kEnvelopeBytesMax));
          },
          [&](const DropFiles& one) { to_wire(to.initDrop(), one); },
          [&](const FileReply& one) { to_wire(to.initFile(), one); },
          [&](const ExamineNode& one) { to_wire(to.initExamine(), one); },
          [&](const PeerUp& one) {
            auto builder = to.initPeerUp();
            builder.setNode(wire::to_text(one.node, kNameBytesMax));
            builder.setKey(wire::to_text(one.key, kNameBytesMax));
          },
          [&](const PeerGone& one) { to.setPeerGone(wire::to_text(one.node, kNameBytesMax)); },
          [&](const KeepFiles& one) { to_wire(to.initKeep(), one); },
          [&](const GiveFiles& one) { to_wire(to.initGive(), one); },
      },
      from);
}

ToNode from_wire(wire::ToNode::Reader from, FieldReader& fields) {
  switch (from.which()) {
    case wire::ToNode::WELCOME:
      return from_wire(from.getWelcome(), fields);
    case wire::ToNode::REFUSED:
      return from_wire(from.getRefused(), fields);
    case wire::ToNode::START:
      return from_wire(from.getStart(), fields);
    case wire::ToNode::KILL:
      return KillProcess{from.getKill()};
    case wire::ToNode::WORKER_HEARS: {
      const auto hears = from.getWorkerHears();
      return WorkerHears{hears.getPeer(),
                         fields.blob(hears.getEnvelope(), kEnvelopeBytesMax, "envelope")};
    }
    case wire::ToNode::DROP:
      return from_wire(from.getDrop(), fields);
    case wire::ToNode::FILE:
      return from_wire(from.getFile(), fields);
    case wire::ToNode::EXAMINE:
      return from_wire(from.getExamine(), fields);
    case wire::ToNode::PEER_UP:
      return PeerUp{.node = fields.text(from.getPeerUp().getNode(), kNameBytesMax, "node"),
                    .key = fields.text(from.getPeerUp().getKey(), kNameBytesMax, "key")};
    case wire::ToNode::PEER_GONE:
      return PeerGone{fields.text(from.getPeerGone(), kNameBytesMax, "node")};
    case wire::ToNode::KEEP:
      return from_wire(from.getKeep(), fields);
    case wire::ToNode::GIVE:
      return from_wire(from.getGive(), fields);
  }
  fields.refuse("its kind is unknown");
  return {};
}

std::vector<std::byte> encode(const LinkHeader& header) {
  return wire::encode<wire::LinkHeader>(header);
}
std::vector<std::byte> encode(const FromNode& message) {
  return wire::encode<wire::FromNode>(message);
}
std::vector<std::byte> encode(const ToNode& message) { return wire::encode<wire::ToNode>(message); }

Result<LinkHeader> decode_link_header(std::span<const std::byte> bytes) {
  return wire::decode<wire::LinkHeader, LinkHeader>(bytes, "link header");
}

namespace {

template <class Wire, class Message>
Result<Message> decode_bounded(std::span<const std::byte> bytes, const char* what) {
  if (bytes.size() > kNodeBytesMax) {
    return Error{ErrorCode::kCorruption, fmt::format("{}: {} bytes, at most {} are allowed", what,
                                                     bytes.size(), kNodeBytesMax)};
  }
  return wire::decode<Wire, Message>(bytes, what);
}

}  // namespace

Result<FromNode> decode_from_node(std::span<const std::byte> bytes) {
  return decode_bounded<wire::FromNode, FromNode>(bytes, "message from a node");
}
Result<ToNode> decode_to_node(std::span<const std::byte> bytes) {
  return decode_bounded<wire::ToNode, ToNode>(bytes, "message to a node");
}

}  // namespace troupe
