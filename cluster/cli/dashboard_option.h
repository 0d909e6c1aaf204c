// The flag that says where the dashboard is.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "cluster/cli/command.h"
#include "cluster/dashboard/dashboard.h"
#include "schemas/result.h"

namespace troupe::cluster {

// On a command, or on the daemon's program.
template <class Program>
void add_dashboard_option(Program& program, std::string& value) {
  program.add_option("--dashboard", value,
                     "ADDR:PORT of the web page, or off; default: a free port of 127.0.0.1, which "
                     "is printed. Other addresses are for those with a token: troupe keys web");
}

// Nothing where it is off, or where nobody asked for it and it cannot be had. kInvalidArgument for
// a text that is neither, and for an address or keys that cannot be used.
Result<std::unique_ptr<Dashboard>> open_dashboard(const std::string& text, const std::string& keys);

// A line for people; nothing where there is none.
void print_dashboard(std::FILE* out, const Dashboard* dashboard);

}  // namespace troupe::cluster
