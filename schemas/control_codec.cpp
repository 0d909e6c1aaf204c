#include "schemas/control_codec.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "schemas/bounds.h"
#include "schemas/check.h"
#include "schemas/control.capnp.h"
#include "schemas/job_wire.h"
#include "schemas/metrics_wire.h"
#include "schemas/node_wire.h"
#include "schemas/records_wire.h"
#include "schemas/result_wire.h"
#include "schemas/wire.h"

namespace troupe {

// Not in an unnamed namespace, because wire.h finds these by their arguments.

void to_wire(wire::SubmitJob::Builder to, const SubmitJob& from) {
  to.setRequestId(wire::to_text(from.request_id, kRequestIdBytesMax));
  to_wire(to.initJob(), from.job);
}

SubmitJob from_wire(wire::SubmitJob::Reader from, FieldReader& fields) {
  return {
      .request_id = fields.text(from.getRequestId(), kRequestIdBytesMax, "request_id"),
      .job = from_wire(from.getJob(), fields),
  };
}

void to_wire(wire::ListJobs::Builder to, const ListJobs& from) { to.setFirstId(from.first_id); }

ListJobs from_wire(wire::ListJobs::Reader from, FieldReader&) {
  return {
      .first_id = from.getFirstId(),
  };
}

void to_wire(wire::ShowJob::Builder to, const ShowJob& from) { to.setId(from.id); }

ShowJob from_wire(wire::ShowJob::Reader from, FieldReader&) {
  return {
      .id = from.getId(),
  };
}

void to_wire(wire::JobLogs::Builder to, const JobLogs& from) {
  to.setId(from.id);
  to.setFirstLine(from.first_line);
}

JobLogs from_wire(wire::JobLogs::Reader from, FieldReader&) {
  return {
      .id = from.getId(),
      .first_line = from.getFirstLine(),
  };
}

void to_wire(wire::WatchJob::Builder to, const WatchJob& from) {
  to.setId(from.id);
  to.setFirstSequence(from.first_sequence);
}

WatchJob from_wire(wire::WatchJob::Reader from, FieldReader&) {
  return {
      .id = from.getId(),
      .first_sequence = from.getFirstSequence(),
  };
}

void to_wire(wire::CancelJob::Builder to, const CancelJob& from) { to.setId(from.id); }

CancelJob from_wire(wire::CancelJob::Reader from, FieldReader&) {
  return {
      .id = from.getId(),
  };
}

void to_wire(wire::PauseJob::Builder to, const PauseJob& from) { to.setId(from.id); }

PauseJob from_wire(wire::PauseJob::Reader from, FieldReader&) {
  return {
      .id = from.getId(),
  };
}

void to_wire(wire::ResumeJob::Builder to, const ResumeJob& from) { to.setId(from.id); }

ResumeJob from_wire(wire::ResumeJob::Reader from, FieldReader&) {
  return {
      .id = from.getId(),
  };
}

void to_wire(wire::ShowServer::Builder, const ShowServer&) {}

ShowServer from_wire(wire::ShowServer::Reader, FieldReader&) { return {}; }

void to_wire(wire::FollowJob::Builder to, const FollowJob& from) { to.setId(from.id); }

FollowJob from_wire(wire::FollowJob::Reader from, FieldReader&) {
  return {
      .id = from.getId(),
  };
}

void to_wire(wire::WhyJob::Builder to, const WhyJob& from) { to.setId(from.id); }

WhyJob from_wire(wire::WhyJob::Reader from, FieldReader&) {
  return {
      .id = from.getId(),
  };
}

void to_wire(wire::ListHosts::Builder, const ListHosts&) {}

ListHosts from_wire(wire::ListHosts::Reader, FieldReader&) { return {}; }

void to_wire(wire::ExamineHost::Builder to, const ExamineHost& from) {
  to.setHost(wire::to_text(from.host, kNameBytesMax));
}

ExamineHost from_wire(wire::ExamineHost::Reader from, FieldReader& fields) {
  return {
      .host = fields.text(from.getHost(), kNameBytesMax, "host"),
  };
}

void to_wire(wire::DrainHost::Builder to, const DrainHost& from) {
  to.setHost(wire::to_text(from.host, kNameBytesMax));
}

DrainHost from_wire(wire::DrainHost::Reader from, FieldReader& fields) {
  return {
      .host = fields.text(from.getHost(), kNameBytesMax, "host"),
  };
}

void to_wire(wire::UndrainHost::Builder to, const UndrainHost& from) {
  to.setHost(wire::to_text(from.host, kNameBytesMax));
}

UndrainHost from_wire(wire::UndrainHost::Reader from, FieldReader& fields) {
  return {
      .host = fields.text(from.getHost(), kNameBytesMax, "host"),
  };
}

void to_wire(wire::ContentFile::Builder to, const ContentFile& from) {
  to.setSha256(wire::to_text(from.sha256, kNameBytesMax));
  to.setName(wire::to_text(from.name, kNameBytesMax));
  to.setBytes(from.bytes);
}

ContentFile from_wire(wire::ContentFile::Reader from, FieldReader& fields) {
  if (from.getBytes() > kContentBytesMax) {
    fields.refuse(fmt::format("a file of {} bytes, at most {} are allowed", from.getBytes(),
                              kContentBytesMax));
  }
  return {
      .sha256 = fields.text(from.getSha256(), kNameBytesMax, "sha256"),
      .name = fields.text(from.getName(), kNameBytesMax, "name"),
      .bytes = from.getBytes(),
  };
}

void to_wire(wire::OfferContent::Builder to, const OfferContent& from) {
  wire::to_structs(to.initFiles(wire::to_size(from.files, kJobListMax)), from.files);
}

OfferContent from_wire(wire::OfferContent::Reader from, FieldReader& fields) {
  return {
      .files = fields.structs<ContentFile>(from.getFiles(), kJobListMax, "files"),
  };
}

void to_wire(wire::SendContent::Builder to, const SendContent& from) {
  to_wire(to.initFile(), from.file);
  to.setOffset(from.offset);
  to.setBytes(wire::to_blob(from.bytes, kContentPartBytesMax));
}

SendContent from_wire(wire::SendContent::Reader from, FieldReader& fields) {
  return {
      .file = from_wire(from.getFile(), fields),
      .offset = from.getOffset(),
      .bytes = fields.blob(from.getBytes(), kContentPartBytesMax, "bytes"),
  };
}

void to_wire(wire::HostTenant::Builder to, const HostTenant& from) {
  to.setJob(from.job);
  to.setLearner(from.learner);
  to.setRollout(from.rollout);
  to.setLent(from.lent);
  to.setVerifier(from.verifier);
}

HostTenant from_wire(wire::HostTenant::Reader from, FieldReader&) {
  return {
      .job = from.getJob(),
      .learner = from.getLearner(),
      .rollout = from.getRollout(),
      .lent = from.getLent(),
      .verifier = from.getVerifier(),
  };
}

void to_wire(wire::HostSummary::Builder to, const HostSummary& from) {
  to.setName(wire::to_text(from.name, kNameBytesMax));
  to.setState(wire::to_text(from.state, kNameBytesMax));
  to.setAwaySeconds(from.away_seconds);
  to.setSlots(from.slots);
  to.setUsed(from.used);
  to.setLent(from.lent);
  to.setIsElastic(from.is_elastic);
  wire::to_structs(to.initTenants(wire::to_size(from.tenants, kControlListMax)), from.tenants);
  to.setDiskFreeBytes(from.disk_free_bytes);
}

HostSummary from_wire(wire::HostSummary::Reader from, FieldReader& fields) {
  return {
      .name = fields.text(from.getName(), kNameBytesMax, "name"),
      .state = fields.text(from.getState(), kNameBytesMax, "state"),
      .away_seconds = from.getAwaySeconds(),
      .slots = from.getSlots(),
      .used = from.getUsed(),
      .lent = from.getLent(),
      .is_elastic = from.getIsElastic(),
      .tenants = fields.structs<HostTenant>(from.getTenants(), kControlListMax, "tenants"),
      .disk_free_bytes = from.getDiskFreeBytes(),
  };
}

void to_wire(wire::HostReport::Builder to, const HostReport& from) {
  to_wire(to.initSummary(), from.summary);
  to.setAddress(wire::to_text(from.address, kNameBytesMax));
  to.setBuild(wire::to_text(from.build, kNameBytesMax));
  to.setArithmeticId(wire::to_text(from.arithmetic_id, kNameBytesMax));
  to.setInstructionSet(wire::to_text(from.instruction_set, kNameBytesMax));
  to_wire(to.initFacts(), from.facts);
  to_wire(to.initReading(), from.reading);
  to.setClockAheadSeconds(from.clock_ahead_seconds);
  to.setClockUncertaintySeconds(from.clock_uncertainty_seconds);
  to.setRoundTripSeconds(from.round_trip_seconds);
  to.setBytesPerSecondThere(from.bytes_per_second_there);
  to.setBytesPerSecondBack(from.bytes_per_second_back);
  to.setFailure(wire::to_text(wire::cut(from.failure), kTextBytesMax));
}

HostReport from_wire(wire::HostReport::Reader from, FieldReader& fields) {
  return {
      .summary = from_wire(from.getSummary(), fields),
      .address = fields.text(from.getAddress(), kNameBytesMax, "address"),
      .build = fields.text(from.getBuild(), kNameBytesMax, "build"),
      .arithmetic_id = fields.text(from.getArithmeticId(), kNameBytesMax, "arithmetic_id"),
      .instruction_set = fields.text(from.getInstructionSet(), kNameBytesMax, "instruction_set"),
      .facts = from_wire(from.getFacts(), fields),
      .reading = from_wire(from.getReading(), fields),
      .clock_ahead_seconds = from.getClockAheadSeconds(),
      .clock_uncertainty_seconds = from.getClockUncertaintySeconds(),
      .round_trip_seconds = from.getRoundTripSeconds(),
      .bytes_per_second_there = from.getBytesPerSecondThere(),
      .bytes_per_second_back = from.getBytesPerSecondBack(),
      .failure = fields.text(from.getFailure(), kTextBytesMax, "failure"),
  };
}

void to_wire(wire::ServerFacts::Builder to, const ServerFacts& from) {
  to.setProtocol(from.protocol);
  to.setName(wire::to_text(from.name, kNameBytesMax));
  to.setIsOperator(from.is_operator);
}

ServerFacts from_wire(wire::ServerFacts::Reader from, FieldReader& fields) {
  return {
      .protocol = from.getProtocol(),
      .name = fields.text(from.getName(), kNameBytesMax, "name"),
      .is_operator = from.getIsOperator(),
  };
}

void to_wire(wire::JobSummary::Builder to, const JobSummary& from) {
  to.setId(from.id);
  to.setName(wire::to_text(from.name, kNameBytesMax));
  to.setState(wire::to_enumerator<wire::JobState>(from.state, JobState::kCancelled));
  to.setMessage(wire::to_text(wire::cut(from.message), kTextBytesMax));
  to.setStepsDone(from.steps_done);
  to.setStepsTotal(from.steps_total);
  to.setHome(wire::to_text(from.home, kNameBytesMax));
  to.setWeightsSha256(wire::to_text(from.weights_sha256, kNameBytesMax));
  to.setMoney(from.money);
  to.setOwner(wire::to_text(from.owner, kNameBytesMax));
}

JobSummary from_wire(wire::JobSummary::Reader from, FieldReader& fields) {
  return {
      .id = from.getId(),
      .name = fields.text(from.getName(), kNameBytesMax, "name"),
      .state = fields.enumerator<JobState>(from.getState(), wire::JobState::CANCELLED, "state"),
      .message = fields.text(from.getMessage(), kTextBytesMax, "message"),
      .steps_done = from.getStepsDone(),
      .steps_total = from.getStepsTotal(),
      .home = fields.text(from.getHome(), kNameBytesMax, "home"),
      .weights_sha256 = fields.text(from.getWeightsSha256(), kNameBytesMax, "weights_sha256"),
      .money = from.getMoney(),
      .owner = fields.text(from.getOwner(), kNameBytesMax, "owner"),
  };
}

void to_wire(wire::ControlReply::Builder to, const ControlReply& from) {
  if (from.error) to_wire(to.initError(), *from.error);
  wire::to_structs(to.initJobs(wire::to_size(from.jobs, kControlListMax)), from.jobs);
  auto lines = to.initLines(wire::to_size(from.lines, kControlListMax));
  for (unsigned i = 0; i < lines.size(); ++i) {
    lines.set(i, wire::to_text(wire::cut(from.lines[i]), kTextBytesMax));
  }
  wire::to_blobs(to.initEvents(wire::to_size(from.events, kControlListMax)), from.events,
                 kControlBytesMax);
  to.setNext(from.next);
  if (from.server) to_wire(to.initServer(), *from.server);
  wire::to_structs(to.initHosts(wire::to_size(from.hosts, kControlListMax)), from.hosts);
  wire::to_texts(to.initLacking(wire::to_size(from.lacking, kJobListMax)), from.lacking,
                 kNameBytesMax);
  if (from.report) to_wire(to.initReport(), *from.report);
}

ControlReply from_wire(wire::ControlReply::Reader from, FieldReader& fields) {
  return {
      .error = from.hasError() ? std::optional(from_wire(from.getError(), fields)) : std::nullopt,
      .jobs = fields.structs<JobSummary>(from.getJobs(), kControlListMax, "jobs"),
      .lines = fields.texts(from.getLines(), kControlListMax, kTextBytesMax, "lines"),
      .events = fields.blobs(from.getEvents(), kControlListMax, kControlBytesMax, "events"),
      .next = from.getNext(),
      .server =
          from.hasServer() ? std::optional(from_wire(from.getServer(), fields)) : std::nullopt,
      .hosts = fields.structs<HostSummary>(from.getHosts(), kControlListMax, "hosts"),
      .lacking = fields.texts(from.getLacking(), kJobListMax, kNameBytesMax, "lacking"),
      .report =
          from.hasReport() ? std::optional(from_wire(from.getReport(), fields)) : std::nullopt,
  };
}

void to_wire(wire::RunStarted::Builder to, const RunStarted& from) {
  to_wire(to.initJob(), from.job);
  to.setWeightsSha256(wire::to_text(from.weights_sha256, kNameBytesMax));
  to.setNumParameters(from.num_parameters);
}

RunStarted from_wire(wire::RunStarted::Reader from, FieldReader& fields) {
  return {
      .job = from_wire(from.getJob(), fields),
      .weights_sha256 = fields.text(from.getWeightsSha256(), kNameBytesMax, "weights_sha256"),
      .num_parameters = from.getNumParameters(),
  };
}

void to_wire(wire::Progressed::Builder to, const Progressed& from) {
  to.setActivity(wire::to_text(wire::cut(from.activity), kTextBytesMax));
  to.setDone(from.done);
  to.setTotal(from.total);
}

Progressed from_wire(wire::Progressed::Reader from, FieldReader& fields) {
  return {
      .activity = fields.text(from.getActivity(), kTextBytesMax, "activity"),
      .done = from.getDone(),
      .total = from.getTotal(),
  };
}

void to_wire(wire::Evaluated::Builder to, const Evaluated& from) {
  to_wire(to.initMetrics(), from.metrics);
  wire::to_structs(to.initTraces(wire::to_size(from.traces, kTracesMax)), from.traces);
}

Evaluated from_wire(wire::Evaluated::Reader from, FieldReader& fields) {
  return {
      .metrics = from_wire(from.getMetrics(), fields),
      .traces = fields.structs<Trace>(from.getTraces(), kTracesMax, "traces"),
  };
}

void to_wire(wire::Noted::Builder to, const Noted& from) {
  to.setLine(wire::to_text(wire::cut(from.line), kTextBytesMax));
}

Noted from_wire(wire::Noted::Reader from, FieldReader& fields) {
  return {
      .line = fields.text(from.getLine(), kTextBytesMax, "line"),
  };
}

void to_wire(wire::RunEnded::Builder to, const RunEnded& from) {
  to_wire(to.initLedger(), from.ledger);
  to.setState(wire::to_text(from.state, kNameBytesMax));
  to.setWeightsSha256(wire::to_text(from.weights_sha256, kNameBytesMax));
}

RunEnded from_wire(wire::RunEnded::Reader from, FieldReader& fields) {
  return {
      .ledger = from_wire(from.getLedger(), fields),
      .state = fields.text(from.getState(), kNameBytesMax, "state"),
      .weights_sha256 = fields.text(from.getWeightsSha256(), kNameBytesMax, "weights_sha256"),
  };
}

namespace {

// One alternative of the union each.
struct ControlRequestWriter {
  wire::ControlRequest::Builder to;

  void operator()(const SubmitJob& from) { to_wire(to.initSubmit(), from); }
  void operator()(const ListJobs& from) { to_wire(to.initList(), from); }
  void operator()(const ShowJob& from) { to_wire(to.initShow(), from); }
  void operator()(const JobLogs& from) { to_wire(to.initLogs(), from); }
  void operator()(const WatchJob& from) { to_wire(to.initWatch(), from); }
  void operator()(const CancelJob& from) { to_wire(to.initCancel(), from); }
  void operator()(const PauseJob& from) { to_wire(to.initPause(), from); }
  void operator()(const ResumeJob& from) { to_wire(to.initResume(), from); }
  void operator()(const ShowServer& from) { to_wire(to.initShowServer(), from); }
  void operator()(const FollowJob& from) { to_wire(to.initFollow(), from); }
  void operator()(const WhyJob& from) { to_wire(to.initWhy(), from); }
  void operator()(const ListHosts& from) { to_wire(to.initListHosts(), from); }
  void operator()(const DrainHost& from) { to_wire(to.initDrainHost(), from); }
  void operator()(const UndrainHost& from) { to_wire(to.initUndrainHost(), from); }
  void operator()(const OfferContent& from) { to_wire(to.initOfferContent(), from); }
  void operator()(const SendContent& from) { to_wire(to.initSendContent(), from); }
  void operator()(const ExamineHost& from) { to_wire(to.initExamineHost(), from); }
};

struct RunEventWriter {
  wire::RunEvent::Builder to;

  void operator()(const RunStarted& from) { to_wire(to.initStarted(), from); }
  void operator()(const Progressed& from) { to_wire(to.initProgressed(), from); }
  void operator()(const StepMetrics& from) { to_wire(to.initStepped(), from); }
  void operator()(const Evaluated& from) { to_wire(to.initEvaluated(), from); }
  void operator()(const RunSample& from) { to_wire(to.initSampled(), from); }
  void operator()(const Noted& from) { to_wire(to.initNoted(), from); }
  void operator()(const RunEnded& from) { to_wire(to.initEnded(), from); }
};

using Happening = decltype(RunEvent::what);

Happening happening_from(wire::RunEvent::Reader from, FieldReader& fields) {
  switch (from.which()) {
    case wire::RunEvent::STARTED:
      return from_wire(from.getStarted(), fields);
    case wire::RunEvent::PROGRESSED:
      return from_wire(from.getProgressed(), fields);
    case wire::RunEvent::STEPPED:
      return from_wire(from.getStepped(), fields);
    case wire::RunEvent::EVALUATED:
      return from_wire(from.getEvaluated(), fields);
    case wire::RunEvent::SAMPLED:
      return from_wire(from.getSampled(), fields);
    case wire::RunEvent::NOTED:
      return from_wire(from.getNoted(), fields);
    case wire::RunEvent::ENDED:
      return from_wire(from.getEnded(), fields);
  }
  fields.refuse("the kind of event is unknown");
  return {};
}

std::optional<Error> check_size(std::span<const std::byte> bytes, const char* what) {
  if (bytes.size() <= kControlBytesMax) return std::nullopt;
  return Error{ErrorCode::kCorruption, fmt::format("{}: {} bytes, at most {} are allowed", what,
                                                   bytes.size(), kControlBytesMax)};
}

}  // namespace

void to_wire(wire::ControlRequest::Builder to, const ControlRequest& from) {
  std::visit(ControlRequestWriter{to}, from);
}

ControlRequest from_wire(wire::ControlRequest::Reader from, FieldReader& fields) {
  switch (from.which()) {
    case wire::ControlRequest::SUBMIT:
      return from_wire(from.getSubmit(), fields);
    case wire::ControlRequest::LIST:
      return from_wire(from.getList(), fields);
    case wire::ControlRequest::SHOW:
      return from_wire(from.getShow(), fields);
    case wire::ControlRequest::LOGS:
      return from_wire(from.getLogs(), fields);
    case wire::ControlRequest::WATCH:
      return from_wire(from.getWatch(), fields);
    case wire::ControlRequest::CANCEL:
      return from_wire(from.getCancel(), fields);
    case wire::ControlRequest::PAUSE:
      return from_wire(from.getPause(), fields);
    case wire::ControlRequest::RESUME:
      return from_wire(from.getResume(), fields);
    case wire::ControlRequest::SHOW_SERVER:
      return from_wire(from.getShowServer(), fields);
    case wire::ControlRequest::FOLLOW:
      return from_wire(from.getFollow(), fields);
    case wire::ControlRequest::WHY:
      return from_wire(from.getWhy(), fields);
    case wire::ControlRequest::LIST_HOSTS:
      return from_wire(from.getListHosts(), fields);
    case wire::ControlRequest::DRAIN_HOST:
      return from_wire(from.getDrainHost(), fields);
    case wire::ControlRequest::UNDRAIN_HOST:
      return from_wire(from.getUndrainHost(), fields);
    case wire::ControlRequest::OFFER_CONTENT:
      return from_wire(from.getOfferContent(), fields);
    case wire::ControlRequest::SEND_CONTENT:
      return from_wire(from.getSendContent(), fields);
    case wire::ControlRequest::EXAMINE_HOST:
      return from_wire(from.getExamineHost(), fields);
  }
  fields.refuse("the kind of request is unknown");
  return {};
}

void to_wire(wire::RunEvent::Builder to, const RunEvent& from) {
  to.setJob(from.job);
  to.setSequence(from.sequence);
  to.setSeconds(from.seconds);
  std::visit(RunEventWriter{to}, from.what);
}

RunEvent from_wire(wire::RunEvent::Reader from, FieldReader& fields) {
  return {
      .job = from.getJob(),
      .sequence = from.getSequence(),
      .seconds = from.getSeconds(),
      .what = happening_from(from, fields),
  };
}

std::vector<std::byte> encode(const ControlRequest& request) {
  std::vector<std::byte> bytes = wire::encode<wire::ControlRequest>(request);
  TROUPE_CHECK(bytes.size() <= kControlBytesMax);
  return bytes;
}

std::vector<std::byte> encode(const ControlReply& reply) {
  std::vector<std::byte> bytes = wire::encode<wire::ControlReply>(reply);
  TROUPE_CHECK(bytes.size() <= kControlBytesMax);
  return bytes;
}

std::vector<std::byte> encode(const RunEvent& event) { return wire::encode<wire::RunEvent>(event); }

Result<ControlRequest> decode_control_request(std::span<const std::byte> bytes) {
  if (auto error = check_size(bytes, "control request")) return *error;
  return wire::decode<wire::ControlRequest, ControlRequest>(bytes, "control request");
}

Result<ControlReply> decode_control_reply(std::span<const std::byte> bytes) {
  if (auto error = check_size(bytes, "control reply")) return *error;
  return wire::decode<wire::ControlReply, ControlReply>(bytes, "control reply");
}

Result<RunEvent> decode_run_event(std::span<const std::byte> bytes) {
  return wire::decode<wire::RunEvent, RunEvent>(bytes, "run event");
}

}  // namespace troupe
