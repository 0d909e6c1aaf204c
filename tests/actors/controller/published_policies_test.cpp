#include "actors/controller/published_policies.h"

#include "tests/support/controller_parts.h"

namespace troupe::actors {
namespace {

TEST_CASE("published policies: each is asked for once of each learner") {
  Outbox outbox;
  PublishedPolicies policies(outbox);
  policies.publish(3);
  policies.publish(3);
  policies.publish(4);
  CHECK(tests::all_of<command::Publish>(outbox.take()).size() == 2);
  policies.learner_ready();
  policies.publish(3);
  const auto again = tests::all_of<command::Publish>(outbox.take());
  REQUIRE(again.size() == 1);
  CHECK(again[0].version == PolicyVersion{3});
}

TEST_CASE("published policies: what is given up does not come back") {
  Outbox outbox;
  PublishedPolicies policies(outbox);
  policies.retire(0);
  CHECK(outbox.take().empty());
  policies.retire(5);
  policies.retire(5);
  policies.retire(4);
  const auto retired = tests::all_of<command::RetirePolicies>(outbox.take());
  REQUIRE(retired.size() == 1);
  CHECK(retired[0].before == PolicyVersion{5});
  policies.learner_ready();
  policies.publish(4);
  CHECK(outbox.take().empty());
  policies.publish(5);  // The oldest that is left.
  CHECK(outbox.take().size() == 1);
}

}  // namespace
}  // namespace troupe::actors
