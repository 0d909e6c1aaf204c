#include "cluster/nodes/job_border.h"

#include <doctest/doctest.h>

#include "schemas/work_codec.h"
#include "tests/schemas/filled.h"

using namespace troupe;
using namespace troupe::cluster;

namespace {

JobBorder border() {
  return JobBorder(
      {.home_at_head = "/head/jobs/7", .home_here = "/node/jobs/7", .models_here = "/node/models"});
}

Envelope sealed(const ToWorker& message) {
  Envelope envelope = seal(message);
  envelope.job = 7;
  envelope.epoch = 8;
  envelope.request_id = 9;
  envelope.deadline_ms = 10;
  return envelope;
}

Crossing to_worker(JobBorder& at, const ToWorker& message) {
  auto crossing = at.to_worker(sealed(message));
  REQUIRE(crossing);
  CHECK(crossing->envelope.job == 7);
  CHECK(crossing->envelope.epoch == 8);
  CHECK(crossing->envelope.request_id == 9);
  CHECK(crossing->envelope.deadline_ms == 10);
  return std::move(*crossing);
}

template <class Message>
Message opened(const Crossing& crossing) {
  auto message = open_to_worker(crossing.envelope);
  REQUIRE(message);
  return std::get<Message>(*message);
}

}  // namespace

TEST_CASE("job_border: a lease names the files of this host, and what it needs of the head's") {
  JobBorder at = border();
  Lease lease = filled_lease();
  lease.roles = {.rollout = true, .learner = true};
  lease.point_path = "/head/jobs/7/checkpoints/step_4";
  lease.job.policy = {.model = "/models/small"};
  lease.seat.address = "ipc:///head/jobs/7/team";
  Crossing crossing = to_worker(at, lease);
  CHECK(crossing.is_lease);
  Lease here = opened<Lease>(crossing);
  CHECK(here.point_path == "/node/jobs/7/checkpoints/step_4");
  CHECK(here.job.policy.model.rfind("/node/models/", 0) == 0);
  CHECK(here.seat.address == "ipc:///node/jobs/7/team");
  REQUIRE(crossing.files.size() == 2);
  CHECK(crossing.files[0] ==
        FileMove{"/head/jobs/7/checkpoints/step_4", "/node/jobs/7/checkpoints/step_4"});
  CHECK(crossing.files[1] == FileMove{"/models/small", here.job.policy.model});
  // Who only generates reads no recovery point and no weights of the model.
  lease.roles.learner = false;
  crossing = to_worker(at, lease);
  REQUIRE(crossing.files.size() == 1);
  CHECK(crossing.files[0].without_weights);
  // Ranks of several hosts meet where they are reached.
  lease.seat.address = "tcp://10.0.0.2";
  CHECK(opened<Lease>(to_worker(at, lease)).seat.address == "tcp://10.0.0.2");
}

TEST_CASE("job_border: policies and points lie at home on either side") {
  JobBorder at = border();
  Crossing crossing = to_worker(
      at, LoadPolicy{.version = PolicyVersion{3}, .path = "/head/jobs/7/policies/version_3"});
  CHECK(opened<LoadPolicy>(crossing).path == "/node/jobs/7/policies/version_3");
  REQUIRE(crossing.files.size() == 1);
  CHECK(crossing.files[0] ==
        FileMove{"/head/jobs/7/policies/version_3", "/node/jobs/7/policies/version_3"});

  crossing = to_worker(at, PublishPolicy{.path = "/head/jobs/7/policies/version_4"});
  CHECK(crossing.files.empty());
  CHECK(opened<PublishPolicy>(crossing).path == "/node/jobs/7/policies/version_4");
  Envelope said = seal(FromWorker(PolicyPublished{.path = "/node/jobs/7/policies/version_4"}));
  auto published = at.from_worker(said);
  REQUIRE(published);
  REQUIRE(published->files.size() == 1);
  CHECK(published->files[0] ==
        FileMove{"/head/jobs/7/policies/version_4", "/node/jobs/7/policies/version_4"});
  CHECK(std::get<PolicyPublished>(*open_from_worker(published->envelope)).path ==
        "/head/jobs/7/policies/version_4");

  crossing = to_worker(at, SavePoint{.folder = "/head/jobs/7/checkpoints/new",
                                     .policies = {{PolicyVersion{3}, "/head/jobs/7/policies/3"}}});
  CHECK(opened<SavePoint>(crossing).folder == "/node/jobs/7/checkpoints/new");
  CHECK(crossing.files.size() == 1);
  said = seal(FromWorker(PointWritten{.files = {{"part_0", "digest"}}}));
  said.request_id = 9;
  auto written = at.from_worker(said);
  REQUIRE(written);
  REQUIRE(written->files.size() == 1);
  CHECK(written->files[0] ==
        FileMove{"/head/jobs/7/checkpoints/new/part_0", "/node/jobs/7/checkpoints/new/part_0"});
}

TEST_CASE("job_border: what names no files crosses as it is") {
  JobBorder at = border();
  for (const ToWorker& message : filled_to_worker()) {
    const Envelope before = sealed(message);
    const auto crossing = at.to_worker(before);
    REQUIRE(crossing);
    const bool names_files = std::holds_alternative<Lease>(message) ||
                             std::holds_alternative<LoadPolicy>(message) ||
                             std::holds_alternative<PublishPolicy>(message) ||
                             std::holds_alternative<SavePoint>(message);
    if (!names_files) CHECK(crossing->envelope.payload == before.payload);
  }
  CHECK(at.to_worker({.schema = 1}).error().code == ErrorCode::kCorruption);
  CHECK(at.from_worker({.schema = 1}).error().code == ErrorCode::kCorruption);
  // A folder that only begins alike is another one.
  CHECK(at.here("/head/jobs/77/x") == "/head/jobs/77/x");
  CHECK(at.here("/head/jobs/7") == "/node/jobs/7");
}

TEST_CASE("job_border: of a folder that both hosts have nothing is moved") {
  JobBorder at({.home_at_head = "/shared/jobs/7",
                .home_here = "/shared/jobs/7",
                .models_here = "/node/models",
                .is_shared = true});
  Lease lease = filled_lease();
  lease.roles = {.rollout = true, .learner = true};
  lease.point_path = "/shared/jobs/7/checkpoints/step_4";
  lease.job.policy = {.model = "/models/small"};
  lease.seat.address = "ipc:///shared/jobs/7/team";
  Crossing crossing = to_worker(at, lease);
  Lease here = opened<Lease>(crossing);
  CHECK(here.point_path == lease.point_path);
  // A socket is one host's, and a model that lies elsewhere is not shared.
  CHECK(here.seat.address.rfind("ipc:///tmp/troupe-team-", 0) == 0);
  REQUIRE(crossing.files.size() == 1);
  CHECK(crossing.files[0].at_head == "/models/small");
  lease.job.policy.model = "/shared/jobs/7/model";
  crossing = to_worker(at, lease);
  CHECK(opened<Lease>(crossing).job.policy.model == "/shared/jobs/7/model");
  CHECK(crossing.files.empty());
  LoadPolicy load = filled_load_policy();
  load.path = "/shared/jobs/7/policies/3";
  CHECK(to_worker(at, load).files.empty());
  PolicyPublished published = filled_policy_published();
  published.path = "/shared/jobs/7/policies/4";
  Envelope envelope = seal(FromWorker(published));
  const auto from = at.from_worker(envelope);
  REQUIRE(from);
  CHECK(from->files.empty());
}
