// Charts: a title, the values under the pointer, lines by dygraphs. And the timeline of workers.
import {el, number, replace, visible} from "/elements.js";

export const kColours = 8;

export function colour(index) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--c${index % kColours}`).trim();
}

function quietColour() {
  return getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
}

export class Chart {
  // lines: names for people. options: {isTime, hasInterval, from0, isWide}
  constructor(title, options = {}) {
    this.options = options;
    this.values = el("div", {class: "values"});
    this.plot = el("div", {class: "plot", role: "img", "aria-label": title});
    this.root = el("section", {class: options.isWide ? "chart wide" : "chart"},
                   el("h3", {}, title), this.values, this.plot);
    this.graph = null;
  }

  // lines: [{label, values}], each as long as x; with an interval values are [low, middle, high].
  draw(x, lines) {
    this.lines = lines.filter(({values}) => values.some((value) => value !== null));
    this.root.hidden = this.lines.length === 0 || x.length === 0;
    if (this.root.hidden) return;
    const rows = x.map((at, i) => [
      this.options.isTime ? new Date(at * 1000) : at,
      ...this.lines.map(({values}) => this.options.hasInterval && values[i] === null
          ? [NaN, NaN, NaN] : values[i]),
    ]);
    const labels = ["x", ...this.lines.map(({label}) => label)];
    const same = this.graph && String(this.labels) === String(labels);
    this.labels = labels;
    this.rows = rows;
    if (same) {
      this.graph.updateOptions({file: rows});
    } else {
      this.create();
    }
    if (!this.graph.isPointed) this.show(rows.length - 1);
  }

  // With the colours of now.
  create() {
    if (this.graph) this.graph.destroy();
    const graph = new Dygraph(this.plot, this.rows, {
      labels: this.labels,
      colors: this.lines.map((_, i) => colour(i)),
      legend: "never",
      customBars: Boolean(this.options.hasInterval),
      includeZero: Boolean(this.options.from0),
      gridLineColor: quietColour(),
      axisLineColor: quietColour(),
      strokeWidth: 1.6,
      drawPoints: this.rows.length < 40,
      pointSize: 2,
      rightGap: 8,
      axes: {y: {axisLabelWidth: 46}, x: {axisLabelWidth: 64}},
      highlightCallback: (event, at, points, row) => {
        graph.isPointed = true;
        this.show(row);
      },
      unhighlightCallback: () => {
        graph.isPointed = false;
        this.show(this.rows.length - 1);
      },
    });
    this.graph = graph;
  }

  show(row) {
    const values = this.rows[row];
    if (!values) return;
    const at = this.options.isTime ? values[0].toLocaleTimeString("en-GB") : number(values[0]);
    replace(this.values, el("span", {class: "quiet"}, at), ...this.lines.map(({label}, i) => {
      const value = values[i + 1];
      const shown = Array.isArray(value)
          ? `${number(value[1])} [${number(value[0])}, ${number(value[2])}]` : number(value);
      const span = el("span", {}, `${visible(label)} ${shown}`);
      span.style.color = colour(i);
      return span;
    }));
  }

  destroy() {
    if (this.graph) this.graph.destroy();
    this.graph = null;
  }
}

const kRow = 16;
const kGap = 3;
const kLeft = 78;

// Who did what when: a row for each worker and role, spans coloured by round.
export class Timeline {
  constructor() {
    this.canvas = el("canvas", {class: "timeline", role: "img", "aria-label": "What each worker did"});
    this.values = el("div", {class: "values"});
    this.root = el("section", {class: "chart wide"}, el("h3", {}, "Who did what when"), this.values,
                   this.canvas);
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
  }

  // spans: [{slot, role, what, round, start, end}] in seconds since 1970.
  draw(spans, now) {
    this.root.hidden = spans.length === 0;
    if (this.root.hidden) return;
    const rows = new Map();
    for (const span of spans) rows.set(`${span.slot} ${span.role}`, [span.slot, span.role]);
    const order = [...rows.keys()].sort((a, b) => a.localeCompare(b, "en", {numeric: true}));
    this.top = new Map(order.map((key, i) => [key, i * (kRow + kGap)]));
    const last = Math.max(...spans.map((span) => span.end ?? now));
    const first = Math.min(...spans.map((span) => span.start));
    const width = this.root.clientWidth - 20 || 600;
    const height = order.length * (kRow + kGap) + 18;
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = width * scale;
    this.canvas.height = height * scale;
    this.canvas.style.height = `${height}px`;
    const draw = this.canvas.getContext("2d");
    draw.scale(scale, scale);
    const text = getComputedStyle(document.documentElement).getPropertyValue("--quiet").trim();
    draw.font = "11px system-ui, sans-serif";
    draw.fillStyle = text;
    for (const key of order) draw.fillText(key, 0, this.top.get(key) + 12);
    const x = (time) => kLeft + (time - first) / Math.max(1e-9, last - first) * (width - kLeft);
    this.boxes = spans.map((span) => {
      const left = x(span.start);
      const right = Math.max(left + 1, x(span.end ?? now));
      return {left, right, top: this.top.get(`${span.slot} ${span.role}`), span};
    });
    for (const {left, right, top, span} of this.boxes) {
      draw.fillStyle = colour(span.round ?? 7);
      draw.fillRect(left, top, Math.max(1, right - left - .5), kRow);
    }
    draw.fillStyle = text;
    const clock = (time) => new Date(time * 1000).toLocaleTimeString("en-GB");
    draw.fillText(clock(first), kLeft, height - 3);
    const end = clock(last);
    draw.fillText(end, width - draw.measureText(end).width, height - 3);
  }

  point(event) {
    const {left, top} = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    const box = (this.boxes || []).findLast((one) =>
        x >= one.left && x <= one.right && y >= one.top && y <= one.top + kRow);
    if (!box) return;
    const {slot, role, what, round, start, end} = box.span;
    const seconds = end === null ? "so far" : `${(end - start).toFixed(2)} s`;
    replace(this.values, `slot ${slot}, ${role}: ${visible(what)}` +
            `${round === null ? "" : `, round ${round}`}, ${seconds}`);
  }
}
