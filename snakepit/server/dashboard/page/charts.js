// Charts as SVG. A chart shows the last five minutes up to now; where nobody watched, its lines have a gap.

const NS = "http://www.w3.org/2000/svg";
export const SPAN = 300; // seconds
const GAP = 3; // seconds between two points from which on they are not joined
export const LEFT = 50, RIGHT = 8, TOP = 10, BOTTOM = 20; // pixels

const make = (name, attributes, text) => {
  const element = document.createElementNS(NS, name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  if (text !== undefined) element.textContent = text;
  return element;
};

// The next number of the form 1, 2 or 5 times a power of ten
const round_up = (value) => {
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 5, 10]) if (step * power >= value * 0.999) return step * power;
  return 10 * power;
};

const linear = (values, least) => {
  const top = round_up(Math.max(least, ...values));
  return { ticks: [0, top / 2, top], at: (value) => value / top };
};

const logarithmic = (values) => {
  const low = Math.floor(Math.log10(Math.max(0.0005, Math.min(0.001, ...values))));
  const high = Math.max(low + 2, Math.ceil(Math.log10(Math.max(0.1, ...values)) - 1e-9));
  const ticks = [];
  for (let power = low; power <= high; power++) ticks.push(10 ** power);
  return { ticks, at: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low) };
};

// One line of a chart: `of` returns its value of a point, null if there is none
const path = (points, of, x, y) => {
  let d = "", open = null, last = null;
  const pieces = [];
  for (const point of points) {
    const value = of(point);
    if (value === null || value === undefined) { last = null; continue; }
    const px = x(point.time), py = y(value);
    if (last === null || point.time - last > GAP) {
      if (open) pieces.push(open);
      open = { from: px, to: px, d: "" };
      d += `M${px} ${py}`;
      open.d = `M${px} ${py}`;
    } else {
      d += `L${px} ${py}`;
      open.d += `L${px} ${py}`;
      open.to = px;
    }
    last = point.time;
  }
  if (open) pieces.push(open);
  return { d, pieces };
};

// Draws a chart into its SVG. `series`: {name, of, kind, area}; `format` writes a value
export function draw(svg, points, series, { format, log = false, least = 1, now }) {
  const width = svg.clientWidth, height = svg.clientHeight;
  if (!width) return;
  const x = (time) => Math.round(10 * (LEFT + (width - LEFT - RIGHT) * (1 - (now - time) / SPAN))) / 10;
  const shown = points.filter((point) => point.time >= now - SPAN);
  const values = shown.flatMap((point) => series.map((one) => one.of(point))).filter((value) => value !== null && value !== undefined);
  const scale = log ? logarithmic(values) : linear(values, least);
  const y = (value) => Math.round(10 * (height - BOTTOM - (height - TOP - BOTTOM) * scale.at(value))) / 10;
  const parts = [];
  for (const tick of scale.ticks) {
    parts.push(make("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }));
    parts.push(make("text", { class: "axis", x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }, format(tick)));
  }
  for (const [minutes, anchor] of [[4, "middle"], [3, "middle"], [2, "middle"], [1, "middle"], [0, "end"]]) {
    const at = x(now - 60 * minutes);
    parts.push(make("text", { class: "axis", x: at, y: height - 4, "text-anchor": anchor }, minutes ? `−${minutes} min` : "now"));
  }
  for (const one of series) {
    const { d, pieces } = path(shown, one.of, x, y);
    if (one.area) {
      const floor = height - BOTTOM;
      for (const piece of pieces) {
        parts.push(make("path", { class: `area ${one.kind}`, d: `${piece.d}L${piece.to} ${floor}L${piece.from} ${floor}Z` }));
      }
    }
    if (d) parts.push(make("path", { class: `line ${one.kind}`, d }));
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(...parts);
}

// Draws a histogram: `counts` by bucket, `bounds` their upper bounds in seconds
export function bars(svg, counts, bounds, format) {
  const width = svg.clientWidth, height = svg.clientHeight;
  if (!width) return;
  const all = counts.reduce((sum, count) => sum + count, 0), most = Math.max(1, ...counts);
  const floor = height - BOTTOM, step = width / counts.length, parts = [];
  parts.push(make("line", { class: "grid", x1: 0, x2: width, y1: floor, y2: floor }));
  counts.forEach((count, index) => {
    const tall = count ? Math.max(2, (floor - TOP - 12) * (count / most)) : 0;
    const bar = make("rect", { class: "bar", x: index * step + 1.5, y: floor - tall, width: Math.max(1, step - 3), height: tall, rx: 2 });
    const upto = index < bounds.length ? `up to ${format(bounds[index])}` : `over ${format(bounds[bounds.length - 1])}`;
    bar.append(make("title", {}, `${upto}: ${count.toLocaleString("en")}`));
    parts.push(bar);
    if (count && count === most) {
      const share = Math.round((100 * count) / all);
      const at = Math.min(width - 18, Math.max(18, index * step + step / 2));
      parts.push(make("text", { class: "axis strong", x: at, y: floor - tall - 5, "text-anchor": "middle" }, `${share} %`));
    }
  });
  if (!all) parts.push(make("text", { class: "axis", x: width / 2, y: floor / 2 + 4, "text-anchor": "middle" }, "no requests"));
  for (const bound of [0.001, 0.01, 0.1, 1, 10]) {
    const index = bounds.indexOf(bound);
    if (index < 0) continue;
    const at = (index + 1) * step;
    parts.push(make("line", { class: "tick", x1: at, x2: at, y1: floor, y2: floor + 4 }));
    parts.push(make("text", { class: "axis", x: at, y: height - 4, "text-anchor": "middle" }, format(bound)));
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(...parts);
  return all;
}
