// Hosts, jobs, and why those that wait do.
import {get} from "/server.js";
import {bytes, el, number, percent, replace, table, visible} from "/elements.js";

const kJobsCompared = 8;
const kTones = {running: "good", finished: "good", failed: "bad", queued: "warn", paused: "warn"};

export function stateText(state) {
  return el("span", {class: kTones[state] || ""}, state);
}

export function clusterView(main) {
  const jobs = el("div");
  const hosts = el("div");
  const chosen = new Set();
  const compare = el("a", {hidden: true}, "Compare");
  let shown = "";
  replace(main, el("h1", {}, "Jobs"), el("div", {class: "row"}, compare), jobs, el("h2", {}, "Hosts"),
          hosts);

  function choose(id, isChosen) {
    if (isChosen && chosen.size < kJobsCompared) chosen.add(id);
    else chosen.delete(id);
    compare.hidden = chosen.size < 2;
    compare.textContent = `Compare ${chosen.size} jobs`;
    compare.href = `#/compare/${[...chosen].join(",")}`;
  }

  function jobRow(job, waits) {
    const box = el("input", {
      type: "checkbox", "aria-label": `compare job ${job.id}`,
      onchange: (event) => {
        choose(job.id, event.target.checked);
        event.target.checked = chosen.has(job.id);
      },
    });
    box.checked = chosen.has(job.id);
    const why = waits[job.id] || job.message;
    const share = job.steps_total > 0 ? ` (${percent(job.steps_done / job.steps_total)})` : "";
    return {
      href: `#/job/${job.id}`,
      cells: [box, String(job.id), el("a", {href: `#/job/${job.id}`}, visible(job.name)),
              stateText(job.state), `${number(job.steps_done)} of ${number(job.steps_total)}${share}`,
              visible(job.owner), number(job.money), visible(why)],
    };
  }

  function hostRow(host) {
    const tenants = host.tenants.map((one) => {
      const roles = [["learner", one.learner], ["rollout", one.rollout], ["lent", one.lent],
                     ["verifier", one.verifier]];
      const counts = roles.filter(([, count]) => count > 0).map(([role, count]) => `${count} ${role}`);
      return `job ${one.job}: ${counts.join(", ")}`;
    });
    const state = host.away_seconds > 0 ? `${host.state}, ${number(host.away_seconds)} s` : host.state;
    const slots = host.is_elastic ? `${host.used}, as many as wanted` : `${host.used} of ${host.slots}`;
    return {cells: [visible(host.name), state, slots, tenants.join("; "), host.disk_free_bytes > 0 ? bytes(host.disk_free_bytes) : ""]};
  }

  return {
    async refresh(signal) {
      const cluster = await get("/api/cluster", signal);
      const {now, ...rest} = cluster;
      if (JSON.stringify(rest) === shown) return;
      shown = JSON.stringify(rest);
      const selected = main.querySelector("tr.selected")?.dataset.href;
      replace(jobs, cluster.jobs.length === 0 ? el("p", {class: "quiet"}, "No jobs yet.") : table(
          [["", ""], ["id", "number"], ["name", ""], ["state", ""], ["steps", "number"],
           ["owner", "hide-narrow"], ["cost", "number hide-narrow"], ["", "hide-narrow"]],
          cluster.jobs.map((job) => jobRow(job, cluster.waits))));
      replace(hosts, table([["name", ""], ["state", ""], ["slots used", "number"], ["what runs", ""],
                            ["disk free", "number hide-narrow"]], cluster.hosts.map(hostRow)));
      main.querySelector(`tr[data-href="${selected}"]`)?.classList.add("selected");
    },
  };
}
