// The timeline: lanes on a canvas, and the overview above them. All events are
// gone through for each frame; of those that would fall on the same pixel only
// the first is drawn, the bad ones in a pass of their own, so that none of them
// is ever hidden by others.

const RULER = 24, GUTTER = 116, NARROW = 70, ROW = 14, LOG = 9, PAD = 6, STATE = 16;

const chart = document.getElementById("chart"), overview = document.getElementById("overview");
const stage = document.getElementById("stage"), bar = document.getElementById("bar"), thumb = document.getElementById("thumb");

const timeline = {
  view: null, from: 0, to: 1, top: 0, height: 0,
  width: 0, high: 0, gutter: GUTTER,
  lanes: [], at: new Map(), // of the lanes shown: y and height
  shown: null, // which events are
  matched: null, led: new Set(), picked: -1, hover: -1, cursor: -1,
  hits: [], colours: {}, frame: 0, profile: null, range: null,
};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const c of ["bg", "panel", "line", "faint", "text", "dim", "weak", "call", "bad", "wait", "fault", "barrier", "lease", "alive", "log", "pick", "raised", "focus"]) {
    timeline.colours[c] = style.getPropertyValue("--" + c).trim();
  }
  timeline.hatch = {};
}

// hatched is a pattern of lines: faults must be told apart without colours too.
function hatched(g, name, colour, lean) {
  if (timeline.hatch[name]) return timeline.hatch[name];
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const t = tile.getContext("2d");
  t.strokeStyle = colour;
  t.globalAlpha = 0.5;
  t.beginPath();
  for (const d of [-8, 0, 8]) {
    if (lean > 0) { t.moveTo(d, 8); t.lineTo(d + 8, 0); } else { t.moveTo(d, 0); t.lineTo(d + 8, 8); }
  }
  t.stroke();
  return timeline.hatch[name] = g.createPattern(tile, "repeat");
}

// layOut gives the lanes their places.
function layOut(hiddenLanes) {
  const { view, at } = timeline;
  at.clear();
  timeline.lanes = view.lanes.filter(l => !hiddenLanes.has(l));
  let y = 0;
  for (const l of timeline.lanes) {
    const rows = Math.max(view.rows.count[l], 1);
    const h = PAD + STATE + rows * ROW + LOG + PAD;
    at.set(l, { y, h, rows });
    y += h;
  }
  timeline.height = y;
  if (!timeline.sized) stage.style.flexBasis = RULER + y + 8 + "px";
  timeline.top = Math.max(0, Math.min(timeline.top, y - (timeline.high - RULER)));
}

function resize() {
  const ratio = window.devicePixelRatio || 1;
  for (const canvas of [chart, overview]) {
    const box = canvas.getBoundingClientRect();
    const w = Math.max(1, Math.round(box.width * ratio)), h = Math.max(1, Math.round(box.height * ratio));
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
  }
  timeline.width = chart.clientWidth;
  timeline.high = chart.clientHeight;
  timeline.gutter = timeline.width < 600 ? NARROW : GUTTER;
  timeline.profile = null;
  if (timeline.view) timeline.top = Math.max(0, Math.min(timeline.top, timeline.height - (timeline.high - RULER)));
}

const xOf = t => timeline.gutter + (t - timeline.from) / (timeline.to - timeline.from) * (timeline.width - timeline.gutter);
const tOf = x => timeline.from + (x - timeline.gutter) / (timeline.width - timeline.gutter) * (timeline.to - timeline.from);

function redraw() {
  if (timeline.frame) return;
  timeline.frame = requestAnimationFrame(() => { timeline.frame = 0; draw(); });
}

// steps are times for the ruler, about 100 pixels apart.
function steps() {
  const span = timeline.to - timeline.from, wanted = span / Math.max(1, (timeline.width - timeline.gutter) / 110);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= wanted);
  const list = [], zero = timeline.view.begin;
  for (let t = Math.ceil((timeline.from - zero) / step) * step; t <= timeline.to - zero; t += step) list.push(t);
  return { list, step };
}

function tick(t, step) {
  if (t === 0) return "0";
  const [unit, name] = step >= 1e9 || Math.abs(t) >= 1e10 ? [1e9, "s"] : step >= 1e5 || Math.abs(t) >= 1e7 ? [1e6, "ms"] : [1e3, "µs"];
  const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(step / unit) + 1e-9)));
  return (t / unit).toFixed(digits) + " " + name;
}

function draw() {
  const g = chart.getContext("2d"), { view, width, high, colours: c, gutter, at, lanes, top } = timeline;
  g.clearRect(0, 0, width, high);
  g.font = "11px " + getComputedStyle(document.body).fontFamily;
  g.textBaseline = "middle";
  const hits = timeline.hits = [];
  const yOf = l => RULER + at.get(l).y - top;
  const onScreen = l => { const y = yOf(l); return y < high && y + at.get(l).h > RULER; };
  const right = width, from = timeline.from, to = timeline.to, scale = (width - gutter) / (to - from);
  const px = t => gutter + (t - from) * scale;

  g.save();
  g.beginPath();
  g.rect(0, RULER, width, high - RULER);
  g.clip();
  lanes.forEach((l, n) => {
    if (!onScreen(l)) return;
    const y = yOf(l);
    if (n % 2) { g.fillStyle = c.panel; g.fillRect(0, y, width, at.get(l).h); }
    g.fillStyle = c.line;
    g.fillRect(0, y + at.get(l).h - 1, width, 1);
  });
  const { list: marks, step } = steps();
  g.fillStyle = c.line;
  g.globalAlpha = 0.6;
  for (const t of marks) g.fillRect(Math.round(px(t + view.begin)), RULER, 1, high - RULER);
  g.globalAlpha = 1;

  g.beginPath();
  g.rect(gutter, RULER, width - gutter, high - RULER);
  g.clip();
  drawSpans(g, px, yOf, onScreen);
  drawLives(g, px, yOf, onScreen);
  drawEvents(g, px, yOf, onScreen, false);
  drawEvents(g, px, yOf, onScreen, true);
  drawPicked(g, px, yOf);
  g.restore();

  // Names of the lanes, and the ruler.
  g.fillStyle = c.line;
  g.fillRect(gutter - 1, 0, 1, high);
  let cluster = null;
  for (const l of lanes) {
    if (!onScreen(l)) { cluster = data.lanes[l].cluster; continue; }
    const y = yOf(l);
    g.save();
    g.beginPath();
    g.rect(0, Math.max(y, RULER), gutter - 4, at.get(l).h);
    g.clip();
    g.fillStyle = c.text;
    g.font = "600 12px " + getComputedStyle(document.body).fontFamily;
    g.fillText(laneName(l, view), 12, y + PAD + STATE / 2);
    g.font = "10.5px " + getComputedStyle(document.body).fontFamily;
    g.fillStyle = c.dim;
    const sub = l === PROCESS ? (data.run.pid ? "pid " + data.run.pid : "process") : pidOf(l, view);
    if (sub) g.fillText(sub, 12, y + PAD + STATE / 2 + 14);
    g.restore();
    cluster = data.lanes[l].cluster;
  }
  g.font = "11px " + getComputedStyle(document.body).fontFamily;
  g.fillStyle = c.panel;
  g.fillRect(0, 0, width, RULER);
  g.fillStyle = c.line;
  g.fillRect(0, RULER - 1, width, 1);
  g.fillStyle = c.dim;
  for (const t of marks) {
    const x = px(t + view.begin);
    if (x < gutter) continue;
    g.fillStyle = c.line;
    g.fillRect(Math.round(x), RULER - 6, 1, 5);
    g.fillStyle = c.dim;
    const label = tick(t, step), w = g.measureText(label).width;
    if (x + w + 4 < width) g.fillText(label, x + 3, RULER / 2 - 1);
  }
  if (timeline.cursor > gutter) {
    g.fillStyle = c.weak;
    g.fillRect(Math.round(timeline.cursor), RULER, 1, high - RULER);
    const label = instant(tOf(timeline.cursor) - view.begin), w = g.measureText(label).width + 10;
    const x = Math.min(timeline.cursor, width - w);
    g.fillStyle = c.text;
    g.fillRect(x, 3, w, RULER - 7);
    g.fillStyle = c.bg;
    g.fillText(label, x + 5, RULER / 2 - 1);
  }
  if (timeline.range) {
    const [a, b] = timeline.range;
    g.fillStyle = c.focus;
    g.globalAlpha = 0.2;
    g.fillRect(Math.min(a, b), RULER, Math.abs(b - a), high - RULER);
    g.globalAlpha = 1;
  }
  const room = high - RULER;
  bar.hidden = timeline.height <= room;
  if (!bar.hidden) {
    thumb.style.height = Math.max(20, room / timeline.height * bar.clientHeight) + "px";
    thumb.style.top = top / timeline.height * bar.clientHeight + "px";
  }
  drawOverview();
}

const pids = new Map();
function pidOf(lane, view) {
  const key = view.test + "/" + lane;
  if (!pids.has(key)) {
    const ids = new Set();
    for (const i of view.events) {
      if (C.lane[i] === lane && kindOf(i) === "start" && more(i).pid) ids.add(more(i).pid);
    }
    pids.set(key, ids.size ? "pid " + [...ids].join(", ") : "");
  }
  return pids.get(key);
}

function drawSpans(g, px, yOf, onScreen) {
  const { colours: c, at, width, gutter } = timeline;
  for (const s of timeline.view.spans) {
    if (!timeline.shown[s.i]) continue;
    const x = Math.max(px(s.from), gutter), w = Math.max(Math.min(px(s.to), width) - x, 2);
    if (px(s.to) < gutter || x > width) continue;
    for (const l of s.lanes) {
      if (!at.has(l) || !onScreen(l)) continue;
      const y = yOf(l), h = at.get(l).h - 1;
      g.fillStyle = c.fault;
      g.globalAlpha = s.kind === "slow" ? 0.06 : 0.1;
      g.fillRect(x, y, w, h);
      g.globalAlpha = 0.55;
      if (s.kind !== "slow") { g.fillStyle = hatched(g, s.kind, c.fault, s.kind === "cut" ? 1 : -1); g.fillRect(x, y, w, h); }
      g.globalAlpha = 1;
      g.fillStyle = c.fault;
      g.fillRect(x, y, w, 2);
      if (w > 60) {
        let label = s.label;
        if (s.kind === "cut") {
          const out = s.pairs.filter(p => p[0] === l).map(p => p[1]), into = s.pairs.filter(p => p[1] === l).map(p => p[0]);
          const names = ls => [...new Set(ls)].map(n => data.lanes[n].node.replace(/^node-/, "")).join(", ");
          label = s.both || !into.length || names(out) === names(into) && out.length ? "cut off from " + names(out.length ? out : into) : out.length ? "does not reach " + names(out) : "hears nothing of " + names(into);
          if (!s.both && out.length && !into.length) label = "does not reach " + names(out);
        } else if (s.kind === "slow") label = field("text", s.i) ? s.label + " " + firstLine(field("text", s.i)) : s.label;
        g.save();
        g.beginPath();
        g.rect(x, y, w, h);
        g.clip();
        g.font = "10px " + getComputedStyle(document.body).fontFamily;
        const lw = g.measureText(label).width, ly = y + h - LOG / 2 - PAD;
        g.fillStyle = c.bg;
        g.globalAlpha = 0.85;
        g.fillRect(x + 4, ly - 7, lw + 6, 13);
        g.globalAlpha = 1;
        g.fillStyle = c.fault;
        g.fillText(label, x + 7, ly);
        g.restore();
        g.font = "11px " + getComputedStyle(document.body).fontFamily;
      }
      timeline.hits.push(x, y, w, 12, s.i, x, y + h - 18, w, 18, s.i);
    }
  }
}

function drawLives(g, px, yOf, onScreen) {
  const { colours: c, width, at } = timeline;
  for (const life of timeline.view.lives) {
    if (!at.has(life.lane) || !onScreen(life.lane)) continue;
    const x = px(life.from), ready = px(life.ready), end = px(life.to);
    if (end < timeline.gutter || x > width) continue;
    const y = yOf(life.lane) + PAD + STATE / 2;
    g.fillStyle = c.alive;
    g.globalAlpha = 0.45;
    g.fillRect(x, y - 1.5, ready - x, 3);
    g.globalAlpha = 1;
    g.fillRect(ready, y - 1.5, Math.max(end - ready, 1), 3);
  }
}

// drawEvents draws what is well, or what is not.
function drawEvents(g, px, yOf, onScreen, bad) {
  const { view, shown, matched, led, colours: c, width, gutter, at, hits } = timeline;
  const last = new Map(); // by place: the right end of what was drawn there
  const row = view.rows.row, from = timeline.from, to = timeline.to;
  const tail = { arrows: [], returns: [] };
  const covered = (key, x, w) => { const before = last.get(key); if (before !== undefined && x + w <= before) return true; last.set(key, x + w); return false; };
  const dim = i => matched && !matched(i) ? 0.13 : 1;
  const crashed = new Map();
  let arrows = 0;
  for (const i of view.events) {
    if (!shown[i] || (ill[i] > 0) !== bad) continue;
    const kind = kindOf(i), lane = C.lane[i], t = C.t[i], end = kind === "call" ? view.end : t + C.dur[i];
    if (t > to) break;
    if (end < from || !at.has(lane)) continue;
    const visible = onScreen(lane), y = visible ? yOf(lane) : 0;
    const key = lane * 256;
    switch (kind) {
      case "call": case "call.done": case "barrier": case "lease": case "test": {
        const x = px(t), x2 = px(end), w = Math.max(x2 - x, 1.5), r = row[i];
        const place = key + r + (kind === "barrier" ? 16 : 0) + (matched && dim(i) === 1 ? 64 : 0);
        if (covered(place, x, w)) continue;
        const yy = y + PAD + STATE + r * ROW;
        const call = kind === "call" || kind === "call.done";
        if (call && !(x < gutter && x2 > width)) {
          const caller = C.peer[i] >= 0 ? C.peer[i] : PROCESS;
          if (caller !== lane && at.has(caller)) {
            const cy = RULER + at.get(caller).y - timeline.top, down = at.get(caller).y < at.get(lane).y;
            const a = down ? cy + at.get(caller).h - LOG - PAD : cy + PAD + STATE, b = yOf(lane) + PAD + STATE + r * ROW + (down ? 0 : ROW - 3);
            tail.arrows.push(x, a, b, i);
            if (kind === "call.done" && w > 26) tail.returns.push(x2, a, b, i);
          }
        }
        if (!visible) continue;
        const cx = Math.max(x, gutter - 2), cw = Math.min(x2, width + 2) - cx;
        const colour = ill[i] === 1 ? c.bad : ill[i] === 2 ? c.wait : call ? c.call : kind === "barrier" ? c.barrier : kind === "test" ? c.weak : c.lease;
        g.globalAlpha = dim(i);
        g.fillStyle = colour;
        if (kind === "barrier") {
          g.globalAlpha *= 0.28;
          g.fillRect(cx, yy, Math.max(cw, 1.5), ROW - 3);
          g.globalAlpha = dim(i);
          g.fillRect(cx, yy + ROW / 2 - 2, Math.max(cw, 1.5), 1);
          g.fillRect(Math.max(x2 - 1.5, cx), yy - 2, 2, ROW + 1); // the gate
        } else if (kind === "lease" || kind === "test") {
          g.globalAlpha *= kind === "test" ? 0.35 : 0.3;
          g.fillRect(cx, yy, Math.max(cw, 1.5), ROW - 3);
          g.globalAlpha = dim(i);
          g.fillRect(cx, yy, Math.max(cw, 1.5), 1.5);
        } else {
          g.fillRect(cx, yy, Math.max(cw, 1.5), ROW - 3);
          if (ill[i] === 1 && cw > 8) { g.fillStyle = c.bg; g.fillRect(cx + 2, yy + 2, 2, ROW - 7); }
          if (kind === "call" && cw > 12) { // its end is not known
            g.fillStyle = hatched(g, "open", c.bg, 1);
            g.fillRect(cx + Math.max(cw - 60, 0), yy, Math.min(cw, 60), ROW - 3);
          }
        }
        if (cw > 34) {
          const name = kind === "lease" ? "lease" : kind === "test" ? field("name", i) : field("what", i);
          let label = kind === "barrier" ? name : kind === "lease" || kind === "test" ? name + " " + duration(C.dur[i]) : name.slice(name.lastIndexOf("/") + 1);
          if (call && cw > 90 && C.dur[i]) label += "  " + duration(C.dur[i]);
          g.save();
          g.beginPath();
          g.rect(cx, yy, cw - 3, ROW);
          g.clip();
          g.fillStyle = call ? c.bg : c.text;
          g.font = "10.5px " + getComputedStyle(document.body).fontFamily;
          g.fillText(label, cx + (ill[i] === 1 && call ? 8 : 5), yy + ROW / 2 - 1);
          g.restore();
        }
        if (led.has(i)) outline(g, cx, yy, cw, ROW - 3);
        hits.push(cx, yy - 1, Math.max(cw, 3), ROW - 1, i);
        break;
      }
      case "log": case "print": {
        if (!visible) continue;
        const x = Math.round(px(t));
        if (covered(key + 32 + (matched && dim(i) === 1 ? 64 : 0), x, 1)) continue;
        const h = at.get(lane).h, yy = y + h - LOG - PAD / 2;
        g.globalAlpha = dim(i);
        g.fillStyle = ill[i] ? c.bad : kind === "print" ? c.dim : c.log;
        const long = ill[i] || led.has(i) ? LOG : LOG - 3;
        g.fillRect(x, yy + LOG - long, led.has(i) ? 2 : 1, long);
        hits.push(x - 1.5, yy, 4, LOG + 2, i);
        break;
      }
      default: {
        if (!visible) continue;
        const x = px(kind === "fault" || kind === "exit" || kind === "diagnosis" ? end : t);
        const big = ill[i] || kind === "exit" || kind === "fault";
        if (covered(key + 48 + (big ? 1 : 0) + (matched && dim(i) === 1 ? 64 : 0), Math.floor(x / 3) * 3, 1)) continue;
        g.globalAlpha = dim(i);
        if (kind === "exit" && ill[i] === 1) crashed.set(lane, x);
        if (kind === "diagnosis" && crashed.has(lane) && x - crashed.get(lane) < 15) { // not over what it is about
          hits.unshift(x - 6, y + PAD, 12, STATE, i);
          continue;
        }
        mark(g, kind, i, x, y + PAD + STATE / 2);
        if (led.has(i)) { g.beginPath(); g.arc(x, y + PAD + STATE / 2, 9, 0, 7); g.strokeStyle = c.pick; g.lineWidth = 1; g.stroke(); }
        hits.push(x - 6, y + PAD, 12, STATE, i);
      }
    }
    g.globalAlpha = 1;
  }
  // Arrows are lighter where there are many, and one a pixel.
  arrows = tail.arrows.length / 4;
  const light = arrows > 1500 ? 0.1 : arrows > 300 ? 0.22 : arrows > 80 ? 0.4 : 0.75;
  last.clear();
  const arrow = (list, back) => {
    for (let k = 0; k < list.length; k += 4) {
      const x = Math.round(list[k]) + 0.5, a = list[k + 1], b = list[k + 2], i = list[k + 3];
      if (x < gutter || x > width) continue;
      if (covered((back ? 1e6 : 0) + C.lane[i] * 512 + Math.min(a, b) / 1e5, x, 0.5)) continue;
      g.globalAlpha = (bad ? Math.max(light, 0.6) : light) * dim(i);
      g.strokeStyle = g.fillStyle = ill[i] === 1 ? c.bad : ill[i] === 2 ? c.wait : c.call;
      g.lineWidth = 1;
      g.setLineDash(back ? [2, 3] : []);
      g.beginPath();
      g.moveTo(x, a);
      g.lineTo(x, b);
      g.stroke();
      g.setLineDash([]);
      if (arrows > 1500) continue;
      g.globalAlpha = Math.min(1, g.globalAlpha * 1.6);
      const tip = back ? a : b, d = Math.sign(back ? a - b : b - a) * 5;
      g.beginPath();
      if (back && ill[i] === 1) { g.moveTo(x - 3, tip - d); g.lineTo(x + 3, tip); g.moveTo(x + 3, tip - d); g.lineTo(x - 3, tip); g.stroke(); continue; }
      g.moveTo(x, tip);
      g.lineTo(x - 3, tip - d);
      g.lineTo(x + 3, tip - d);
      g.fill();
    }
  };
  arrow(tail.returns, true);
  arrow(tail.arrows, false);
  g.globalAlpha = 1;
}

// mark draws what happens at one moment.
function mark(g, kind, i, x, y) {
  const { colours: c } = timeline, what = field("what", i), bad = ill[i] === 1;
  g.lineWidth = 2;
  g.strokeStyle = g.fillStyle = bad ? c.bad : c.text;
  g.beginPath();
  switch (kind) {
    case "exit":
      if (field("outcome", i) === "ok") { // a quiet end
        g.fillStyle = c.dim;
        g.fillRect(x - 1, y - 5, 2, 10);
        return;
      }
      if (bad) { g.arc(x, y, 7, 0, 7); g.fill(); g.strokeStyle = c.bg; g.beginPath(); }
      g.moveTo(x - 3.5, y - 3.5); g.lineTo(x + 3.5, y + 3.5); g.moveTo(x + 3.5, y - 3.5); g.lineTo(x - 3.5, y + 3.5);
      g.stroke();
      return;
    case "start":
      if (!bad) g.fillStyle = c.barrier;
      g.moveTo(x - 3, y - 5); g.lineTo(x + 5, y); g.lineTo(x - 3, y + 5);
      g.fill();
      return;
    case "fault":
      g.strokeStyle = g.fillStyle = bad ? c.bad : c.fault;
      if (what === "heal" || what === "resume" || what === "restart" || what === "restart-as") { // something is undone
        g.moveTo(x, y - 5); g.lineTo(x + 5, y); g.lineTo(x, y + 5); g.lineTo(x - 5, y); g.closePath();
        g.fillStyle = c.bg;
        g.fill();
        g.lineWidth = 1.5;
        g.stroke();
        return;
      }
      g.moveTo(x, y - 6); g.lineTo(x + 6, y); g.lineTo(x, y + 6); g.lineTo(x - 6, y);
      g.fill();
      return;
    case "decision":
      g.strokeStyle = bad ? c.bad : c.lease;
      g.lineWidth = 1.5;
      g.arc(x, y, 3.5, 0, 7);
      g.stroke();
      return;
    case "diagnosis":
      g.moveTo(x, y - 7); g.lineTo(x + 7, y + 6); g.lineTo(x - 7, y + 6);
      g.fill();
      g.fillStyle = c.bg;
      g.fillRect(x - 0.75, y - 2, 1.5, 4);
      g.fillRect(x - 0.75, y + 3, 1.5, 1.5);
      return;
  }
  g.fillStyle = bad ? c.bad : c.dim;
  g.fillRect(x - 3, y - 3, 6, 6);
}

function outline(g, x, y, w, h) {
  g.strokeStyle = timeline.colours.pick;
  g.lineWidth = 1;
  g.strokeRect(x - 1.5, y - 1.5, Math.max(w, 1.5) + 3, h + 3);
}

function drawPicked(g, px, yOf) {
  const { colours: c, at, high } = timeline;
  for (const [i, strong] of [[timeline.picked, true], [timeline.hover, false]]) {
    if (i < 0 || !at.has(C.lane[i])) continue;
    const kind = kindOf(i), x = px(C.t[i]), lane = at.get(C.lane[i]), y = yOf(C.lane[i]);
    const wide = ["call", "call.done", "barrier", "lease", "test"].includes(kind);
    g.strokeStyle = c.pick;
    g.lineWidth = strong ? 2 : 1;
    if (wide) {
      const end = kind === "call" ? timeline.view.end : endOf(i), r = timeline.view.rows.row[i];
      g.strokeRect(x - 1.5, y + PAD + STATE + r * ROW - 1.5, Math.max(px(end) - x, 1.5) + 3, ROW);
    } else if (kind === "log" || kind === "print") {
      g.fillStyle = c.pick;
      g.fillRect(Math.round(x) - 1, y + lane.h - LOG - PAD, 3, LOG + 3);
    } else {
      g.beginPath();
      g.arc(px(["fault", "exit", "diagnosis"].includes(kind) ? endOf(i) : C.t[i]), y + PAD + STATE / 2, 9, 0, 7);
      g.stroke();
    }
    if (strong) {
      g.fillStyle = c.pick;
      g.globalAlpha = 0.35;
      g.fillRect(Math.round(px(["fault", "exit", "diagnosis"].includes(kind) ? endOf(i) : C.t[i])), RULER, 1, high);
      g.globalAlpha = 1;
    }
  }
}

// eventAt is what was drawn at a place last, that is on top.
function eventAt(x, y) {
  if (x < timeline.gutter || y < RULER) return -1;
  const { hits } = timeline;
  for (let k = hits.length - 5; k >= 0; k -= 5) {
    if (x >= hits[k] - 1 && x <= hits[k] + hits[k + 2] + 1 && y >= hits[k + 1] && y <= hits[k + 1] + hits[k + 3]) return hits[k + 4];
  }
  return -1;
}

function laneAt(y) {
  for (const l of timeline.lanes) {
    const { y: top, h } = timeline.at.get(l), yy = RULER + top - timeline.top;
    if (y >= Math.max(yy, RULER) && y < yy + h) return l;
  }
  return -1;
}

// The overview: how much goes on when, what fails, and which part is shown.
function drawOverview() {
  const g = overview.getContext("2d"), { view, colours: c, gutter } = timeline, w = overview.clientWidth, h = overview.clientHeight;
  const x = t => gutter + (t - view.begin) / (view.end - view.begin) * (w - gutter);
  if (!timeline.profile) {
    const bins = new Float32Array(Math.max(1, Math.ceil(w - gutter))), bad = new Uint8Array(bins.length);
    for (const i of view.events) {
      if (!timeline.shown[i]) continue;
      const b = Math.min(bins.length - 1, Math.max(0, Math.floor((x(C.t[i]) - gutter))));
      bins[b]++;
      if (ill[i] === 1 && kindOf(i) !== "log") bad[Math.min(bins.length - 1, Math.max(0, Math.floor(x(endOf(i)) - gutter)))] = 1;
    }
    // Three pixels a bar, and a root, so that the quiet parts are seen too.
    const bars = [];
    for (let b = 0; b < bins.length; b += 3) bars.push(Math.sqrt(bins[b] + (bins[b + 1] || 0) + (bins[b + 2] || 0)));
    timeline.profile = { bars, bad, most: bars.reduce((a, b) => Math.max(a, b), 1) };
  }
  const { bars, bad, most } = timeline.profile;
  g.clearRect(0, 0, w, h);
  g.fillStyle = c.fault;
  g.globalAlpha = 0.22;
  for (const s of view.spans) if (s.kind !== "slow") g.fillRect(x(s.from), 4, Math.max(x(s.to) - x(s.from), 1), h - 8);
  g.globalAlpha = 0.75;
  g.fillStyle = c.log;
  bars.forEach((n, b) => { const high = n / most * (h - 14); g.fillRect(gutter + b * 3, h - 4 - high, 2, high); });
  g.globalAlpha = 1;
  g.fillStyle = c.bad;
  bad.forEach((is, b) => { if (is) g.fillRect(gutter + b, 3, 2, 6); });
  const a = x(timeline.from), b = x(timeline.to);
  g.fillStyle = c.bg;
  g.globalAlpha = 0.65;
  g.fillRect(gutter, 0, Math.max(a - gutter, 0), h);
  g.fillRect(b, 0, w - b, h);
  g.globalAlpha = 1;
  g.strokeStyle = c.text;
  g.lineWidth = 1;
  g.strokeRect(Math.max(a, gutter) + 0.5, 0.5, Math.max(Math.min(b, w) - Math.max(a, gutter) - 1, 2), h - 1);
  g.fillStyle = c.dim;
  g.font = "10.5px " + getComputedStyle(document.body).fontFamily;
  g.textBaseline = "middle";
  g.fillText(duration(view.end - view.begin), 12, h / 2);
}
