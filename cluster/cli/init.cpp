#include <unistd.h>

#include <cstdio>
#include <memory>

#include "cluster/cli/command.h"
#include "cluster/jobs/embedded_jobs.h"
#include "cluster/jobs/job_file.h"
#include "model/formats/file.h"
#include "schemas/check.h"
#include "schemas/job.h"

namespace troupe::cluster {
namespace {

// The quickstart's job, which works once `troupe make-data` has written its files beside it.
JobSpec starter_job() {
  auto job = parse_job(quickstart_job(), "quickstart.toml");
  TROUPE_CHECK(job);
  job->name = "my-job";
  job->data.train = "data/train.jsonl";
  job->data.cold_start = {"data/cold_start_clean.jsonl", "data/cold_start_noisy.jsonl"};
  job->data.held_out = "data/held_out.jsonl";
  return *job;
}

Status write_job_file(const std::string& path) {
  if (::access(path.c_str(), F_OK) == 0) {
    return invalid_argument(path + " is already there; name another file or move it away");
  }
  return model::write_file(path, to_toml(starter_job()));
}

}  // namespace

void add_init(Command& program, int& exit_code) {
  Command command = program.add_command("init", "Write a commented job file to start from");
  command.footer("Example:\n  troupe make-data arithmetic --out data\n  troupe init my-job.toml");
  auto path = std::make_shared<std::string>("job.toml");
  command.add_option("file", *path, "Where to write it; never overwritten").show_default();
  command.callback([path, &exit_code] {
    const Status status = write_job_file(*path);
    if (!status) {
      exit_code = report("init", status.error());
      return;
    }
    std::printf("%s is written; edit it, then: troupe run %s\n", path->c_str(), path->c_str());
    exit_code = 0;
  });
}

}  // namespace troupe::cluster
