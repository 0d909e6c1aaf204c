// Up to eight jobs on the same axes.
import {Curves, get} from "/server.js";
import {el, replace, table, number, visible} from "/elements.js";
import {Chart} from "/charts.js";
import {stateText} from "/cluster_view.js";
import {here, rememberHere} from "/app.js";

const kJobsMax = 8;
const kCurves = ["reward/mean", "accuracy", "response_length/mean", "loss", "entropy", "kl", "grad_norm",
                 "timing_s/gen", "timing_s/update_actor"];

// Rows of all jobs by x, with nothing where a job has none.
export function joined(series) {
  const all = [...new Set(series.flatMap(({x}) => x))].sort((a, b) => a - b);
  const place = new Map(all.map((x, i) => [x, i]));
  return [all, series.map(({label, x, values}) => {
    const row = new Array(all.length).fill(null);
    values.forEach((value, i) => { row[place.get(x[i])] = value; });
    return {label, values: row};
  })];
}

export function compareView(main, ids) {
  const chosen = ids.slice(0, kJobsMax);
  const charts = el("div", {class: "charts"});
  const list = el("div");
  const more = el("select", {"aria-label": "another job"});
  more.addEventListener("change", () => {
    if (more.value) location.hash = `#/compare/${[...chosen, more.value].join(",")}`;
  });
  const solved = new Chart("Held-out problems solved (pass@1)");
  const drawn = kCurves.map((name) => [name, new Chart(name)]);
  const only = here().query.get("curve");
  const choice = el("select", {"aria-label": "curve"}, el("option", {value: ""}, "all curves"),
                    ...kCurves.map((name) => el("option", {value: name}, name)));
  choice.value = only || "";
  choice.addEventListener("change", () => {
    rememberHere(choice.value ? new URLSearchParams({curve: choice.value}) : new URLSearchParams());
    draw();
  });
  const steps = chosen.map((id) => new Curves(id, "steps", kCurves));
  const evaluations = chosen.map((id) => new Curves(id, "evaluations", ["eval/pass_at_1"]));
  const names = new Map();
  replace(main, el("h1", {}, "Compare"), el("div", {class: "row"}, more, choice), list, charts);
  charts.append(solved.root, ...drawn.map(([, chart]) => chart.root));
  for (const [, chart] of [[null, solved], ...drawn]) chart.root.hidden = true;

  function drawOne(chart, curves, name) {
    const series = curves.filter((one) => one.curves[name]).map((one) => (
        {label: `${one.job} ${names.get(one.job) || ""}`, x: one.x, values: one.curves[name]}));
    const isShown = !choice.value || choice.value === name;
    chart.draw(...(isShown ? joined(series) : [[], []]));
  }

  function draw() {
    drawOne(solved, evaluations, "eval/pass_at_1");
    for (const [name, chart] of drawn) drawOne(chart, steps, name);
  }

  return {
    async refresh(signal) {
      const {jobs} = await get("/api/cluster", signal);
      for (const job of jobs) names.set(String(job.id), visible(job.name));
      const isOpen = document.activeElement === more;
      if (!isOpen) {
        replace(more, el("option", {value: ""}, chosen.length < kJobsMax ? "add a job …" : "no more than 8"),
                ...(chosen.length < kJobsMax ? jobs : []).filter(({id}) => !chosen.includes(String(id)))
                    .map((job) => el("option", {value: job.id}, `${job.id} ${visible(job.name)}`)));
      }
      replace(list, table([["id", "number"], ["name", ""], ["state", ""], ["steps", "number"], ["cost", "number"],
                           ["", ""]],
          jobs.filter(({id}) => chosen.includes(String(id))).map((job) => ({cells: [
            String(job.id), el("a", {href: `#/job/${job.id}`}, visible(job.name)), stateText(job.state),
            `${number(job.steps_done)} of ${number(job.steps_total)}`, number(job.money),
            el("a", {href: `#/compare/${chosen.filter((one) => one !== String(job.id)).join(",")}`}, "remove"),
          ]}))));
      let isNew = false;
      for (const curves of [...steps, ...evaluations]) isNew = await curves.refresh(signal) || isNew;
      if (isNew) draw();
    },
    recolour() {
      for (const [, chart] of [[null, solved], ...drawn]) if (chart.graph) chart.create();
    },
    destroy() {
      for (const [, chart] of [[null, solved], ...drawn]) chart.destroy();
    },
  };
}
