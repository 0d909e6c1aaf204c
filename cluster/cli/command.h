// One command per file: each adds its subcommand to the program and, when chosen, leaves the exit
// code. main.cpp lists them; nothing registers itself.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <string_view>

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

void add_run(CLI::App& program, int& exit_code);
void add_quickstart(CLI::App& program, int& exit_code);
void add_make_data(CLI::App& program, int& exit_code);
void add_init(CLI::App& program, int& exit_code);
void add_eval(CLI::App& program, int& exit_code);
void add_generate(CLI::App& program, int& exit_code);
void add_score(CLI::App& program, int& exit_code);
void add_export(CLI::App& program, int& exit_code);
void add_bench(CLI::App& program, int& exit_code);
void add_verify(CLI::App& program, int& exit_code);
void add_doctor(CLI::App& program, int& exit_code);
// Started by a head, not by people, and not in the help.
void add_worker(CLI::App& program, int& exit_code);
// At a daemon.
void add_submit(CLI::App& program, int& exit_code);
void add_jobs(CLI::App& program, int& exit_code);
void add_job_changes(CLI::App& program, int& exit_code);  // show, cancel, pause, resume
void add_logs(CLI::App& program, int& exit_code);
void add_watch(CLI::App& program, int& exit_code);
void add_top(CLI::App& program, int& exit_code);

// The whole command line of the daemon; returns the exit code.
int run_trouped(int argc, char** argv);

}  // namespace troupe::cluster
