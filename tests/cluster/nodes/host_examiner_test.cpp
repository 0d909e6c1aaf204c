// The head's questions to a node, with a node that answers as the test wants.
#include "cluster/nodes/host_examiner.h"

#include <doctest/doctest.h>

#include <thread>

#include "cluster/nodes/host_reading.h"

namespace troupe::cluster {
namespace {

TEST_CASE("host examiner: a clock that is ahead is found, to within half a round trip") {
  std::optional<HostExaminer> examiner;
  size_t bytes = 0;
  examiner.emplace([&](const std::string& node, const ExamineNode& question) {
    NodeExamined answer{.request_id = question.request_id, .reading = take_reading("/")};
    answer.reading.clock_ns += 3'000'000'000;
    answer.reading.flops_per_core = question.computes ? 5 : 0;
    answer.payload.resize(question.reply_bytes);
    bytes += question.payload.size() + answer.payload.size();
    // What others say, and what was asked before, is not the answer.
    examiner->answered("other", answer);
    examiner->answered(node, {.request_id = question.request_id - 1});
    examiner->answered(node, answer);
    examiner->answered(node, {.request_id = question.request_id});
  });
  HostReport report;
  examiner->examine("b", report);
  CHECK(report.failure.empty());
  CHECK(std::abs(report.clock_ahead_seconds - 3) <= report.clock_uncertainty_seconds + 1e-6);
  CHECK(report.clock_uncertainty_seconds < 0.1);
  CHECK(report.bytes_per_second_there > 0);
  CHECK(report.bytes_per_second_back > 0);
  CHECK(report.reading.flops_per_core == 5);
  CHECK(bytes == 6 * kExamBytesMax);
}

TEST_CASE(
    "host examiner: an answer of another length is none, and who closes it waits for nobody") {
  std::optional<HostExaminer> examiner;
  examiner.emplace([&](const std::string& node, const ExamineNode& question) {
    examiner->answered(node, {.request_id = question.request_id});
  });
  HostReport report;
  examiner->examine("b", report);
  CHECK(report.failure.find("no answer of 4 MiB") != std::string::npos);

  HostExaminer silent([&](const std::string&, const ExamineNode&) {});
  std::thread closing([&] { silent.close(); });
  HostReport nothing;
  silent.examine("b", nothing);
  closing.join();
  CHECK(nothing.failure.find("no answer to a short question") != std::string::npos);
}

}  // namespace
}  // namespace troupe::cluster
