// Elements of the page. What comes from a job or a model becomes text nodes and nothing else.

// el("td", {class: "number", onclick: f}, child, "text", ...)
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function replace(parent, ...children) {
  parent.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
}

// Characters that would do something rather than be read: control characters, and those that turn
// the direction of what follows.
const kActing = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff]/g;

// The text with such characters spelled out, as "\u{1b}".
export function visible(text) {
  return String(text).replace(kActing, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
}

const kNone = "–";

export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return kNone;
  const size = Math.abs(value);
  if (size >= 1e5 || Number.isInteger(value)) return Math.round(value).toLocaleString("en");
  if (size !== 0 && size < 1e-3) return value.toExponential(2);
  return value.toLocaleString("en", {maximumSignificantDigits: Math.max(digits, 3)});
}

export function percent(value) {
  return value === null || value === undefined ? kNone : `${(100 * value).toFixed(1)} %`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return kNone;
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; ++unit; }
  return `${value.toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB");
}

// A table whose rows can be walked with j and k. rows: {cells, href}
export function table(columns, rows) {
  const head = columns.map(([text, kind]) => el("th", {class: kind, scope: "col"}, text));
  const body = rows.map(({cells, href}) => el("tr", {"data-href": href},
      ...cells.map((cell, i) => el("td", {class: columns[i][1]}, cell))));
  return el("div", {class: "scroll"},
            el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body)));
}

export function fact(label, value, note) {
  return el("li", {}, el("small", {}, label), el("b", {}, value), note ? el("small", {}, note) : null);
}

export function bar(share) {
  const inner = el("i");
  inner.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return el("div", {class: "bar"}, inner);
}
