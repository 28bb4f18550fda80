// The live page: reads the server's events, shows them, and sends what the buttons ask for.
import { bars, draw, LEFT, RIGHT, SPAN } from "./charts.js";

const SILENCE = 3500; // milliseconds without an event after which the page says that it is not live
const AGAIN = [500, 1000, 2000, 4000, 8000]; // milliseconds between attempts to connect
const HIDDEN = 300_000; // milliseconds after which a hidden page watches no more: a browser has six connections to a server

const meta = (name) => document.querySelector(`meta[name="snakepit-${name}"]`).content;
const TOKEN = meta("page");
const BOUNDS = meta("bounds").split(" ").map(Number); // seconds; of the buckets of histograms
const by = (id) => document.getElementById(id);
const text = (element, value) => { if (element.textContent !== value) element.textContent = value; };

// -- words and numbers ------------------------------------------------------------------------------------------------

const whole = (value) => Math.round(value).toLocaleString("en");
const rate = (value) => (value === null || value === undefined ? "–" : value < 9.95 ? value.toFixed(1) : whole(value));
const counted = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
const mebibytes = (bytes) => (bytes === null ? "–" : whole(bytes / 2 ** 20));

function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 0.0095) return `${(value * 1000).toFixed(value < 0.001 ? 2 : 1).replace(/\.?0+$/, "")} ms`;
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  if (value < 9.95) return `${value.toFixed(1).replace(/\.0$/, "")} s`;
  return value < 99.5 ? `${Math.round(value)} s` : span(value);
}

function span(value) {
  for (const [size, unit, smaller, other] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (value >= size) return `${Math.floor(value / size)} ${unit} ${Math.floor((value % size) / smaller)} ${other}`;
  }
  return `${Math.floor(value)} s`;
}

const clock = (time) => new Date(time * 1000).toLocaleTimeString("en-GB");

// -- elements that stay -----------------------------------------------------------------------------------------------

// Makes an element: h("p.note", "text") or h("div", {title: "…"}, child, …)
function h(spec, ...rest) {
  const [name, ...classes] = spec.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const each of rest) {
    if (typeof each === "string" || each instanceof Node) element.append(each);
    else if (each) for (const key in each) key in element ? (element[key] = each[key]) : element.setAttribute(key, each[key]);
  }
  return element;
}

// Has a list's elements follow its items, so that what is focused or open stays so
function follow(list, items, key, make, update) {
  const before = new Map([...list.children].map((element) => [element.dataset.key, element]));
  let place = list.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let element = before.get(name);
    if (element) before.delete(name);
    else {
      element = make(item);
      element.dataset.key = name;
    }
    if (element === place) place = place.nextElementSibling;
    else list.insertBefore(element, place);
    update(element, item);
  }
  for (const element of before.values()) {
    if (!element.contains(document.activeElement) || element.dataset.gone) element.remove();
    else { // it goes once it is not in use
      element.dataset.gone = "yes";
      element.classList.add("gone");
      list.append(element);
    }
  }
}

const part = (element, name) => element.querySelector(`[data-part="${name}"]`);

// -- the server's events ----------------------------------------------------------------------------------------------

const state = { points: [], last: null, before: [], attempt: 0, stream: null, heard: 0, hidden: 0 };

async function watch() {
  const stop = (state.stream = new AbortController());
  try {
    const answer = await fetch("events", { headers: { "X-Snakepit-Page": TOKEN }, signal: stop.signal, cache: "no-store" });
    if (answer.status === 401 || answer.status === 409) return void location.reload(); // another server process, or no cookie
    if (!answer.ok) throw new Error(((await answer.text()) || `${answer.status}`).slice(0, 200));
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const one of events) take(one);
    }
    lost("The server has ended the connection");
  } catch (error) {
    if (stop.signal.aborted) return;
    lost(error instanceof TypeError ? "The server can't be reached" : String(error.message || error));
  }
}

function take(one) {
  const data = /^data: (.*)$/m.exec(one), name = /^event: (.*)$/m.exec(one);
  if (!data || !name) return;
  const value = JSON.parse(data[1]);
  state.heard = performance.now();
  state.attempt = 0;
  if (name[1] === "past") state.points = value;
  if (name[1] === "state") show(value);
  if (name[1] === "listed") show_listed(value);
}

function lost(why) {
  document.body.classList.add("lost");
  text(by("live"), `${why}; trying again`);
  setTimeout(watch, AGAIN[Math.min(state.attempt++, AGAIN.length - 1)]);
}

setInterval(() => {
  if (state.last && performance.now() - state.heard > SILENCE && !document.body.classList.contains("lost")) {
    document.body.classList.add("lost");
    text(by("live"), "nothing heard of the server");
  }
}, 1000);

document.addEventListener("visibilitychange", () => {
  clearTimeout(state.hidden);
  if (document.visibilityState === "hidden") {
    state.hidden = setTimeout(() => { state.stream.abort(); state.stream = null; }, HIDDEN);
  } else if (!state.stream) {
    watch();
  } else if (state.last) redraw();
});

// -- what is shown ----------------------------------------------------------------------------------------------------

const WORDS = { well: "All is well", look: "Worth a look", bad: "Not well" };

function show(now) {
  const again = state.last === null;
  state.last = now;
  document.body.classList.remove("connecting", "lost");
  text(by("live"), "live");
  if (now.point && (!state.points.length || now.point.time > state.points[state.points.length - 1].time)) {
    state.points.push(now.point);
    while (state.points.length && state.points[0].time < now.time - SPAN - 5) state.points.shift();
  }
  state.before.push({ time: now.time, histogram: now.histogram });
  while (state.before[0].time < now.time - 61) state.before.shift();
  show_server(now);
  show_verdict(now.verdict);
  show_tiles(now);
  follow(by("apps"), now.apps, (app) => app.name, make_app, (element, app) => show_app(element, app, now));
  show_requests(now);
  show_workers_wanted(now, again);
  if (document.visibilityState !== "hidden") redraw();
}

function show_server({ server }) {
  text(by("title"), server.name || server.app);
  document.title = `${server.name || server.app} · Snakepit`;
  const restarts = server.restarts ? ` · ${counted(server.restarts, "restart")}` : "";
  const address = server.address ? `${server.address} · ` : "";
  text(by("facts"), `${address}pid ${server.pid} · Snakepit ${server.version} · Python ${server.python} · up ${span(server.uptime)}${restarts}`);
}

function show_verdict({ level, reasons }) {
  by("verdict").dataset.level = level;
  text(by("verdict-word"), WORDS[level]);
  const list = by("verdict-reasons"), shown = reasons.slice(0, 5);
  if (reasons.length > shown.length) shown.push(`and ${reasons.length - shown.length} more`);
  follow(list, shown, (reason) => reason.replace(/[0-9]+/g, "#"), () => h("li"), text);
}

function show_tiles(now) {
  const point = now.point, latency = point && now.time - point.time < 5 ? point.latency : null;
  text(by("t-rate"), rate(now.rate));
  text(by("t-requests"), `${whole(now.requests)} since the start`);
  text(by("t-p95"), latency ? seconds(latency[1]) : "–");
  text(by("t-p50"), latency && latency[0] !== null ? `${seconds(latency[0])} half of them` : "\u00a0");
  text(by("t-flight"), whole(now.in_progress));
  const workers = now.apps.flatMap((app) => app.workers).filter((worker) => worker.state === "ready");
  const busy = workers.filter((worker) => worker.exchanges > worker.sessions).length;
  text(by("t-load"), `${busy} of ${counted(workers.length, "worker")} busy`);
  text(by("t-waiting"), whole(now.waiting));
  by("tile-waiting").classList.toggle("warn", now.waiting > 0);
  text(by("t-errors"), rate(point ? point.errors : null));
  text(by("t-errors-all"), `${whole(now.errors)} since the start`);
  by("tile-errors").classList.toggle("bad", Boolean(point && point.errors > 0));
  text(by("t-memory"), mebibytes(now.memory));
  const first = state.points.find((each) => each.memory !== null);
  const change = first && now.memory !== null ? Math.round((now.memory - first.memory) / 2 ** 20) : 0;
  text(by("t-memory-trend"), first ? `${change > 0 ? "+" : change < 0 ? "−" : "±"}${Math.abs(change)} in ${span(Math.max(1, now.time - first.time))}` : "of the process");
  text(by("t-connections"), whole(now.connections));
  text(by("t-accepted"), `${whole(now.connections_in_all)} since the start`);
}

// -- apps and workers -------------------------------------------------------------------------------------------------

function make_app(app) {
  const reload = h("button.small", { type: "button" }, "Reload");
  reload.addEventListener("click", () => act(reload, "reload", { app: app.name }));
  return h("section.card.app",
    h("header.head", h("h2", { "data-part": "name" }), h("p.note", { "data-part": "facts" }), h("span.grow"), h("span", { "data-part": "own" }, reload)),
    h("p.trouble", { "data-part": "trouble", hidden: true }),
    h("ol.workers", { "data-part": "workers" }));
}

function show_app(element, app, now) {
  text(part(element, "name"), now.several ? app.name : "Workers");
  part(element, "own").hidden = !now.several;
  const facts = [];
  if (now.several) facts.push(app.state === "serving" ? "" : app.state, `${rate(app.rate)} /s`, app.waiting ? `${app.waiting} waiting` : "", app.errors ? counted(app.errors, "error") : "");
  const replaced = Object.entries(app.replaced).map(([reason, count]) => `${count} for ${reason}`);
  if (replaced.length) facts.push(`replaced: ${replaced.join(", ")}`);
  text(part(element, "facts"), facts.filter(Boolean).join(" · "));
  part(element, "trouble").hidden = !app.trouble;
  text(part(element, "trouble"), app.trouble);
  follow(part(element, "workers"), app.workers, (worker) => `${worker.number}.${worker.generation}.${worker.state === "retiring"}`, make_worker, show_worker);
}

function make_worker(worker) {
  return h("li.worker",
    h("p.who", h("b", `${worker.number}`), h("span.state", { "data-part": "state" }), h("span.grow"), h("span.busy", { "data-part": "busy" })),
    h("div.meter", { "aria-hidden": "true" }, h("i", { "data-part": "meter" })),
    h("p.at", { "data-part": "at" }),
    h("p.sub", { "data-part": "facts" }));
}

function show_worker(element, worker) {
  const word = worker.state === "ready" && !worker.reacts ? "does not react" : worker.state;
  element.dataset.state = worker.state === "ready" && !worker.reacts ? "silent" : worker.state;
  text(part(element, "state"), word);
  text(part(element, "busy"), worker.busy === null ? "" : `${Math.round(worker.busy * 100)} %`);
  part(element, "meter").style.transform = `scaleX(${worker.busy || 0})`;
  const now = worker.exchanges - worker.sessions;
  const at = worker.at ? `${worker.at.method} ${worker.at.path}` : now ? counted(now, "request") : "idle";
  const others = now > 1 ? ` and ${now - 1} more` : "";
  text(part(element, "at"), worker.at ? `${at}${others} · ${seconds(worker.at.seconds)}` : at);
  const facts = [`${whole(worker.served)} served`, worker.threads ? `${now}/${worker.threads} threads` : "", worker.sessions ? counted(worker.sessions, "WebSocket") : "", span(worker.age)];
  text(part(element, "facts"), facts.filter(Boolean).join(" · "));
}

// -- requests in flight -----------------------------------------------------------------------------------------------

function show_requests(now) {
  const { requests, more } = now.in_flight;
  follow(by("requests"), requests, (request) => request.id, make_request, (element, request) => show_request(element, request, now.several));
  by("no-requests").hidden = requests.length > 0;
  by("more-requests").hidden = !more;
  text(by("more-requests"), more ? `${requests.length ? "And " : ""}${counted(more, requests.length ? "other" : "younger request")}` : "");
  text(by("flight-count"), requests.length ? whole(requests.length + more) : "");
}

function make_request(request) {
  const id = `stack-${request.id}`;
  const stack = h("button.small", { type: "button", "aria-expanded": "false", "aria-controls": id }, "Stack");
  const interrupt = h("button.small.danger", { type: "button" }, "Interrupt");
  const shown = h("div.stack", { id, hidden: true, tabIndex: -1 });
  stack.addEventListener("click", () => toggle_stack(stack, shown, request.id));
  interrupt.addEventListener("click", () => sure(interrupt, () => act(interrupt, "interrupt", { id: request.id })));
  return h("li.request",
    h("div.row",
      h("span.age", { "data-part": "age" }),
      h("span.what", h("b.method", request.method), h("span.path", { title: request.path }, request.path)),
      h("span.stage", { "data-part": "state" }),
      h("span.where", { "data-part": "where" }),
      h("span.acts", stack, interrupt)),
    shown);
}

function show_request(element, request, several) {
  const age = part(element, "age");
  text(age, seconds(request.seconds));
  age.dataset.slow = request.seconds > 5 ? "very" : request.seconds > 1 ? "yes" : "no";
  text(part(element, "state"), request.state);
  element.dataset.state = request.state;
  const where = request.worker === null ? "" : `worker ${request.worker}`;
  text(part(element, "where"), several && request.app ? `${request.app}${where ? `, ${where}` : ""}` : where);
  element.querySelector(".acts").classList.toggle("none", request.worker === null);
}

async function toggle_stack(button, shown, id) {
  const open = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!open));
  shown.hidden = open;
  if (open) return;
  shown.replaceChildren(h("p.note", "Asking the worker …"));
  const { ok, value } = await ask(`stack?id=${id}`);
  if (!ok) return void shown.replaceChildren(h("p.note", value.told));
  const again = h("button.small", { type: "button" }, "Look again");
  again.addEventListener("click", () => { button.setAttribute("aria-expanded", "false"); toggle_stack(button, shown, id); });
  shown.replaceChildren(h("pre", value.stack.replace(/^ {2}/gm, "")), again);
}

// -- errors and events ------------------------------------------------------------------------------------------------

function show_listed({ errors, error_count, events }) {
  follow(by("errors"), errors, (error) => error.key, make_error, show_error);
  by("no-errors").hidden = errors.length > 0;
  text(by("error-count"), error_count ? whole(error_count) : "");
  follow(by("events"), events, (event) => event.key, make_event, show_event);
  by("no-events").hidden = events.length > 0;
}

function make_error(error) {
  const shown = h("div.stack", { "data-part": "shown" });
  const details = h("details",
    h("summary",
      h("time", { "data-part": "time" }),
      h("span.what", h("b.method", error.method), h("span.path", error.path), h("span.times", { "data-part": "times" })),
      h("span.last", error.last_line)),
    shown);
  const element = h("li", details);
  details.addEventListener("toggle", async () => {
    if (!details.open) return;
    const { ok, value } = await ask(`error?number=${element.dataset.number}`);
    shown.replaceChildren(ok ? h("p.note", `${value.worker} · from ${value.client}`) : h("p.note", value.told));
    if (ok) shown.append(h("pre", value.text));
  });
  return element;
}

function show_error(element, error) {
  element.dataset.number = error.number;
  const time = part(element, "time");
  time.dateTime = new Date(error.time * 1000).toISOString();
  text(time, clock(error.time));
  text(part(element, "times"), error.times > 1 ? `× ${whole(error.times)}` : "");
}

function make_event(event) {
  return h("li", { "data-level": event.level }, h("time", { "data-part": "time" }), h("span", { "data-part": "text" }));
}

function show_event(element, event) {
  const time = part(element, "time");
  time.dateTime = new Date(event.time * 1000).toISOString();
  text(time, clock(event.time));
  text(part(element, "text"), event.text);
}

// -- charts -----------------------------------------------------------------------------------------------------------

const SERIES = {
  requests: [{ name: "requests", kind: "main", area: true, of: (point) => point.requests, say: rate }, { name: "errors", kind: "bad", of: (point) => (point.errors ? point.errors : point.requests ? 0 : null), say: rate }],
  latency: [{ name: "99 %", kind: "third", of: (point) => point.latency[2], say: seconds }, { name: "95 %", kind: "second", of: (point) => point.latency[1], say: seconds }, { name: "50 %", kind: "main", of: (point) => point.latency[0], say: seconds }],
  waiting: [{ name: "in flight", kind: "main", area: true, of: (point) => point.in_progress, say: whole }, { name: "waiting", kind: "warn", area: true, of: (point) => point.waiting, say: whole }],
};
const OPTIONS = { requests: { format: short, least: 10 }, latency: { format: power, log: true }, waiting: { format: short, least: 10 } };
const pointed = {}; // the time under the pointer, by chart

function short(value) {
  return value >= 1e6 ? `${value / 1e6} M` : value >= 10_000 ? `${value / 1e3} k` : String(value);
}

function power(value) {
  return value < 0.9 ? `${Number((value * 1000).toPrecision(1))} ms` : `${Math.round(value)} s`;
}

function redraw() {
  const now = state.last.time;
  for (const name in SERIES) {
    draw(by(`chart-${name}`), state.points, SERIES[name], { ...OPTIONS[name], now });
    show_legend(name, now);
  }
  const all = document.querySelector('input[name="period"]:checked').value === "all", first = state.before[0].histogram;
  for (const name of ["queue", "app", "total"]) {
    const counts = state.last.histogram[name];
    bars(by(`h-${name}`), all ? counts : counts.map((count, index) => Math.max(0, count - first[name][index])), BOUNDS, seconds);
  }
}

function show_legend(name, now) {
  const point = pointed[name] === undefined ? state.points[state.points.length - 1] : nearest(now - pointed[name]);
  const fresh = point && (pointed[name] !== undefined || now - point.time < 5);
  const legend = by(`legend-${name}`);
  follow(legend, SERIES[name], (one) => one.name, (one) => h(`span.key.${one.kind}`, h("i"), `${one.name} `, h("b")), (element, one) => text(element.querySelector("b"), fresh ? one.say(one.of(point)) : "–"));
}

function nearest(time) {
  return state.points.reduce((best, point) => (best && Math.abs(best.time - time) < Math.abs(point.time - time) ? best : point), null);
}

for (const name in SERIES) {
  const svg = by(`chart-${name}`);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), share = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
    pointed[name] = SPAN * (1 - Math.min(1, Math.max(0, share)));
    if (state.last) show_legend(name, state.last.time);
  });
  svg.addEventListener("pointerleave", () => {
    delete pointed[name];
    if (state.last) show_legend(name, state.last.time);
  });
}
for (const radio of document.querySelectorAll('input[name="period"]')) radio.addEventListener("change", () => state.last && redraw());
new ResizeObserver(() => state.last && redraw()).observe(by("chart-requests"));

// -- buttons ----------------------------------------------------------------------------------------------------------

async function ask(where, method = "GET") {
  try {
    const answer = await fetch(where, { method, headers: { "X-Snakepit-Page": TOKEN }, cache: "no-store" });
    if (answer.status === 401) location.reload();
    return { ok: answer.ok, value: await answer.json() };
  } catch {
    return { ok: false, value: { told: "The server can't be reached" } };
  }
}

async function act(button, name, values = {}) {
  button.disabled = true;
  button.classList.add("busy");
  const { ok, value } = await ask(`${name}?${new URLSearchParams(values)}`, "POST");
  button.classList.remove("busy");
  button.disabled = false;
  toast(value.told, ok);
}

function toast(told, ok) {
  const shown = h("p.toast", { "data-ok": String(ok) }, told);
  by("toasts").append(shown);
  setTimeout(() => shown.remove(), ok ? 6000 : 12000);
}

// Has a button ask once more before it acts
function sure(button, then) {
  if (button.dataset.sure) {
    clearTimeout(Number(button.dataset.sure));
    delete button.dataset.sure;
    text(button, "Interrupt");
    return void then();
  }
  text(button, "Sure?");
  button.dataset.sure = setTimeout(() => { delete button.dataset.sure; text(button, "Interrupt"); }, 6000);
}

by("reload").addEventListener("click", () => act(by("reload"), "reload"));

const wanted = by("workers");
let changed = false; // by the user, and not carried out

function show_workers_wanted(now) {
  if (!changed && document.activeElement !== wanted) wanted.value = String(now.wanted);
  by("scale").disabled = !/^[1-9][0-9]*$/.test(wanted.value) || Number(wanted.value) === now.wanted;
  if (Number(wanted.value) === now.wanted) changed = false;
}

function step(by_how_many) {
  wanted.value = String(Math.max(1, (Number(wanted.value) || 0) + by_how_many));
  changed = true;
  if (state.last) show_workers_wanted(state.last);
}

by("fewer").addEventListener("click", () => step(-1));
by("more").addEventListener("click", () => step(1));
wanted.addEventListener("input", () => { changed = true; if (state.last) show_workers_wanted(state.last); });
by("controls").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (by("scale").disabled) return;
  await act(by("scale"), "scale", { workers: wanted.value });
  changed = false;
});

watch();
