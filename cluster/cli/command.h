// One command per file: each adds its subcommand to the program and, when chosen, leaves the exit
// code. main.cpp lists them; nothing registers itself.
#pragma once

#include <string>
#include <string_view>

#include "cluster/cli/command_line.h"
#include "schemas/result.h"

namespace troupe::cluster {

// 0 done, 1 failed, 2 wrong input or usage, 3 stopped by the user.
int exit_code(const Error& error);

// Prints "troupe COMMAND: MESSAGE" to standard error and returns the exit code.
int report(const std::string& command, const Error& error);

// Sends what was printed on its way. kInternal where standard output could not be written: a full
// disk, a reader that went away.
Status flush_output();
// One line of results and its end, sent on its way.
Status print_line(std::string_view line);

void add_run(Command& program, int& exit_code);
void add_quickstart(Command& program, int& exit_code);
void add_make_data(Command& program, int& exit_code);
void add_init(Command& program, int& exit_code);
void add_eval(Command& program, int& exit_code);
void add_generate(Command& program, int& exit_code);
void add_score(Command& program, int& exit_code);
void add_export(Command& program, int& exit_code);
void add_trace(Command& program, int& exit_code);
void add_export_traces(Command& program, int& exit_code);
void add_completion(Command& program, const Program& of, int& exit_code);
void add_man(Command& program, const Program& of, int& exit_code);
void add_bench(Command& program, int& exit_code);
void add_verify(Command& program, int& exit_code);
void add_doctor(Command& program, int& exit_code);
void add_keys(Command& program, int& exit_code);
void add_deploy(Command& program, int& exit_code);
void add_alive(Command& program, int& exit_code);
// Started by a head, not by people, and not in the help.
void add_worker(Command& program, int& exit_code);
// At a daemon.
void add_submit(Command& program, int& exit_code);
void add_jobs(Command& program, int& exit_code);
void add_job_changes(Command& program, int& exit_code);  // show, cancel, pause, resume
void add_why(Command& program, int& exit_code);
void add_logs(Command& program, int& exit_code);
void add_watch(Command& program, int& exit_code);
void add_top(Command& program, int& exit_code);
void add_nodes(Command& program, int& exit_code);
void add_node_changes(Command& program, int& exit_code);  // drain, undrain

// The whole command line of the daemon; returns the exit code.
int run_trouped(int argc, char** argv);

}  // namespace troupe::cluster
