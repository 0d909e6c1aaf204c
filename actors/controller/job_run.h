// One job under way: its controller and its workers, joined. Still a state machine: it hears
// events with their time and acts through ports, which are CAF, processes and the store in a head,
// and one seeded clock in a simulation.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/controller/controller.h"
#include "actors/crew/worker_pool.h"
#include "actors/job/prepared_job.h"

namespace troupe::actors {

// What JobRun needs done. None of these may call back into it.
class RunPorts {
 public:
  virtual ~RunPorts() = default;

  virtual void start_worker(uint32_t slot) = 0;  // Answered by worker_started or _start_failed.
  virtual void kill_worker(uint32_t slot, uint64_t pid) = 0;
  virtual void send(const pool::Send& message) = 0;
  virtual void commit(uint64_t ticket, Batch batch) = 0;  // Answered by committed(), in order.
  virtual void load_round(Round round) = 0;               // Answered by round_loaded().
  // A folder where the learner's ranks write a point, what makes a point of their files and gives
  // it its name (kExhausted: the disk is full), and where it is then.
  virtual std::string begin_point(PolicyVersion version) = 0;
  virtual Result<PointRecord> finish_point(const PointWritten& written) = 0;
  virtual std::string point_path(const PointRecord& point) = 0;
  virtual void forget_point(const PointRecord& point) = 0;
  virtual void keep_best(const PointRecord& point) = 0;
  // A version that a point holds, as a file that outlives the point; where that is.
  virtual Result<std::string> take_policy(const PointRecord& point, PolicyVersion version) = 0;
  virtual void remove_policy(const std::string& path) = 0;
};

class JobRun {
 public:
  struct Options {
    uint64_t job_id = 0;
    uint64_t epoch = 0;  // Of this writer.
    WorkerPool::Options pool{};
    std::vector<SlotPlan> slots{};
    std::vector<Survivor> survivors{};
    std::string policies_folder{};
  };

  // All references outlive it.
  JobRun(const PreparedJob& prepared, RunHistory history,
         const std::vector<AttemptRecord>& attempts, Options options, RunPorts& ports,
         MetricsSink& sink);

  void start(double now);
  void worker_started(uint32_t slot, std::string token, uint64_t pid, double now);
  void worker_start_failed(uint32_t slot, const std::string& reason, double now);
  // The epoch of the lease that was given; nothing when the caller is not believed.
  std::optional<uint64_t> worker_hello(const Hello& hello, double now);
  void worker_said(uint32_t slot, uint64_t epoch, uint64_t request_id, FromWorker message,
                   double now);
  void worker_ended(const ProcessEnd& end, double now);
  void worker_disconnected(uint32_t slot, uint64_t epoch, double now);
  void committed(uint64_t ticket, const Status& status, double now);
  void round_loaded(Round round, RoundHistory history, double now);
  void stop(JobState state, double now);
  void place(const std::vector<WorkerPool::Place>& places, double now);
  void fail(Error error, double now);
  // Several times a second: time passes.
  void tick(double now);

  // Set once the job has ended; its workers are told to go by then.
  const std::optional<command::End>& end() const { return end_; }
  const Controller& controller() const { return controller_; }
  const std::string& weights_sha256() const { return weights_sha256_; }

 private:
  void begin_from_point();
  void pump(double now);
  void obey(ControllerCommand command, double now);
  void obey(PoolCommand command, double now);
  void answer(FromWorker message, double now);
  void finish_points(double now);
  void sample(double now);
  void something_came(double now);

  const PreparedJob& prepared_;
  RunPorts& ports_;
  MetricsSink& sink_;
  WorkerPool pool_;
  Controller controller_;
  std::vector<Survivor> survivors_{};
  bool is_announced_ = false;
  bool is_pumping_ = false;
  double sampled_at_ = 0;
  double answered_at_ = 0;
  double quiet_seconds_ = 0;
  std::deque<PointWritten> written_{};  // Points that are to be finished, oldest first.
  bool waits_for_room_ = false;         // The first of them does.
  std::string weights_sha256_{};        // At the newest recovery point.
  Error pause_reason_{};                // Of a pause that nobody asked for.
  std::optional<command::End> end_{};
};

}  // namespace troupe::actors
