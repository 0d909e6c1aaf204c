// Files of this folder that travel inside the program.
#pragma once

#include <string_view>

namespace troupe::cluster {

std::string_view systemd_service_text();  // troupe.service
std::string_view slurm_body_text();       // slurm_body.sh
std::string_view kubernetes_job_text();   // kubernetes_job.sh

}  // namespace troupe::cluster
