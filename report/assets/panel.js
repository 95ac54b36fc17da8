// The panel at the side: failures, the first of them open and what followed
// folded, and the details of what is picked.

const failuresBox = document.getElementById("failures"), detailsBox = document.getElementById("details");

function showFailures(view) {
  const items = [], failures = view.lists;
  const name = view.test >= 0 ? data.tests[view.test].test : "the run";
  const outcome = view.test >= 0 ? data.tests[view.test].outcome : "";
  if (!N) {
    failuresBox.replaceChildren(element("h2", "", "Nothing to show"), element("p", "hint", "There are no events in this run's file."));
    return;
  }
  if (!failures.length) {
    const text = outcome === "ok" ? "Nothing failed in this test." : outcome === "skipped" ? "The test was skipped: see its decision." :
      outcome === "failed" ? "The test failed; no event says why. Its own output does." :
      outcome === "unfinished" ? "The test's end is missing: the run was cut short." : "No failure is told of.";
    items.push(element("h2", "", "Failures"), element("p", "hint", text));
    failuresBox.replaceChildren(...items);
    return;
  }
  const firsts = failures.filter(f => f.first);
  items.push(element("h2", "", firsts.length > 1 ? "First failures" : "First failure"));
  for (const f of firsts) {
    items.push(card(f, view));
    if (f.text && view.test >= 0) items.push(element("pre", "", f.text));
  }
  if (firsts.length === 1) {
    items.push(chain(firsts[0], view));
  }
  const omitted = view.test >= 0 && data.tests[view.test].omitted || 0;
  for (const [id, title, rest, more] of [
    ["before", "Calls and barriers that failed before", failures.filter(f => !f.first && !f.consequence), 0],
    ["after", "What followed", failures.filter(f => f.consequence), omitted],
  ]) {
    if (!rest.length) continue;
    const fold = element("details", "fold");
    fold.id = id;
    fold.append(element("summary", "", title + ": " + (rest.length + more)));
    for (const f of rest) fold.append(card(f, view));
    if (more) fold.append(element("p", "hint", more + " more are in the list."));
    items.push(fold);
  }
  failuresBox.replaceChildren(...items);
}

function card(f, view) {
  const b = element("button", "card" + (f.first ? "" : " after"));
  b.type = "button";
  b.dataset.event = f.event;
  const when = element("span", "when");
  when.append(element("span", "", laneName(C.lane[f.event], view)), element("span", "", instant(f.t - view.begin)));
  b.append(when, element("span", "say", describe(f.event)));
  return b;
}

// chain is what led to a failure, by time, the failure itself at the end.
function chain(f, view) {
  const box = element("div");
  box.append(element("h2", "", f.led.length ? "What led to it" : "Nothing is told of before it"));
  const ol = element("ol", "led");
  for (const i of [...f.led, f.event]) {
    const li = element("li", i === f.event ? "self" : ""), b = element("button");
    b.type = "button";
    b.dataset.event = i;
    const lane = laneName(C.lane[i], view), say = describe(i);
    b.append(
      element("span", "g k-" + GROUPS[group[i]][0] + (ill[i] === 1 ? " bad" : ""), glyph(i)),
      element("time", "", signed((i === f.event ? f.t : struck(i)) - f.t)),
      element("span", ill[i] === 1 ? "bad" : "", kindOf(i) === "log" || kindOf(i) === "print" ? lane + ": " + say : say),
    );
    li.append(b);
    ol.append(li);
  }
  box.append(ol);
  return box;
}

function signed(ns) { return ns === 0 ? "0" : duration(ns).replace(/^(?!−)/, "+"); }

function failureOf(i, view) { return view.lists.find(f => f.event === i); }

function showDetails(i, view) {
  detailsBox.hidden = i < 0;
  for (const b of failuresBox.querySelectorAll(".card")) b.classList.toggle("picked", Number(b.dataset.event) === i);
  if (i < 0) return;
  const m = more(i), title = element("h2", "", "Details");
  const close = element("button", "", "✕");
  close.id = "close";
  close.type = "button";
  close.setAttribute("aria-label", "Close the details");
  title.append(close);
  const dl = element("dl");
  const add = (name, value) => { if (value) dl.append(element("dt", "", name), element("dd", "", String(value))); };
  add("kind", kindOf(i));
  add("at", instant(C.t[i] - view.begin) + (view.begin ? "  (run: " + instant(C.t[i]) + ")" : ""));
  add("took", C.dur[i] && duration(C.dur[i]));
  add("outcome", field("outcome", i));
  add("node", data.lanes[C.lane[i]].node || "the test process");
  add("peer", C.peer[i] >= 0 && data.lanes[C.peer[i]].node);
  add("what", field("what", i));
  add("test", field("name", i) || C.test[i] >= 0 && data.tests[C.test[i]].test);
  add("cluster", field("cluster", i));
  add("code", field("code", i));
  add("pid", m.pid);
  add("size", m.size);
  add("seed", m.seed);
  add("bytes", m.bytes);
  add("file", m.file);
  add("reason", field("reason", i));
  if (m.pairs) add("cut", m.pairs.map(([a, b]) => data.lanes[a].node + " → " + data.lanes[b].node).join("\n") || "nothing any more");
  const parts = [title, element("p", "title", describe(i)), dl];
  for (const name of ["error", "text"]) {
    const s = field(name, i);
    if (s && (s.length > 60 || s.includes("\n") || name === "error")) parts.push(element("pre", "", s));
  }
  const f = failureOf(i, view);
  if (f && !(f.first && view.test >= 0)) parts.push(chain(f, view));
  detailsBox.replaceChildren(...parts);
}
