#include "actors/controller/published_policies.h"

namespace troupe::actors {

void PublishedPolicies::publish(uint64_t version) {
  if (version < retired_ || !asked_.insert(version).second) return;
  outbox_.add(command::Publish{PolicyVersion{version}});
}

void PublishedPolicies::retire(uint64_t before) {
  if (before <= retired_) return;
  retired_ = before;
  outbox_.add(command::RetirePolicies{PolicyVersion{before}});
}

}  // namespace troupe::actors
