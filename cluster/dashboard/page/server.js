// What the page asks of the head.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function get(path, signal) {
  const reply = await fetch(path, {signal, credentials: "same-origin"});
  let body = null;
  try {
    body = await reply.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  if (!reply.ok || body === null) {
    throw new Refused(reply.status, (body && body.error) || `the head answered ${reply.status}`);
  }
  return body;
}

// A session for the code of a link, or for a token.
export async function beginSession(what) {
  const reply = await fetch("/session", {
    method: "POST", credentials: "same-origin", body: JSON.stringify(what),
  });
  if (!reply.ok) {
    const body = await reply.json().catch(() => ({}));
    throw new Refused(reply.status, body.error || `the head answered ${reply.status}`);
  }
}

// Calls `tick` about once a second while the head is there, and `state` with whether it is.
export function follow(tick, state) {
  let source = null;
  const open = () => {
    source = new EventSource("/api/events");
    source.onopen = () => state(true);
    source.onmessage = () => { if (!document.hidden) tick(); };
    source.onerror = () => {
      state(false);
      // A browser that was refused does not try again by itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(open, 1000);
    };
  };
  open();
  return () => source.close();
}

// Curves of one axis of a job, kept up to date: only what is new is sent.
export class Curves {
  // of: "steps", "evaluations" or "samples".
  constructor(job, of, names, points = 600) {
    Object.assign(this, {job, of, names, points, generation: 0, bucket: 0, next: 0});
    this.x = [];
    this.time = [];
    this.curves = {};
  }

  // True when there is something new.
  async refresh(signal) {
    const query = new URLSearchParams({
      of: this.of, names: this.names.join(","), points: this.points,
      generation: this.generation, bucket: this.bucket, next: this.next,
    });
    const news = await get(`/api/jobs/${this.job}/curves?${query}`, signal);
    const kept = news.bucket === 0 ? 0 : news.from / news.bucket;
    const before = [this.x.length, this.x[this.x.length - 1], this.generation];
    const join = (old, fresh) => old.slice(0, kept).concat(fresh);
    this.x = join(this.x, news.x);
    this.time = join(this.time, news.time);
    const empty = (length) => new Array(length).fill(null);
    for (const name of this.names) {
      const fresh = news.curves[name];
      if (!fresh && !this.curves[name]) continue;
      this.curves[name] = join(this.curves[name] || empty(kept), fresh || empty(news.x.length));
    }
    Object.assign(this, {generation: news.generation, bucket: news.bucket, next: news.next});
    const after = [this.x.length, this.x[this.x.length - 1], this.generation];
    return before.some((value, i) => value !== after[i]);
  }
}
