// The events of the run, as columns of numbers, and what is asked of them.

const data = JSON.parse(document.getElementById("data").textContent);

const S = data.strings;
const C = {};
for (const [name, column] of Object.entries(data.columns)) {
  C[name] = name === "t" || name === "dur" ? Float64Array.from(column) : Int32Array.from(column);
}
data.columns = null;
const N = C.t.length;
const PROCESS = 0; // the lane of the test process

// Groups of kinds, as they can be shown and hidden.
const GROUPS = [
  ["call", "Calls", ["call", "call.done"]],
  ["fault", "Faults", ["fault", "schedule"]],
  ["process", "Processes", ["start", "retry", "exit", "leak"]],
  ["barrier", "Barriers", ["barrier"]],
  ["lease", "Leases", ["lease", "decision"]],
  ["test", "Verdicts", ["test", "run", "diagnosis", "dropped"]],
  ["log", "Node logs", ["log"]],
  ["print", "Test log", ["print"]],
];
const OTHER = GROUPS.findIndex(g => g[0] === "test"); // kinds that are not known
const groupOfKind = new Map(GROUPS.flatMap((g, i) => g[2].map(kind => [kind, i])));
const group = new Uint8Array(N);
const kindOf = i => S[C.kind[i]];
const field = (name, i) => S[C[name][i]];
const more = i => data.more[i] || {};
const endOf = i => C.t[i] + C.dur[i];

// How an event ended: 0 well, 1 badly, 2 not at all, or cut short.
const ill = new Uint8Array(N);
const WORSE = /\b(error|fatal|panic|crit(ical)?|fail(ed|ure)?)\b|DATA RACE/i;
const lowOutcomes = new Map();
for (let i = 0; i < N; i++) {
  const kind = kindOf(i), outcome = field("outcome", i);
  group[i] = groupOfKind.get(kind) ?? OTHER;
  if (kind === "log" || kind === "print") {
    let w = lowOutcomes.get(C.text[i]);
    if (w === undefined) lowOutcomes.set(C.text[i], w = kind === "log" && WORSE.test(field("text", i)) ? 1 : 0);
    ill[i] = w;
  } else if (kind === "call" || outcome === "ended") {
    ill[i] = 2;
  } else if (kind === "exit") {
    ill[i] = outcome === "crashed" ? 1 : 0;
  } else if (kind === "decision") {
    ill[i] = outcome === "fail" ? 1 : 0;
  } else if (kind === "diagnosis" || kind === "leak" || C.error[i] && kind !== "retry") {
    ill[i] = 1;
  } else if (outcome && !["ok", "skipped", "start", "reuse", "skip"].includes(outcome)) {
    ill[i] = 1;
  }
}

// struck is the time under which an event is listed: what failed or judges is
// known at its end, all else is told of where it begins.
const LATE = new Set(["test", "lease", "fault", "exit", "run"]);
const struck = i => ill[i] === 1 || LATE.has(kindOf(i)) ? endOf(i) : C.t[i];

// A view is one test, or with test -1 the whole run: its events and how long it was.
function makeView(test) {
  const own = [];
  let begin = Infinity, end = 0;
  for (let i = 0; i < N; i++) {
    if (test >= 0 && C.test[i] !== test) continue;
    own.push(i);
    if (C.t[i] < begin) begin = C.t[i];
    if (endOf(i) > end) end = endOf(i);
  }
  if (!own.length) begin = 0;
  end = Math.max(end, begin + 1000);
  const there = new Uint8Array(data.lanes.length);
  there[PROCESS] = 1;
  for (const i of own) {
    there[C.lane[i]] = 1;
    if (C.peer[i] >= 0) there[C.peer[i]] = 1;
    for (const l of more(i).nodes || []) there[l] = 1;
  }
  const lanes = [];
  there.forEach((is, l) => { if (is) lanes.push(l); });
  const events = Int32Array.from(own);
  const view = { test, events, begin, end, lanes, clusters: new Set(lanes.slice(1).map(l => data.lanes[l].cluster)) };
  view.lists = failuresOf(view);
  view.rows = stack(view);
  view.spans = faultSpans(view);
  view.lives = lives(view);
  return view;
}

function failuresOf(view) {
  if (view.test >= 0) return data.tests[view.test].failures;
  return data.tests.flatMap(t => t.failures);
}

function laneName(l, view) {
  const { cluster, node } = data.lanes[l];
  if (l === PROCESS) return "test";
  if (view && view.clusters.size > 1 && cluster) {
    const short = /-(\d+)$/.exec(cluster);
    return (short ? short[1] : cluster.slice(-6)) + "·" + node;
  }
  return node;
}

// stack gives what takes time in a lane a row in it, so that nothing covers
// what it overlaps.
const MAX_ROWS = 8;
function stack(view) {
  const row = new Uint8Array(N), count = new Uint8Array(data.lanes.length), free = data.lanes.map(() => []);
  for (const i of view.events) {
    const g = GROUPS[group[i]][0], lane = C.lane[i];
    const wide = g === "call" || g === "barrier" || kindOf(i) === "lease" || kindOf(i) === "test";
    if (!wide) continue;
    const ends = free[lane];
    let r = ends.findIndex(end => end <= C.t[i]);
    if (r < 0) r = ends.length < MAX_ROWS ? ends.length : MAX_ROWS - 1;
    ends[r] = kindOf(i) === "call" ? Infinity : Math.max(ends[r] || 0, endOf(i));
    row[i] = r;
    count[lane] = Math.max(count[lane], r + 1);
  }
  return { row, count };
}

// faultSpans are the times for which links were cut, nodes paused, and the rest
// of the network impaired: {from, to, kind, lanes, i, label}.
function faultSpans(view) {
  const spans = [], cut = new Map(), paused = new Map(), slow = new Map();
  const begin = (map, key, span) => { if (!map.has(key)) { map.set(key, span); spans.push(span); } };
  const stop = (map, key, at) => { const s = map.get(key); if (s) { s.to = at; map.delete(key); } };
  for (const i of view.events) {
    const kind = kindOf(i);
    if (kind === "exit" && paused.has(C.lane[i])) stop(paused, C.lane[i], C.t[i]);
    if (kind === "lease") continue;
    if (kind !== "fault" || ill[i]) continue;
    const what = field("what", i), at = endOf(i), pairs = more(i).pairs, cluster = field("cluster", i);
    if (pairs) {
      stop(cut, cluster, at);
      if (pairs.length) {
        const lanes = [...new Set(pairs.flat())], dirs = new Set(pairs.map(p => p.join()));
        const both = pairs.every(([a, b]) => dirs.has(b + "," + a));
        begin(cut, cluster, { from: at, to: view.end, kind: "cut", lanes, pairs, both, i, label: what });
      }
    } else if (what === "pause") {
      begin(paused, C.lane[i], { from: at, to: view.end, kind: "pause", lanes: [C.lane[i]], i, label: "paused" });
    } else if (what === "resume" || what === "kill" || what === "restart") {
      stop(paused, C.lane[i], at);
    }
    if (what === "delay" || what === "bandwidth") {
      const key = what + C.lane[i] + "," + C.peer[i];
      stop(slow, key, at);
      const off = /\b(off|none|lifted|0s?)\b/.test(field("text", i)) && !/[1-9]/.test(field("text", i));
      if (!off) begin(slow, key, { from: at, to: view.end, kind: "slow", lanes: [C.lane[i], C.peer[i]].filter(l => l > 0), i, label: what });
    } else if (what === "heal") {
      for (const [key] of [...slow]) stop(slow, key, at);
      if (!pairs) stop(cut, cluster, at);
    }
  }
  return spans;
}

// lives are the times for which processes ran: {lane, from, to, pid}.
function lives(view) {
  const list = [], open = new Map();
  for (const i of view.events) {
    const kind = kindOf(i), lane = C.lane[i];
    if (lane === PROCESS) continue;
    if (kind === "start" && !ill[i]) {
      const before = open.get(lane);
      if (before) before.to = Math.min(before.to, C.t[i]);
      const life = { lane, from: C.t[i], ready: endOf(i), to: view.end };
      open.set(lane, life);
      list.push(life);
    } else if (kind === "exit") {
      let life = open.get(lane);
      if (!life) list.push(life = { lane, from: view.begin, ready: view.begin, to: view.end });
      life.to = C.t[i];
      open.delete(lane);
      open.set(lane, { to: 0 });
    }
  }
  for (const lane of view.lanes) { // reused nodes have started before all this
    if (lane !== PROCESS && !open.has(lane)) list.push({ lane, from: view.begin, ready: view.begin, to: view.end });
  }
  return list;
}

// Texts of many events are the same: each is looked at once a search.
let lowered = null;
function makeMatcher(words) {
  const terms = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (!terms.length) return null;
  lowered ||= S.map(s => s.toLowerCase());
  const lanes = data.lanes.map(l => l.node ? l.node.toLowerCase() : "test");
  const sets = terms.map(term => Uint8Array.from(lowered, s => s.includes(term) ? 1 : 0));
  const columns = ["text", "what", "error", "outcome", "kind", "reason", "code", "name"].map(c => C[c]);
  return i => terms.every((term, n) => {
    const set = sets[n];
    for (const c of columns) if (set[c[i]]) return true;
    return lanes[C.lane[i]].includes(term) || C.peer[i] >= 0 && lanes[C.peer[i]].includes(term);
  });
}

// describe says what an event is, in a line.
function describe(i) {
  const kind = kindOf(i), lane = C.lane[i], node = data.lanes[lane].node, what = field("what", i);
  const outcome = field("outcome", i), error = firstLine(field("error", i)), text = firstLine(field("text", i));
  const on = node ? " on " + node : "", why = error || text ? ": " + (error || text) : "";
  const took = C.dur[i] ? " in " + duration(C.dur[i]) : "";
  switch (kind) {
    case "call": return what + on + " had not returned";
    case "call.done":
      switch (outcome) {
        case "": case "ok": return what + on + took;
        case "panic": return what + on + " panicked" + why;
        case "lost": return what + on + ": the node was lost" + why;
        case "ended": return what + on + " was cut short" + took + why;
      }
      return what + on + " failed" + took + why;
    case "exit":
      if (outcome === "crashed") return (node || "a node") + " crashed" + why;
      return (node || "a node") + " ended" + (text ? ": " + text : outcome === "killed" ? ": killed" : "");
    case "start": return (node || "a node") + (ill[i] ? " did not start" + why : " started" + took);
    case "retry": return "start tried again after " + duration(C.dur[i]) + (field("reason", i) ? ": " + firstLine(field("reason", i)) : why);
    case "barrier": return "barrier “" + what + "”" + on + (ill[i] ? " failed" + why : C.dur[i] ? ", waited " + duration(C.dur[i]) : "");
    case "fault": {
      const peer = C.peer[i] >= 0 ? " → " + data.lanes[C.peer[i]].node : "";
      return what + (node ? " " + node : "") + peer + (ill[i] ? " failed" : "") + why;
    }
    case "leak": return (node || "a node") + " leaked" + why;
    case "diagnosis": return (field("code", i) && !text.includes(field("code", i)) ? field("code", i) + ": " : "") + text;
    case "decision": return (outcome || "decision") + (field("reason", i) ? ": " + firstLine(field("reason", i)) : "");
    case "lease": {
      const n = (more(i).nodes || []).length;
      return "lease of " + n + (n === 1 ? " node" : " nodes") + (more(i).reused ? ", used before" : "") + " for " + duration(C.dur[i]);
    }
    case "test": return field("name", i) + " " + ({ ok: "passed", "": "ended" }[outcome] || outcome) + took + why;
    case "run": return "the run ended" + (outcome ? ": " + outcome : "");
    case "schedule": return "schedule" + why;
    case "dropped": return (more(i).size || "some") + " events were left out" + (what ? ": " + what : "");
    case "log": case "print": return text;
  }
  return (kind + " " + what).trim() + why;
}

function firstLine(s) {
  const cut = s.search(/[^\n]/);
  if (cut < 0) return "";
  const end = s.indexOf("\n", cut);
  return s.slice(cut, Math.min(end < 0 ? s.length : end, cut + 600));
}

// duration is a time in three digits or so, whatever its size.
function duration(ns) {
  const f = (v, unit) => (v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2)).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "") + " " + unit;
  if (ns < 0) return "−" + duration(-ns);
  if (ns < 1e3) return Math.round(ns) + " ns";
  if (ns < 1e6) return f(ns / 1e3, "µs");
  if (ns < 1e9) return f(ns / 1e6, "ms");
  if (ns < 120e9) return f(ns / 1e9, "s");
  const s = Math.round(ns / 1e9);
  if (s < 7200) return Math.floor(s / 60) + " min " + s % 60 + " s";
  return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
}

// instant is a time since the test began, in milliseconds.
function instant(ns) {
  const ms = ns / 1e6;
  return ms < 10000 ? ms.toFixed(3) + " ms" : (ms / 1e3).toFixed(4) + " s";
}

// GLYPHS stand for groups where there is no colour.
const GLYPHS = { call: "→", fault: "⚡", process: "●", barrier: "‖", lease: "▬", test: "■", log: "·", print: "›" };
function glyph(i) {
  const kind = kindOf(i);
  if (kind === "exit") return "✕";
  if (kind === "start") return "▶";
  if (kind === "fault") return "◆";
  return GLYPHS[GROUPS[group[i]][0]];
}
