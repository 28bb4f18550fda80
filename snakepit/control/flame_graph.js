
"use strict";
const frames = [...document.querySelectorAll("#frames > svg")].map((element) => ({
  element,
  left: parseFloat(element.getAttribute("x")),
  width: parseFloat(element.getAttribute("width")),
  row: +element.getAttribute("y"),
  tip: element.querySelector("title").textContent,
}));
const told = document.getElementById("told"), search = document.getElementById("search");
const CLOSE = 0.0005; // per cent: positions are rounded
let shown = frames[0], summary = "";

function isWithin(inner, outer) {
  return inner.left >= outer.left - CLOSE && inner.left + inner.width <= outer.left + outer.width + CLOSE;
}

function zoom(to) {
  shown = to;
  for (const frame of frames) {
    const around = frame.row < to.row && isWithin(to, frame);
    const inside = frame.row >= to.row && isWithin(frame, to);
    frame.element.style.display = around || inside ? "" : "none";
    frame.element.classList.toggle("around", around);
    frame.element.setAttribute("x", around ? "0%" : `${((frame.left - to.left) / to.width) * 100}%`);
    frame.element.setAttribute("width", around ? "100%" : `${(frame.width / to.width) * 100}%`);
  }
  find();
}

function find() {
  const wanted = search.value.toLowerCase();
  const hits = frames.filter((each) => {
    const hit = wanted !== "" && each.tip.toLowerCase().includes(wanted);
    each.element.classList.toggle("hit", hit);
    return hit && isWithin(each, shown);
  });
  // a hit within another one counts once
  const outermost = hits.filter((hit) => !hits.some((other) => other.row < hit.row && isWithin(hit, other)));
  const share = (outermost.reduce((sum, hit) => sum + hit.width, 0) / shown.width) * 100;
  summary = wanted ? `“${search.value}” is in ${share.toFixed(1)} % of what is shown`
    : shown === frames[0] ? "A width is time. Click a call to see it whole." : "Click the topmost row, or press Esc, to see all.";
  told.textContent = summary;
}

for (const frame of frames) {
  frame.element.addEventListener("click", () => frame.width && zoom(frame));
  frame.element.addEventListener("mouseenter", () => (told.textContent = frame.tip.replaceAll("\n", "   ")));
  frame.element.addEventListener("mouseleave", () => (told.textContent = summary));
}
search.addEventListener("input", find);
addEventListener("keydown", (event) => event.key === "Escape" && zoom(frames[0]));
find();
