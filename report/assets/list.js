// The list below the timeline: the events of the window. Only the rows that are
// seen exist.

const LINE = 20, ENOUGH = 800_000; // rows; browsers do not lay out more than some 16 million pixels
const scroller = document.getElementById("scroll"), room = document.getElementById("room");

const list = { rows: new Int32Array(0), all: false, words: [] };

// fillList takes the events of the window that are shown and match.
function fillList() {
  const { view, shown, matched, from, to } = timeline;
  const rows = [];
  for (const i of view.events) {
    if (C.t[i] > to) break;
    if (!shown[i]) continue;
    const g = GROUPS[group[i]][0];
    if (!list.all && (g === "call" && !ill[i] || g === "barrier" && !ill[i] || g === "lease")) continue;
    const at = struck(i);
    if (at < from || at > to) continue;
    if (matched && !matched(i)) continue;
    rows.push(i);
  }
  rows.sort((a, b) => struck(a) - struck(b) || a - b);
  list.rows = Int32Array.from(rows.length > ENOUGH ? rows.slice(0, ENOUGH) : rows);
  room.style.height = list.rows.length * LINE + "px";
  room.replaceChildren();
  list.drawn = null;
  showRows();
  return rows.length;
}

function showRows() {
  const top = Math.max(0, Math.floor(scroller.scrollTop / LINE) - 8);
  const end = Math.min(list.rows.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / LINE) + 8);
  if (!list.rows.length) {
    const none = element("div", "none", timeline.matched ? "Nothing in this window matches." : "Nothing is shown of this window.");
    room.replaceChildren(none);
    return;
  }
  const drawn = top + "," + end + "," + timeline.picked;
  if (list.drawn === drawn) return;
  list.drawn = drawn;
  const rows = [];
  for (let k = top; k < end; k++) {
    const row = listRow(list.rows[k]);
    row.style.top = k * LINE + "px";
    rows.push(row);
  }
  room.replaceChildren(...rows);
}

function listRow(i) {
  const g = GROUPS[group[i]][0];
  const row = element("div", "row" + (ill[i] === 1 ? " bad" : "") + (i === timeline.picked ? " picked" : timeline.led.has(i) ? " led" : "") + (g === "lease" || g === "print" ? " quiet" : ""));
  row.dataset.event = i;
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", i === timeline.picked);
  row.append(
    element("time", "", instant(struck(i) - timeline.view.begin)),
    element("span", "who", laneName(C.lane[i], timeline.view)),
    element("span", "g k-" + g + (ill[i] === 1 ? " bad" : ""), glyph(i)),
    highlighted("span", "say", describe(i)),
  );
  return row;
}

function element(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

// highlighted marks what was searched for.
function highlighted(tag, className, text) {
  const e = element(tag, className);
  let rest = text;
  const low = s => { const l = s.toLowerCase(); return l.length === s.length ? l : s; };
  for (let guard = 0; list.words.length && guard < 50; guard++) {
    const hay = low(rest);
    let at = -1, length = 0;
    for (const w of list.words) {
      const p = hay.indexOf(w);
      if (p >= 0 && (at < 0 || p < at)) { at = p; length = w.length; }
    }
    if (at < 0) break;
    e.append(rest.slice(0, at), element("mark", "", rest.slice(at, at + length)));
    rest = rest.slice(at + length);
  }
  e.append(rest);
  return e;
}

// reveal scrolls the list to an event, or to where it would be.
function reveal(i) {
  let low = 0, high = list.rows.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    const r = list.rows[mid];
    if ((struck(r) - struck(i) || r - i) < 0) low = mid + 1; else high = mid;
  }
  const y = low * LINE;
  if (y < scroller.scrollTop || y + LINE > scroller.scrollTop + scroller.clientHeight) {
    scroller.scrollTop = y - scroller.clientHeight / 2;
  }
  list.drawn = null;
  showRows();
}
