// What the model wrote: the groups of a round, filtered; one group, its responses side by side, each
// token coloured by how likely it was. All details are in the address.
import {get} from "/server.js";
import {el, number, replace, table, visible} from "/elements.js";
import {here, rememberHere} from "/app.js";

const kBins = 20;
const kPiecesShown = 3000;     // Of a response, until all are asked for.
const kSurprises = [0.5, 1.5, 3, 5];  // Nats; more than these are shades 1 to 4.

function shadeOf(logprob) {
  return kSurprises.filter((bound) => -logprob > bound).length;
}

// The bin of each reward between the least and the largest; one bin where they are all the same.
export function binsOf(rewards) {
  const low = Math.min(...rewards);
  const high = Math.max(...rewards);
  const width = (high - low) / kBins;
  const place = (reward) => (width === 0 ? 0 : Math.min(kBins - 1, Math.floor((reward - low) / width)));
  const counts = new Array(width === 0 ? 1 : kBins).fill(0);
  for (const reward of rewards) ++counts[place(reward)];
  return {low, high, width, counts, place};
}

// filter: {bin, verdict, part, from, to, cut, surprise}; all that are set must hold.
export function holds(sample, filter, bins) {
  if (filter.bin !== null && bins.place(sample.reward) !== filter.bin) return false;
  if (filter.cut && !sample.is_cut) return false;
  if (filter.from !== null && sample.length < filter.from) return false;
  if (filter.to !== null && sample.length > filter.to) return false;
  if (filter.surprise !== null && sample.surprise < filter.surprise) return false;
  if (filter.verdict && !sample.parts.some((part) => `${part.name} ${part.kind}` === filter.verdict)) {
    return false;
  }
  return true;
}

function rewardColour(cell, reward, bins) {
  const share = bins.width === 0 ? 0.5 : (reward - bins.low) / (bins.high - bins.low);
  cell.style.background = `color-mix(in srgb, var(--good) ${Math.round(share * 55)}%, transparent)`;
}

// A response's pieces as spans; what each is says its title when the pointer is on it.
function responseText(sample) {
  const versions = new Map(sample.versions);
  const root = el("div", {class: "model-text", tabindex: "0"});
  let shown = 0;
  const add = (end) => {
    const spans = [];
    for (; shown < end; ++shown) {
      const shade = shadeOf(sample.logprobs[shown] ?? 0);
      const isNewVersion = shown > 0 && versions.has(shown);
      const classes = [shade > 0 ? `s${shade}` : "", isNewVersion ? "version" : ""].join(" ").trim();
      spans.push(el("span", {class: classes || null, "data-piece": shown}, visible(sample.texts[shown])));
    }
    root.append(...spans);
  };
  add(Math.min(kPiecesShown, sample.texts.length));
  if (shown < sample.texts.length) {
    const more = el("button", {type: "button", onclick: () => {
      more.remove();
      add(sample.texts.length);
    }}, `show all ${sample.texts.length} pieces`);
    root.append(more);
  }
  root.addEventListener("pointerover", (event) => {
    const piece = event.target.dataset?.piece;
    if (piece === undefined || event.target.title) return;
    let version = null;
    for (const [from, number_] of sample.versions) if (from <= Number(piece)) version = number_;
    event.target.title = `log-probability ${sample.logprobs[piece]}, probability ` +
        `${number(Math.exp(sample.logprobs[piece]))}, policy version ${version ?? "?"}`;
  });
  return root;
}

function sampleView(sample) {
  const parts = sample.parts.map((part) => el("div", {},
      el("b", {}, visible(part.name)), ` ${visible(part.kind)} ${number(part.value)}` +
      ` × ${number(part.weight)}`,
      part.reason ? el("div", {class: "quiet"}, visible(part.reason)) : null));
  const versions = sample.versions.map(([, version]) => version);
  const written = versions.length > 1
      ? `versions ${Math.min(...versions)} to ${Math.max(...versions)}` : `version ${versions[0] ?? "?"}`;
  return el("article", {class: "sample"},
      el("h3", {}, `Response ${sample.sample}: reward ${number(sample.reward)}`),
      el("p", {class: "quiet"}, `${number(sample.length)} tokens${sample.is_cut ? ", cut" : ""}` +
         `${sample.is_shortened ? ", shortened here" : ""}, ${written}`),
      ...parts, responseText(sample));
}

export function tracesView(main, job) {
  const query = here().query;
  const numberIn = (name) => (query.has(name) && query.get(name) !== "" ? Number(query.get(name)) : null);
  const filter = {
    bin: numberIn("bin"), verdict: query.get("verdict") || "", from: numberIn("from"), to: numberIn("to"),
    cut: query.has("cut"), surprise: numberIn("surprise"),
  };
  let round = numberIn("round");
  let group = numberIn("group");
  let problem = query.get("problem") || "";
  let rounds = [];
  let groups = [];
  let bins = null;
  let loadedRound = null;
  let loadedGroup = null;

  const roundChoice = el("select", {"aria-label": "round"});
  const verdict = el("select", {"aria-label": "verdict"});
  const from = el("input", {type: "number", min: 0, placeholder: "length from", "aria-label": "length from"});
  const to = el("input", {type: "number", min: 0, placeholder: "to", "aria-label": "length to"});
  const surprise = el("input", {type: "number", min: 0, step: "0.1", placeholder: "surprise from, nats",
                                "aria-label": "surprise from"});
  const cut = el("input", {type: "checkbox", id: "cut"});
  const histogram = el("div", {class: "histogram"});
  const axis = el("div", {class: "histogram-axis"});
  const count = el("p", {class: "quiet"});
  const list = el("div");
  const opened = el("div");
  const problems = el("div");
  from.value = filter.from ?? "";
  to.value = filter.to ?? "";
  surprise.value = filter.surprise ?? "";
  cut.checked = filter.cut;
  replace(main, el("h1", {}, "Traces"),
          el("div", {class: "row"}, roundChoice, verdict, from, to, surprise,
             el("label", {for: "cut"}, cut, " cut only"),
             el("button", {type: "button", onclick: () => {
               location.hash = `#/job/${job}/traces?round=${round}`;
             }}, "all")),
          histogram, axis, count, opened, list, problems);

  function remember() {
    const all = {round, group, bin: filter.bin, verdict: filter.verdict, from: filter.from, to: filter.to,
                 cut: filter.cut ? "1" : "", surprise: filter.surprise, problem};
    rememberHere(new URLSearchParams(
        Object.entries(all).filter(([, value]) => value !== null && value !== "")));
  }

  function drawHistogram() {
    const rewards = groups.flatMap((one) => one.samples.map((sample) => sample.reward));
    if (rewards.length === 0) return replace(histogram);
    bins = binsOf(rewards);
    const most = Math.max(...bins.counts);
    replace(histogram, ...bins.counts.map((one, i) => {
      const low = bins.low + i * bins.width;
      const label = `${one} responses with rewards from ${number(low)} to ${number(low + bins.width)}`;
      const made = el("button", {
        type: "button", title: label, "aria-label": label, "aria-pressed": String(filter.bin === i),
        onclick: () => {
          filter.bin = filter.bin === i ? null : i;
          drawHistogram();
          drawGroups();
          remember();
        },
      });
      made.style.height = `${one === 0 ? 0 : Math.max(6, one / most * 100)}%`;
      return made;
    }));
    replace(axis, el("span", {}, number(bins.low)), el("span", {}, "reward"), el("span", {}, number(bins.high)));
  }

  function drawVerdicts() {
    const kinds = new Set(groups.flatMap((one) => one.samples.flatMap((sample) =>
        sample.parts.map((part) => `${part.name} ${part.kind}`))));
    replace(verdict, el("option", {value: ""}, "any verdict"),
            ...[...kinds].sort().map((kind) => el("option", {value: kind}, visible(kind))));
    verdict.value = kinds.has(filter.verdict) ? filter.verdict : "";
    filter.verdict = verdict.value;
  }

  function drawGroups() {
    let fitting = 0;
    const rows = [];
    for (const one of groups) {
      const cells = one.samples.map((sample) => {
        const fits = holds(sample, filter, bins);
        if (fits) ++fitting;
        const cell = el("span", {
          class: fits ? "cell" : "cell faded",
          title: `response ${sample.sample}: reward ${number(sample.reward)}, ${sample.length} tokens, ` +
              `surprise ${number(sample.surprise)}`,
        }, number(sample.reward));
        rewardColour(cell, sample.reward, bins);
        return [fits, cell];
      });
      if (!cells.some(([fits]) => fits)) continue;
      const target = new URLSearchParams(here().query);
      target.set("round", round);
      target.set("group", one.ordinal);
      rows.push({href: `#/job/${job}/traces?${target}`, cells: [
        String(one.ordinal), el("div", {class: "cells"}, ...cells.map(([, cell]) => cell)),
        visible(one.prompt.slice(0, 160)), visible(String(one.gold ?? "").slice(0, 60)),
      ]});
    }
    count.textContent = `${fitting} responses in ${rows.length} groups`;
    replace(list, table([["group", "number"], ["rewards", ""], ["prompt", ""], ["gold", "hide-narrow"]], rows));
  }

  async function drawOpened(signal) {
    if (group === null) return replace(opened);
    const one = await get(`/api/jobs/${job}/rounds/${round}/${group}`, signal);
    replace(opened, el("h2", {}, `Group ${one.ordinal} of round ${one.round}`),
            el("div", {class: "model-text"}, visible(one.prompt)),
            one.gold ? el("p", {}, "gold: ", el("code", {}, visible(one.gold))) : null,
            el("p", {class: "quiet"}, "Darker tokens were less likely; a line marks a newer policy version."),
            el("div", {class: "samples"}, ...one.samples.map(sampleView)));
  }

  // Of one held-out problem, what each version answered.
  async function drawProblems(signal) {
    const {problems: all} = await get(`/api/jobs/${job}/held-out`, signal);
    if (all.length === 0) return;
    const choice = el("select", {"aria-label": "held-out problem", onchange: (event) => {
      problem = event.target.value;
      remember();
      drawProblems();
    }}, ...all.map((one, i) => el("option", {value: i}, visible(one.prompt.slice(0, 80)))));
    if (!(problem in all)) problem = "0";
    choice.value = problem;
    const chosen = all[problem];
    replace(problems, el("h2", {}, "A held-out problem over versions"), choice,
            chosen.gold ? el("p", {}, "gold: ", el("code", {}, visible(chosen.gold))) : null,
            el("div", {class: "samples"}, ...chosen.answers.map((answer) => el("article", {class: "sample"},
                el("h3", {}, `version ${answer.version}: `,
                   el("span", {class: answer.is_solved ? "good" : "bad"}, answer.is_solved ? "solved" : "not solved")),
                el("div", {class: "model-text"}, visible(answer.response))))));
  }

  async function load(signal) {
    const isNewest = round === null || (rounds.length > 0 && round === rounds[rounds.length - 1]
                                        && !here().query.has("round"));
    rounds = (await get(`/api/jobs/${job}/rounds`, signal)).rounds;
    if (rounds.length === 0) {
      count.textContent = "No traces are kept yet (resources.traces_kept_mib says how much is).";
      return;
    }
    if (isNewest || !rounds.includes(round)) round = rounds[rounds.length - 1];
    if (document.activeElement !== roundChoice) {
      replace(roundChoice, ...rounds.map((one) => el("option", {value: one}, `round ${one}`)));
    }
    roundChoice.value = round;
    const isLast = round === rounds[rounds.length - 1];
    if (loadedRound !== round || isLast) {
      const fresh = (await get(`/api/jobs/${job}/rounds/${round}`, signal)).groups;
      if (loadedRound !== round || fresh.length !== groups.length) {
        groups = fresh;
        drawHistogram();
        drawVerdicts();
        drawGroups();
      }
      loadedRound = round;
    }
    if (loadedGroup !== `${round}/${group}`) {
      loadedGroup = `${round}/${group}`;
      await drawOpened(signal);
    }
  }

  function open(newRound) {
    location.hash = `#/job/${job}/traces?round=${newRound}`;
  }

  roundChoice.addEventListener("change", () => open(roundChoice.value));
  const refilter = () => {
    const value = (input) => (input.value === "" ? null : Number(input.value));
    Object.assign(filter, {verdict: verdict.value, from: value(from), to: value(to), surprise: value(surprise),
                           cut: cut.checked});
    if (bins) drawGroups();
    remember();
  };
  for (const input of [verdict, from, to, surprise, cut]) input.addEventListener("change", refilter);

  let ticks = 0;
  return {
    async refresh(signal) {
      if (ticks++ % 3 !== 0) return;
      await load(signal);
      if (ticks % 30 === 1) await drawProblems(signal);
    },
    key(key) {
      const at = rounds.indexOf(round);
      if (key === "[" && at > 0) open(rounds[at - 1]);
      if (key === "]" && at >= 0 && at + 1 < rounds.length) open(rounds[at + 1]);
    },
  };
}
