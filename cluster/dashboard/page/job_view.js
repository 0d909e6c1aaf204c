// One job: how far it is, how well it does, who waits for whom.
import {Curves, get} from "/server.js";
import {bar, clock, duration, el, fact, number, percent, replace, table, visible} from "/elements.js";
import {Chart, Timeline} from "/charts.js";
import {stateText} from "/cluster_view.js";

// Title, curves (a name that ends with * takes all that begin so) as [name, label], options.
const kStepCharts = [
  ["Reward", [["reward/mean", "mean"], ["accuracy", "accuracy"], ["format", "format"]]],
  ["Parts of the reward", [["rewards/*", ""]]],
  ["Response length, tokens", [["response_length/mean", "mean"]], {from0: true}],
  ["Responses cut at the budget", [["response_length/clip_ratio", "share"]], {from0: true}],
  ["Loss", [["loss", "loss"]]],
  ["Gradient's norm", [["grad_norm", "norm"]], {from0: true}],
  ["Entropy, nats a token", [["entropy", "entropy"]], {from0: true}],
  ["KL", [["kl", "to the reference"], ["ppo_kl", "rollout to learner"]]],
  ["Clipped tokens", [["clip_ratio/region_mean", "share"]], {from0: true}],
  ["Groups without a difference", [["frac_reward_zero_std", "share"]], {from0: true}],
  ["Staleness, steps", [["staleness/mean", "mean"], ["staleness/max", "max"]], {from0: true}],
  ["Imbalance of experts", [["moe/max_vio", "largest load / fair load - 1"]], {from0: true}],
  ["Verdicts of a round", [["verdicts/*", ""]], {from0: true}],
  ["Seconds a step", [["timing_s/gen", "generating"], ["timing_s/reward", "judging"],
                      ["timing_s/update_actor", "learning"]], {from0: true}],
  ["Learning rate", [["lr", "rate"]], {from0: true}],
];
const kTimeCharts = [
  ["Rollout, tokens/s a worker", [["tokens_per_second/rollout_mean", "mean"],
                                  ["tokens_per_second/rollout_worst", "worst worker"]], {from0: true}],
  ["Busy", [["busy/rollout", "rollout"], ["busy/verifier", "verifier"], ["busy/learner", "learner"]],
   {from0: true}],
  ["Waiting", [["wait/learner_for_rollout", "learner for rollout"],
               ["wait/learner_for_verifier", "learner for verifier"],
               ["wait/learner_for_store", "learner for store"],
               ["wait/rollout_for_learner", "rollout for learner"],
               ["wait/rollout_for_verifier", "rollout for verifier"]], {from0: true}],
  ["Groups in queues", [["queue/waiting", "to generate"], ["queue/generating", "generating"],
                        ["queue/judging", "to judge"], ["queue/committing", "to store"]], {from0: true}],
  ["Verdicts/s", [["verdicts_per_second", "verdicts/s"]], {from0: true}],
  ["Workers", [["workers/ready", "ready"], ["workers/lost", "lost so far"]], {from0: true}],
  ["Cost", [["money", "money"]], {from0: true}],
];
const kCurvesMax = 64;

function matching(wanted, names) {
  const found = [];
  for (const [pattern, label] of wanted) {
    if (!pattern.endsWith("*")) {
      if (names.includes(pattern)) found.push([pattern, label]);
      continue;
    }
    const start = pattern.slice(0, -1);
    for (const name of names) if (name.startsWith(start)) found.push([name, name.slice(start.length)]);
  }
  return found;
}

// Tokens per second between points of a counter.
export function ratesOf(x, totals) {
  return totals.map((total, i) => {
    if (i === 0 || total === null || totals[i - 1] === null || x[i] <= x[i - 1]) return null;
    return Math.max(0, (total - totals[i - 1]) / (x[i] - x[i - 1]));
  });
}

class ChartSet {
  // root: where the charts are; of: the table that they are read from.
  constructor(root, job, of, charts, isTime) {
    Object.assign(this, {root, job, of, charts, isTime, curves: null, names: ""});
    this.drawn = [];
  }

  // names: the curves that there are.
  async refresh(names, signal) {
    if (names.length === 0) return;
    if (String(names) !== this.names) {
      this.names = String(names);
      this.destroy();
      this.drawn = this.charts.map(([title, wanted, options]) => ({
        chart: new Chart(title, {...options, isTime: this.isTime}),
        lines: matching(wanted, names).slice(0, 12),
      })).filter(({lines}) => lines.length > 0);
      const all = new Set(this.drawn.flatMap(({lines}) => lines.map(([name]) => name)));
      if (this.isTime) all.add("tokens/generated_total").add("tokens/learned_total");
      this.curves = new Curves(this.job, this.of, [...all].slice(0, kCurvesMax));
      this.drawn.forEach(({chart}) => { chart.root.hidden = true; });
      this.root.append(...this.drawn.map(({chart}) => chart.root));
    }
    if (await this.curves.refresh(signal)) this.draw();
  }

  draw() {
    const none = this.curves.x.map(() => null);
    for (const {chart, lines} of this.drawn) {
      chart.draw(this.curves.x, lines.map(([name, label]) => (
          {label, values: this.curves.curves[name] || none})));
    }
  }

  destroy() {
    for (const {chart} of this.drawn) {
      chart.destroy();
      chart.root.remove();
    }
    this.drawn = [];
  }
}

export function jobView(main, job) {
  const head = el("div");
  const facts = el("ul", {class: "facts"});
  const now = el("div");
  const throughput = new Chart("Tokens/s", {isTime: true, from0: true});
  const solved = new Chart("Held-out problems solved (pass@1, 95 % interval)", {hasInterval: true});
  const timeline = new Timeline();
  const stepCharts = el("div", {class: "charts"}, solved.root);
  const timeCharts = el("div", {class: "charts"}, throughput.root);
  const workers = el("div");
  const events = el("div", {class: "events"});
  const evaluations = new Curves(job, "evaluations", ["eval/pass_at_1", "eval/interval_95/low",
                                                      "eval/interval_95/high"]);
  const steps = new ChartSet(stepCharts, job, "steps", kStepCharts, false);
  const times = new ChartSet(timeCharts, job, "samples", kTimeCharts, true);
  let work = [];
  let ticks = 0;
  throughput.root.hidden = solved.root.hidden = timeline.root.hidden = true;
  replace(main, head, el("div", {class: "tabs"}, el("a", {href: `#/job/${job}/traces`}, "Traces"),
                         el("a", {href: `#/compare/${job}`}, "Compare")),
          facts, now, el("h2", {}, "By policy version"), stepCharts, el("h2", {}, "By time"),
          timeline.root, timeCharts,
          el("h2", {}, "Workers"), workers, el("h2", {}, "Events"), events);

  function drawFacts(summary, board) {
    const step = board.step;
    const ledger = board.ledger;
    const cells = [];
    if (step) {
      const share = step.stage_steps > 0 ? step.stage_step / step.stage_steps : 0;
      cells.push(el("li", {}, el("small", {}, step.stage === "sft" ? "cold start" : "reinforcement"),
                    el("b", {}, `step ${number(step.stage_step)} of ${number(step.stage_steps)}`), bar(share),
                    el("small", {}, board.stage_seconds_left === null || board.end_state ? ""
                        : `${duration(board.stage_seconds_left)} left`)));
    } else {
      cells.push(fact("steps", `${number(summary.steps_done)} of ${number(summary.steps_total)}`));
    }
    if (step && step.stage === "grpo") cells.push(fact("reward", number(step.reward)));
    const {evaluation, first_evaluation: first} = board;
    if (evaluation) {
      cells.push(fact("solved (pass@1)", percent(evaluation.pass_at_1),
                      `${percent(evaluation.low)} to ${percent(evaluation.high)}` +
                      (first && first.version !== evaluation.version
                           ? `; at first ${percent(first.pass_at_1)}` : "")));
    }
    const pace = board.sample?.rollout_tokens_per_second;
    cells.push(fact("rollout", `${number(board.rollout_tokens_per_second)} tokens/s`,
                    pace && pace.workers > 1
                        ? `a worker ${number(pace.mean)}, worst ${number(pace.worst)} (slot ${pace.worst_slot})`
                        : ""));
    cells.push(fact("learner", `${number(board.learner_tokens_per_second)} tokens/s`));
    cells.push(fact("cost", number(summary.money),
                    board.cost_per_solved === null ? "" : `${number(board.cost_per_solved)} a solved problem`));
    if (ledger.tokens_generated > 0) {
      cells.push(fact("tokens", number(ledger.tokens_generated), `${number(ledger.tokens_learned)} learned`));
    }
    replace(facts, ...cells);
  }

  function drawNow(board) {
    const lines = [];
    if (board.activity) {
      lines.push(`${board.activity}: ${number(board.activity_done)} of ${number(board.activity_total)}`);
    }
    if (board.sample && !board.end_state) lines.push(board.sample.who_waits);
    replace(now, ...lines.map((line) => el("p", {class: "quiet"}, visible(line))));
  }

  function drawWorkers(board) {
    const sample = board.sample;
    if (!sample || board.end_state) return replace(workers, el("p", {class: "quiet"}, "None runs."));
    replace(workers, table([["slot", "number"], ["roles", ""], ["does", ""], ["tokens/s", "number"]],
        sample.workers.map((worker) => ({cells: [
          String(worker.slot),
          worker.num_ranks > 1 ? `${worker.roles}, rank ${worker.rank} of ${worker.num_ranks}` : worker.roles,
          visible(worker.activity), number(worker.tokens_per_second),
        ]}))));
  }

  async function drawWork(board, signal) {
    const newest = work.length > 0 ? Math.floor(work[work.length - 1].end) : 0;
    const news = (await get(`/api/jobs/${job}/work?since=${newest}`, signal)).work;
    const known = new Set(work.slice(-1000).map((one) => `${one.slot} ${one.role} ${one.end}`));
    work = work.concat(news.filter((one) => !known.has(`${one.slot} ${one.role} ${one.end}`))).slice(-2000);
    const end = work.length > 0 ? work[work.length - 1].end : 0;
    timeline.draw(work.filter((one) => one.end > end - 60), end);
  }

  function drawThroughput() {
    const {x, curves} = times.curves || {x: [], curves: {}};
    const lines = [["tokens/generated_total", "rollout"], ["tokens/learned_total", "learner"]]
        .filter(([name]) => curves[name])
        .map(([name, label]) => ({label, values: ratesOf(x, curves[name])}));
    throughput.draw(x, lines);
  }

  function drawSolved() {
    const {x, curves} = evaluations;
    const [middle, low, high] = ["eval/pass_at_1", "eval/interval_95/low", "eval/interval_95/high"]
        .map((name) => curves[name] || []);
    solved.draw(x, [{label: "solved", values: x.map((_, i) =>
        (low[i] === null || low[i] === undefined ? null : [low[i], middle[i], high[i]]))}]);
  }

  return {
    async refresh(signal) {
      const {job: summary, board} = await get(`/api/jobs/${job}`, signal);
      replace(head, el("h1", {}, visible(summary.name), " ", stateText(summary.state)),
              summary.message ? el("p", {class: "quiet"}, visible(summary.message)) : null);
      drawFacts(summary, board);
      drawNow(board);
      drawWorkers(board);
      replace(events, ...board.events.slice().reverse().map((event) =>
          el("div", {}, `${clock(event.time)}  ${visible(event.text)}`)));
      // Curves need not move each second.
      if (ticks++ % 2 === 1) return;
      await steps.refresh(board.curves.steps, signal);
      await times.refresh(board.curves.samples, signal);
      drawThroughput();
      if (board.curves.evaluations.length > 0 && await evaluations.refresh(signal)) drawSolved();
      await drawWork(board, signal);
    },
    recolour() {
      for (const {chart} of [...steps.drawn, ...times.drawn, {chart: throughput}, {chart: solved}]) {
        if (chart.graph) chart.create();
      }
    },
    destroy() {
      steps.destroy();
      times.destroy();
      throughput.destroy();
      solved.destroy();
    },
  };
}
