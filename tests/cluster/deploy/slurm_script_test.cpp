// The script that `troupe deploy slurm` prints; tests/e2e/slurm_tour.sh runs one.
#include <doctest/doctest.h>

#include "cluster/deploy/deploy_texts.h"
#include "tests/support/process.h"
#include "tests/support/short_job.h"

namespace troupe {
namespace {

using tests::Ended;

TEST_CASE("deploy slurm: the script is one for sbatch, whatever is in names and paths") {
  const tests::ShortJob job;
  const std::string odd = job.file("a'b $(touch hacked) \"c\"");
  std::filesystem::create_directory(odd);
  std::filesystem::copy_file(job.job(), odd + "/job.toml");
  std::filesystem::create_directory_symlink(job.file("data"), odd + "/data");
  const Ended printed = tests::troupe({"deploy",
                                       "slurm",
                                       odd + "/job.toml",
                                       "--nodes",
                                       "64",
                                       "--home",
                                       odd + "/home",
                                       "--slots",
                                       "8",
                                       "--grace",
                                       "300",
                                       "--attempts",
                                       "7",
                                       "--set",
                                       "data.train=" + odd + "/data/train.jsonl",
                                       "--set",
                                       "name=x.y",
                                       "--sbatch",
                                       "time=4:00:00",
                                       "--sbatch",
                                       "exclusive"});
  REQUIRE_MESSAGE(printed.exit_code == 0, printed.error);
  const std::string& script = printed.out;
  CHECK(script.rfind("#!/usr/bin/env bash\n", 0) == 0);
  for (const char* line :
       {"\n#SBATCH --job-name=x.y\n", "\n#SBATCH --nodes=64\n", "\n#SBATCH --ntasks-per-node=1\n",
        "\n#SBATCH --requeue\n", "\n#SBATCH --signal=B:TERM@300\n",
        "\n#SBATCH --open-mode=append\n", "\n#SBATCH --time=4:00:00\n", "\n#SBATCH --exclusive\n",
        "\nslots=8 ", "\nattempts_max=7\n", "--kill-on-bad-exit=1"}) {
    CHECK_MESSAGE(script.find(line) != std::string::npos, line);
  }
  // All of Slurm's lines come before the first command.
  CHECK(script.rfind("\n#SBATCH") < script.find("\ntroupe="));
  tests::write_text(job.file("job.sh"), script);
  CHECK(std::system(("bash -n " + job.file("job.sh")).c_str()) == 0);
  // The shell reads back what was meant.
  const size_t settings_end = script.find("\n# Below this line");
  REQUIRE(settings_end != std::string::npos);
  tests::write_text(job.file("settings.sh"), script.substr(0, settings_end) +
                                                 "\nprintf '%s\\n' \"$job\" \"$home\" "
                                                 "\"${overrides[@]}\" >" +
                                                 job.file("read") + "\n");
  CHECK(std::system(("bash " + job.file("settings.sh")).c_str()) == 0);
  CHECK(tests::contents(job.file("read")) == odd + "/job.toml\n" + odd +
                                                 "/home\n--set\ndata.train=" + odd +
                                                 "/data/train.jsonl\n--set\nname=x.y\n");
  CHECK_FALSE(std::filesystem::exists("hacked"));
}

TEST_CASE(
    "deploy slurm: a job that is wrong, and options that the script needs itself, are refused") {
  const tests::ShortJob job;
  const auto refused = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"deploy", "slurm", job.job(), "--nodes", "2"};
    words.insert(words.end(), more.begin(), more.end());
    const Ended ended = tests::troupe(words);
    CHECK(ended.exit_code == 2);
    CHECK(ended.out.empty());
    CHECK(std::count(ended.error.begin(), ended.error.end(), '\n') == 1);
    return ended.error;
  };
  CHECK(refused({"--set", "grpo.step=1"}).find("grpo.steps") != std::string::npos);
  CHECK(refused({"--sbatch", "nodes=3"}).find("the script itself needs to say nodes") !=
        std::string::npos);
  CHECK(refused({"--sbatch", "--time=1"}).find("without the dashes") != std::string::npos);
  CHECK(refused({"--sbatch", "time=1\n#SBATCH --wrap=x"}).find("must be KEY or KEY=VALUE") !=
        std::string::npos);
  CHECK(refused({"--node-home", "tmp"}).find("must begin with /") != std::string::npos);
  CHECK(refused({"--slots", "0"}).find("slots") != std::string::npos);
  CHECK(tests::troupe({"deploy", "slurm", job.job()}).exit_code == 2);
  CHECK(tests::troupe({"deploy", "slurm", job.job(), "--nodes", "0"}).exit_code == 2);
}

TEST_CASE("deploy texts: what is to be filled in is, and words of a shell stay words") {
  CHECK(cluster::filled("a@X@b@Y@", {{"X", "1"}, {"Y", "@X@"}}) == "a1b@X@");
  CHECK(cluster::shell_word("it's") == "'it'\\''s'");
  CHECK(cluster::shell_word("") == "''");
}

}  // namespace
}  // namespace troupe
