// What people do: choose, filter, search, zoom, pick.

const $ = id => document.getElementById(id);
const hiddenKinds = new Set(), hiddenLanes = new Set();
let hits = [], query = "";

function choose(test) {
  const view = makeView(test);
  timeline.view = view;
  timeline.top = 0;
  timeline.picked = timeline.hover = -1;
  timeline.led = new Set();
  hiddenLanes.clear();
  const slack = (view.end - view.begin) * 0.015;
  timeline.from = view.begin - slack;
  timeline.to = view.end + slack;
  const t = test >= 0 ? data.tests[test] : null;
  $("outcome").className = "outcome " + (t ? t.outcome : "");
  $("outcome").textContent = t ? t.outcome + " after " + duration(t.end - t.t) : "";
  chips();
  showFailures(view);
  showDetails(-1, view);
  const first = view.lists.find(f => f.first);
  if (first && test >= 0) timeline.led = new Set(first.led.concat(first.event));
  refilter();
}

// refilter is for when something else is shown.
function refilter() {
  const shown = timeline.shown = new Uint8Array(N);
  for (const i of timeline.view.events) {
    shown[i] = hiddenKinds.has(group[i]) || hiddenLanes.has(C.lane[i]) ? 0 : 1;
  }
  timeline.profile = null;
  layOut(hiddenLanes);
  research();
}

function research() {
  timeline.matched = makeMatcher(query);
  list.words = query.toLowerCase().split(/\s+/).filter(Boolean);
  hits = timeline.matched ? [...timeline.view.events].filter(i => timeline.shown[i] && timeline.matched(i)) : [];
  tellFound();
  moved();
}

function tellFound() {
  if (!timeline.matched) { $("found").textContent = ""; return; }
  const at = hits.indexOf(timeline.picked);
  $("found").textContent = hits.length ? (at >= 0 ? at + 1 + " of " : "") + hits.length.toLocaleString("en") : "none";
}

// moved is for when the window is another.
let refill = 0;
function moved() {
  redraw();
  if (!refill) refill = requestAnimationFrame(() => { refill = 0; const n = fillList(); tellWindow(n); });
}

function tellWindow(n) {
  const { view, from, to } = timeline;
  $("window").textContent = instant(Math.max(from, view.begin) - view.begin) + " – " + instant(Math.min(to, view.end) - view.begin) +
    " · " + n.toLocaleString("en") + " of " + view.events.length.toLocaleString("en") + " events";
  chart.setAttribute("aria-label", "Timeline, " + $("window").textContent);
}

function setWindow(from, to) {
  const { view } = timeline, slack = (view.end - view.begin) * 0.05, least = 200; // ns
  let span = Math.max(to - from, least);
  const most = (view.end - view.begin) + 2 * slack;
  if (span > most) { from = view.begin - slack; span = most; }
  from = Math.max(view.begin - slack, Math.min(from, view.end + slack - span));
  timeline.from = from;
  timeline.to = from + span;
  moved();
}

function zoom(factor, x = timeline.gutter + (timeline.width - timeline.gutter) / 2) {
  const t = tOf(Math.max(x, timeline.gutter));
  setWindow(t - (t - timeline.from) * factor, t + (timeline.to - t) * factor);
}

function pan(share) {
  const d = (timeline.to - timeline.from) * share;
  setWindow(timeline.from + d, timeline.to + d);
}

function whole() {
  const { view } = timeline, slack = (view.end - view.begin) * 0.015;
  setWindow(view.begin - slack, view.end + slack);
}

function scrollLanes(dy) {
  timeline.top = Math.max(0, Math.min(timeline.top + dy, timeline.height - (timeline.high - RULER)));
  redraw();
}

// pick shows an event everywhere: its details, in the list, on the timeline.
function pick(i, { move = true } = {}) {
  timeline.picked = i;
  const { view } = timeline;
  if (i >= 0) {
    const f = failureOf(i, view);
    if (f) timeline.led = new Set(f.led.concat(i));
    const t = C.t[i], end = kindOf(i) === "call" ? t : endOf(i);
    if (move && (end < timeline.from || t > timeline.to)) {
      const span = timeline.to - timeline.from;
      setWindow((t + end) / 2 - span / 2, (t + end) / 2 + span / 2);
    }
    if (move && f) { // what led to it fits, with room on both sides
      const at = Math.min(f.t, view.end), begin = Math.min(at, ...f.led.slice(-8).map(l => C.t[l])), pad = Math.max((at - begin) * 0.15, 2000);
      setWindow(begin - pad, at + pad);
    }
    const place = timeline.at.get(C.lane[i]);
    if (place) {
      const y = place.y - timeline.top;
      if (y < 0 || y + place.h > timeline.high - RULER) timeline.top = Math.max(0, Math.min(place.y - 40, timeline.height - (timeline.high - RULER)));
    }
  }
  showDetails(i, view);
  if (i >= 0 && move && !detailsBox.hidden && !failureOf(i, view)) detailsBox.scrollIntoView({ block: "nearest" });
  tellFound();
  redraw();
  if (refill) { cancelAnimationFrame(refill); refill = 0; tellWindow(fillList()); }
  reveal(i >= 0 ? i : 0);
}

function chips() {
  const counts = new Array(GROUPS.length).fill(0);
  for (const i of timeline.view.events) counts[group[i]]++;
  const chip = (label, className, pressed, count, toggle) => {
    const b = element("button", "chip " + className);
    b.type = "button";
    b.setAttribute("aria-pressed", pressed);
    if (count !== undefined) b.append(element("i"));
    b.append(element("span", "", label || " "));
    if (count !== undefined) b.append(element("b", "", count.toLocaleString("en")));
    b.addEventListener("click", e => { toggle(e); });
    return b;
  };
  const flip = (set, key, all, alone) => {
    if (alone) { // only this, or all again
      const only = all.every(k => k === key ? !set.has(k) : set.has(k));
      for (const k of all) if (only || k === key) set.delete(k); else set.add(k);
    } else if (!set.delete(key)) set.add(key);
    chips();
    refilter();
  };
  const groups = GROUPS.map((_, g) => g).filter(g => counts[g]);
  $("kinds").replaceChildren(...groups.map(g => {
    const b = chip(GROUPS[g][1], "k-" + GROUPS[g][0], !hiddenKinds.has(g), counts[g], e => flip(hiddenKinds, g, groups, e.altKey));
    b.dataset.kind = GROUPS[g][0];
    b.title = "Show or hide; with Alt only these";
    return b;
  }));
  const { view } = timeline;
  $("lanes").replaceChildren(...view.lanes.map(l => {
    const b = chip(laneName(l, view), "", !hiddenLanes.has(l), undefined, e => flip(hiddenLanes, l, view.lanes, e.altKey));
    b.dataset.lane = laneName(l, view);
    b.title = data.lanes[l].cluster ? "of cluster " + data.lanes[l].cluster : "the test process";
    return b;
  }));
}

// Tips.
const tipBox = $("tip");
function tip(i, x, y) {
  tipBox.hidden = i < 0;
  if (i < 0) return;
  const when = element("div", "when", laneName(C.lane[i], timeline.view) + " · " + instant(C.t[i] - timeline.view.begin) + (C.dur[i] ? " · took " + duration(C.dur[i]) : ""));
  const parts = [when, element("div", "", describe(i))];
  const long = field("error", i) || field("text", i);
  if (long.includes("\n")) parts.push(element("div", "why", long.slice(0, 1500)));
  tipBox.replaceChildren(...parts);
  const box = tipBox.getBoundingClientRect();
  tipBox.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 6)) + "px";
  tipBox.style.top = (y + 18 + box.height > innerHeight ? Math.max(4, y - box.height - 12) : y + 18) + "px";
}

// The pointer on the timeline: drag moves, with Shift or right on the ruler it
// marks what to zoom to.
let drag = null;
const inside = e => { const box = chart.getBoundingClientRect(); return [e.clientX - box.left, e.clientY - box.top]; };
chart.addEventListener("pointerdown", e => {
  const [x, y] = inside(e);
  if (e.button !== 0) return;
  chart.setPointerCapture(e.pointerId);
  drag = { x, y, from: timeline.from, to: timeline.to, top: timeline.top, far: false, range: e.shiftKey || y < RULER };
});
chart.addEventListener("pointermove", e => {
  const [x, y] = inside(e);
  if (drag) {
    drag.far ||= Math.abs(x - drag.x) > 3 || Math.abs(y - drag.y) > 3;
    if (!drag.far) return;
    tip(-1);
    if (drag.range) {
      timeline.range = [drag.x, x];
      redraw();
    } else {
      chart.classList.add("panning");
      const d = (x - drag.x) * (drag.to - drag.from) / (timeline.width - timeline.gutter);
      timeline.top = Math.max(0, Math.min(drag.top - (y - drag.y), timeline.height - (timeline.high - RULER)));
      setWindow(drag.from - d, drag.to - d);
    }
    return;
  }
  timeline.cursor = x;
  timeline.hover = eventAt(x, y);
  chart.classList.toggle("over", timeline.hover >= 0);
  tip(timeline.hover, e.clientX, e.clientY);
  redraw();
});
chart.addEventListener("pointerup", e => {
  const [x, y] = inside(e), d = drag;
  drag = null;
  chart.classList.remove("panning");
  if (!d) return;
  if (d.far && timeline.range) {
    const [a, b] = timeline.range.map(tOf);
    timeline.range = null;
    setWindow(Math.min(a, b), Math.max(a, b));
  } else if (!d.far) pick(eventAt(x, y), { move: false });
});
chart.addEventListener("pointercancel", () => { drag = timeline.range = null; redraw(); });
chart.addEventListener("pointerleave", () => { timeline.cursor = timeline.hover = -1; tip(-1); redraw(); });
chart.addEventListener("dblclick", e => zoom(0.25, inside(e)[0]));
chart.addEventListener("wheel", e => {
  e.preventDefault();
  const unit = e.deltaMode === 1 ? 16 : e.deltaMode === 2 ? 400 : 1, [x] = inside(e);
  tip(-1);
  if (x < timeline.gutter || e.altKey) scrollLanes(e.deltaY * unit);
  else if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) pan((e.deltaX || e.deltaY) * unit / (timeline.width - timeline.gutter));
  else zoom(Math.exp(e.deltaY * unit * 0.002), x);
}, { passive: false });

// The overview: drag marks the window, a click moves it.
let mark0 = null;
const overviewTime = e => {
  const box = overview.getBoundingClientRect(), { view, gutter } = timeline;
  return view.begin + Math.max(0, Math.min(1, (e.clientX - box.left - gutter) / (box.width - gutter))) * (view.end - view.begin);
};
overview.addEventListener("pointerdown", e => { overview.setPointerCapture(e.pointerId); mark0 = { t: overviewTime(e), x: e.clientX }; });
overview.addEventListener("pointermove", e => {
  if (mark0 && Math.abs(e.clientX - mark0.x) > 3) { const t = overviewTime(e); setWindow(Math.min(t, mark0.t), Math.max(t, mark0.t)); mark0.far = true; }
});
overview.addEventListener("pointerup", () => {
  if (mark0 && !mark0.far) { const half = (timeline.to - timeline.from) / 2; setWindow(mark0.t - half, mark0.t + half); }
  mark0 = null;
});

// The scroll bar of the lanes, and the line above the list.
function draggable(handle, move) {
  handle.addEventListener("pointerdown", e => {
    e.preventDefault();
    handle.setPointerCapture(e.pointerId);
    let y = e.clientY;
    const go = m => { move(m.clientY - y); y = m.clientY; };
    handle.addEventListener("pointermove", go);
    handle.addEventListener("lostpointercapture", () => handle.removeEventListener("pointermove", go), { once: true });
  });
}
draggable(thumb, dy => scrollLanes(dy / bar.clientHeight * timeline.height));
draggable($("split"), dy => {
  timeline.sized = true; // by hand, that is
  stage.style.maxHeight = "none";
  stage.style.flexBasis = Math.max(90, stage.clientHeight + dy) + "px";
  resized();
});

// The list and the panel.
scroller.addEventListener("scroll", showRows);
room.addEventListener("click", e => { const row = e.target.closest(".row"); if (row) pick(Number(row.dataset.event)); });
room.addEventListener("pointermove", e => {
  const row = e.target.closest(".row"), i = row ? Number(row.dataset.event) : -1;
  if (i !== timeline.hover) { timeline.hover = i; redraw(); }
});
room.addEventListener("pointerleave", () => { timeline.hover = -1; redraw(); });
$("side").addEventListener("click", e => {
  if (e.target.closest("#close")) { pick(-1); return; }
  const b = e.target.closest("button[data-event]");
  if (b) pick(Number(b.dataset.event));
});
for (const [id, all] of [["tab-log", false], ["tab-all", true]]) {
  $(id).addEventListener("click", () => {
    list.all = all;
    $("tab-log").setAttribute("aria-selected", !all);
    $("tab-all").setAttribute("aria-selected", all);
    moved();
  });
}
$("fit").addEventListener("click", whole);
$("test").addEventListener("change", e => { e.target.blur(); choose(Number(e.target.value)); });
let typing = 0;
$("search").addEventListener("input", e => {
  clearTimeout(typing);
  typing = setTimeout(() => { query = e.target.value; research(); }, N > 50_000 ? 150 : 20);
});
$("search").addEventListener("keydown", e => {
  if (e.key === "Enter") {
    clearTimeout(typing);
    if (query !== e.target.value) { query = e.target.value; research(); }
    if (!hits.length) return;
    const at = hits.indexOf(timeline.picked);
    pick(hits[at < 0 ? 0 : (at + (e.shiftKey ? hits.length - 1 : 1)) % hits.length]);
  } else if (e.key === "Escape") {
    e.target.value = query = "";
    research();
    e.target.blur();
  }
});

// Keys.
const KEYS = [
  ["+ −  or W S", "zoom in and out, as the wheel does", { "+": 1, "=": 1, w: 1, "-": -1, s: -1 }],
  ["← →  or A D", "earlier and later; Shift + wheel, or drag", null],
  ["↑ ↓", "previous and next event of the list", null],
  ["N  P", "next and previous failure", null],
  ["F", "zoom to what is picked", null],
  ["0", "the whole test", null],
  ["/", "search; Enter for the next, Shift + Enter for the previous", null],
  ["T", "next test", null],
  ["Esc", "pick nothing", null],
];
const MARKS = [
  ["▶ ✕", "a process starts; ends by a signal (in a disc: it crashed)"],
  ["◆ ◇", "a fault; what undoes one"],
  ["▨", "cut off from other nodes, or paused"],
  ["▲", "a diagnosis"],
  ["━━", "a call, below the arrow from its caller; striped: it had not returned"],
  ["──|", "waiting at a barrier, up to its release"],
  ["ı", "a line of the log"],
  ["○", "a decision about the test's cluster"],
];
const glossary = rows => { const dl = element("dl"); for (const [k, v] of rows) dl.append(element("dt", "", k), element("dd", "", v)); return dl; };
const form = element("form");
form.method = "dialog";
form.append(element("button", "", "Close"));
$("keys").append(element("h2", "", "Keys"), glossary(KEYS), element("h2", "", "Marks"), glossary(MARKS), form);
$("help").addEventListener("click", () => $("keys").showModal());

addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName) || $("keys").open) return;
  const key = e.key.length === 1 ? e.key.toLowerCase() : e.key;
  const step = d => {
    const at = list.rows.indexOf(timeline.picked), to = at < 0 ? (d > 0 ? 0 : list.rows.length - 1) : at + d;
    if (to >= 0 && to < list.rows.length) pick(list.rows[to]);
  };
  const failure = d => {
    const order = [...timeline.view.lists].sort((a, b) => a.t - b.t || a.event - b.event);
    if (!order.length) return;
    const at = order.findIndex(f => f.event === timeline.picked);
    const first = order.findIndex(f => f.first);
    const f = order[at < 0 ? first : (at + d + order.length) % order.length];
    const fold = f.first ? null : $(f.consequence ? "after" : "before");
    if (fold) fold.open = true;
    pick(f.event);
  };
  switch (key) {
    case "+": case "=": case "w": zoom(0.6, timeline.cursor > timeline.gutter ? timeline.cursor : undefined); break;
    case "-": case "s": zoom(1 / 0.6, timeline.cursor > timeline.gutter ? timeline.cursor : undefined); break;
    case "ArrowLeft": case "a": pan(-0.2); break;
    case "ArrowRight": case "d": pan(0.2); break;
    case "ArrowDown": step(1); break;
    case "ArrowUp": step(-1); break;
    case "0": case "Home": whole(); break;
    case "n": failure(1); break;
    case "p": failure(-1); break;
    case "f":
      if (timeline.picked >= 0) {
        const t = C.t[timeline.picked], d = Math.max(C.dur[timeline.picked], 2000);
        setWindow(t - d * 0.5, t + d * 1.5);
      }
      break;
    case "t": {
      const s = $("test");
      s.selectedIndex = (s.selectedIndex + 1) % s.options.length;
      choose(Number(s.value));
      break;
    }
    case "/": $("search").focus(); $("search").select(); break;
    case "?": $("keys").showModal(); break;
    case "Escape": pick(-1); break;
    default: return;
  }
  e.preventDefault();
});

// Light, dark, paper, and sizes.
function resized() { resize(); redraw(); showRows(); }
new ResizeObserver(resized).observe(stage);
function repaint() { readColours(); resize(); draw(); }
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
const PAGE = 400; // lines that are printed
function toPaper() {
  const view = timeline.view, table = element("table"), head = element("tr");
  for (const h of ["at", "where", "what"]) head.append(element("th", "", h));
  table.append(head);
  const rows = [...list.rows].slice(0, PAGE);
  for (const i of rows) {
    const tr = element("tr", ill[i] === 1 ? "bad" : "");
    tr.append(element("td", "", instant(struck(i) - view.begin)), element("td", "", laneName(C.lane[i], view)), element("td", "", describe(i)));
    table.append(tr);
  }
  const parts = [table];
  if (list.rows.length > PAGE) parts.push(element("p", "", "and " + (list.rows.length - PAGE).toLocaleString("en") + " more"));
  $("printed").replaceChildren(...parts);
  for (const fold of document.querySelectorAll(".fold:not([open])")) { fold.open = true; fold.dataset.folded = ""; }
  document.documentElement.style.setProperty("--chart", Math.min(RULER + timeline.height + 2, 620) + "px");
  timeline.cursor = timeline.hover = -1;
  repaint();
}
matchMedia("print").addEventListener("change", e => { if (e.matches) toPaper(); else fromPaper(); });
addEventListener("beforeprint", toPaper);
function fromPaper() {
  for (const fold of document.querySelectorAll("[data-folded]")) { fold.open = false; delete fold.dataset.folded; }
  repaint();
}
addEventListener("afterprint", fromPaper);

// Begin.
function begin() {
  readColours();
  const select = $("test");
  data.tests.forEach((t, n) => {
    const o = element("option", "", (t.outcome === "ok" ? "" : t.outcome + ": ") + t.test);
    o.value = n;
    select.append(o);
  });
  const everything = element("option", "", data.tests.length ? "the whole run" : "no test");
  everything.value = -1;
  select.append(everything);
  let left = 0;
  for (let i = 0; i < N; i++) if (kindOf(i) === "dropped") left += more(i).size || 0;
  if (left) {
    $("dropped").hidden = false;
    $("dropped").textContent = left.toLocaleString("en") + " events were not recorded, for the file's bound.";
  }
  resize();
  choose(data.tests.length ? 0 : -1);
  repaint();
}
begin();
