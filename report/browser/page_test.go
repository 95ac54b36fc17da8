package browser

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/distkit/dist/report/internal/sample"
)

func raft(nodes, events int) func(*os.File) error {
	return func(f *os.File) error { return sample.Run{Nodes: nodes, Events: events}.Write(f) }
}

const window = `document.getElementById("window").textContent`

// shown is the window of time that is shown, in milliseconds.
func (p *tab) shown() (from, to float64) {
	p.t.Helper()
	text := p.text("#window")
	if _, err := fmt.Sscanf(text, "%f ms – %f ms", &from, &to); err != nil {
		p.t.Fatalf("the window is %q: %v", text, err)
	}
	return from, to
}

// moves does something after which another window is shown.
func (p *tab) moves(steps ...chromedp.Action[chromedp.Void]) (from, to float64) {
	p.t.Helper()
	before := p.text("#window")
	p.do(steps...)
	p.until(fmt.Sprintf(`%s !== %q`, window, before))
	p.settled()
	return p.shown()
}

// settled waits until what was asked for is drawn.
func (p *tab) settled() {
	p.t.Helper()
	eval[bool](p, `new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))`)
}

func key(keys string) chromedp.Action[chromedp.Void] { return chromedp.KeyEvent(keys) }

func click(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.CSS(selector))
}

func wheel(x, y, dx, dy float64, modifiers ...chromedp.Modifier) chromedp.Action[chromedp.Void] {
	return chromedp.MouseEvent(input.DispatchMouseEventTypeMouseWheel, x, y, chromedp.ButtonModifiers(modifiers...),
		func(p *input.DispatchMouseEventParams) { p.DeltaX, p.DeltaY = dx+1e-9, dy+1e-9 }) // none would be left out
}

// find types into the search, which / goes to.
func (p *tab) find(words string) {
	p.t.Helper()
	p.do(key("/"))
	p.until(`document.activeElement.id === "search"`)
	// A key of the protocol is a character, too, whatever the page makes of it.
	eval[string](p, `document.activeElement.value = ""`)
	p.do(key(words))
}

// middle is the middle of the timeline, in pixels of the page.
func (p *tab) middle() (x, y float64) {
	p.t.Helper()
	box := eval[[]float64](p, `(b => [b.left, b.top, b.width, b.height])(document.getElementById("chart").getBoundingClientRect())`)
	return box[0] + 116 + (box[2]-116)/2, box[1] + box[3]/2
}

func TestFirstFailure(t *testing.T) {
	p := open(t, raft(3, 0))
	if got := p.text("#test option:checked"); got != "failed: TestLeaderSurvivesCrash" {
		t.Errorf("the test shown is %q", got)
	}
	if got := p.text("#failures .card .say"); got != "node-1 crashed: exit status 2" {
		t.Errorf("the first failure is %q", got)
	}
	if got := p.text("#failures pre"); !strings.Contains(got, "DIST-NODE-LOST") {
		t.Errorf("what dist says of it: %q", got)
	}
	if eval[bool](p, `document.getElementById("after").open`) {
		t.Error("what followed is not folded")
	}
	led := p.text("#failures ol.led")
	for _, want := range []string{"isolate node-1", "kill node-3", "node-1: panic: runtime error", "node-1 crashed"} {
		if !strings.Contains(led, want) {
			t.Errorf("what led to it lacks %q: %s", want, led)
		}
	}

	// A click shows what led to it: nearer, marked in the list, with details.
	whole, end := p.shown()
	from, to := p.moves(click("#failures .card"))
	if from <= whole || to > end || to < 197 {
		t.Errorf("a click shows %v to %v of %v to %v", from, to, whole, end)
	}
	p.until(`document.querySelector(".row.picked .say")?.textContent === "node-1 crashed: exit status 2"`)
	if n := eval[int](p, `document.querySelectorAll(".row.led").length`); n == 0 {
		t.Error("nothing in the list is marked as having led to it")
	}
	if got := p.text("#details"); !strings.Contains(got, "rfy4c3sxkq2h-2") || !strings.Contains(got, "48240") {
		t.Errorf("details: %q", got)
	}
	p.do(click("#failures ol.led li:first-child button"))
	p.until(`document.querySelector("#details .title").textContent === "node-1 started in 6.72 ms"`)
	p.do(key(kb.Escape))
	p.until(`document.getElementById("details").hidden`)

	// The keys go through all failures, by time, and unfold those that followed.
	p.do(key("n"))
	p.until(`document.querySelector("#details .title").textContent === "node-1 crashed: exit status 2"`)
	p.do(key("n"))
	p.until(`document.getElementById("after").open && document.querySelector("#details .title").textContent.startsWith("raft.get on node-1: the node was lost")`)
	if got := p.text("#details ol.led"); !strings.Contains(got, "node-1 crashed") {
		t.Errorf("what led to a consequence: %q", got)
	}
	p.do(key("pp"))
	p.until(`document.querySelector("#details .title").textContent.startsWith("raft.put on node-1 was cut short")`)
}

func TestZoomAndPan(t *testing.T) {
	p := open(t, raft(3, 0))
	x, y := p.middle()
	from0, to0 := p.shown()
	near := func(what string, got, want float64) {
		t.Helper()
		if got < want-2 || got > want+2 {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}

	from, to := p.moves(wheel(x, y, 0, -300))
	near("the wheel keeps what is under the pointer", (from+to)/2, (from0+to0)/2)
	near("the wheel zooms", to-from, (to0-from0)*0.565)
	from2, to2 := p.moves(key("+"))
	near("a key zooms", to2-from2, (to-from)*0.6)
	from3, to3 := p.moves(chromedp.DragAndDropXY(x, y, x+200, y))
	near("a drag moves, and does not zoom", to3-from3, to2-from2)
	if from3 >= from2 {
		t.Errorf("dragging to the right shows %v, which is not before %v", from3, from2)
	}
	from4, _ := p.moves(key("d"))
	if from4 <= from3 {
		t.Errorf("d shows %v, which is not after %v", from4, from3)
	}
	from5, to5 := p.moves(wheel(x, y, 200, 0))
	near("the wheel to the side moves, and does not zoom", to5-from5, to2-from2)
	if from5 <= from4 {
		t.Errorf("the wheel to the side shows %v, which is not after %v", from5, from4)
	}
	p.moves(key("0"))
	from, to = p.shown()
	near("0 shows all", to-from, to0-from0)

	// Along the ruler, and in the overview, a drag marks what to zoom to.
	ruler := eval[float64](p, `document.getElementById("chart").getBoundingClientRect().top + 10`)
	from, to = p.moves(chromedp.DragAndDropXY(x, ruler, x+100, ruler))
	near("a drag along the ruler", from, (from0+to0)/2)
	p.moves(click("#fit"))
	over := eval[float64](p, `document.getElementById("overview").getBoundingClientRect().top + 20`)
	from, _ = p.moves(chromedp.DragAndDropXY(x, over, x+100, over))
	near("a drag in the overview", from, (from0+to0)/2)
	for range 60 {
		p.do(key("+"))
	}
	p.settled()
	if from, to = p.shown(); to-from > 0.01 {
		t.Errorf("no way to get nearer than %v ms", to-from)
	}
	for range 80 {
		p.do(key("-"))
	}
	p.settled()
	if from, to = p.shown(); from != from0 || to != to0 {
		t.Errorf("from far away %v to %v are shown of %v to %v", from, to, from0, to0)
	}
}

// The list has what happened in the window, and only that.
func TestList(t *testing.T) {
	p := open(t, raft(5, 10_000))
	if n := eval[int](p, `document.querySelectorAll(".row").length`); n == 0 || n > 200 {
		t.Errorf("%d rows exist for a list of thousands", n)
	}
	for range 4 {
		p.do(key("+"))
	}
	p.settled()
	from, to := p.shown()
	times := eval[[]float64](p, `[...document.querySelectorAll(".row time")].map(t => parseFloat(t.textContent))`)
	if len(times) == 0 {
		t.Fatal("the list is empty")
	}
	for i, at := range times {
		if at < from-0.001 || at > to+0.001 || i > 0 && at < times[i-1] {
			t.Errorf("row %d is of %v ms, the window from %v to %v", i, at, from, to)
		}
	}
	calls := `[...document.querySelectorAll(".row .say")].filter(s => s.textContent.startsWith("raft.put")).length`
	if n := eval[int](p, calls); n != 0 {
		t.Errorf("%d calls that went well are in the log", n)
	}
	p.do(click("#tab-all"))
	p.until(calls + ` > 0`)
	p.do(key("0"))
	p.settled()
	eval[bool](p, `(s => { s.scrollTop = s.scrollHeight; return true })(document.getElementById("scroll"))`)
	p.until(`[...document.querySelectorAll(".row .say")].some(s => s.textContent === "TestLeaderSurvivesCrash failed in 198 ms")`)
	// Up and down go from row to row.
	p.do(click(".row:last-child"))
	p.until(`document.querySelector(".row.picked") !== null`)
	last := p.text(".row.picked")
	p.do(key(kb.ArrowUp))
	p.until(fmt.Sprintf(`document.querySelector(".row.picked").textContent !== %q`, last))
	p.do(key(kb.ArrowDown))
	p.until(fmt.Sprintf(`document.querySelector(".row.picked").textContent === %q`, last))
}

func TestFilters(t *testing.T) {
	p := open(t, raft(3, 0))
	rows := `[...document.querySelectorAll(".row")]`
	p.do(click(`[data-kind="log"]`))
	p.until(`document.querySelector('[data-kind="log"]').getAttribute("aria-pressed") === "false" && !` + rows + `.some(r => r.textContent.includes("raft: append"))`)
	p.do(click(`[data-kind="log"]`))
	p.until(rows + `.some(r => r.textContent.includes("raft: append"))`)

	before := eval[int](p, `document.getElementById("chart").clientHeight`)
	p.do(click(`[data-lane="node-2"]`))
	p.until(`!` + rows + `.some(r => r.querySelector(".who").textContent === "node-2")`)
	p.settled()
	if after := eval[int](p, `document.getElementById("chart").clientHeight`); after >= before {
		t.Errorf("with a lane less the timeline is %d high, %d with it", after, before)
	}
	// With Alt only one is shown, and then all again.
	eval[bool](p, `document.querySelector('[data-lane="node-1"]').dispatchEvent(new MouseEvent("click", {altKey: true}))`)
	p.until(rows + `.length > 0 && ` + rows + `.every(r => r.querySelector(".who").textContent === "node-1")`)
	eval[bool](p, `document.querySelector('[data-lane="node-1"]').dispatchEvent(new MouseEvent("click", {altKey: true}))`)
	p.until(rows + `.some(r => r.querySelector(".who").textContent === "node-2")`)

	// Another test.
	p.do(key("t"))
	p.until(`document.getElementById("outcome").className === "outcome ok"`)
	if got := p.text("#failures"); !strings.Contains(got, "Nothing failed in this test.") {
		t.Errorf("failures of a test that passed: %q", got)
	}
	p.do(key("t"))
	p.until(`document.querySelector("#test option:checked").textContent === "the whole run" && document.querySelector('[data-lane="2·node-3"]') !== null`)
	if got := p.text("#failures .card .say"); got != "node-1 crashed: exit status 2" {
		t.Errorf("the first failure of the run is %q", got)
	}
}

func TestSearch(t *testing.T) {
	p := open(t, raft(5, 10_000))
	p.find("ELECTED leader")
	p.until(`document.getElementById("found").textContent === "2"`)
	p.until(`document.querySelectorAll(".row").length === 2 && document.querySelectorAll(".row mark").length === 4`)
	p.do(key(kb.Enter))
	p.until(`document.getElementById("found").textContent === "1 of 2" && document.querySelector(".row.picked .say").textContent.includes("node-1 elected leader")`)
	p.do(key(kb.Enter))
	p.until(`document.getElementById("found").textContent === "2 of 2"`)
	p.do(key(kb.Enter))
	p.until(`document.getElementById("found").textContent === "1 of 2"`)
	p.shot("search")
	p.do(key(kb.Escape))
	p.find("no such thing")
	p.until(`document.getElementById("found").textContent === "none" && document.querySelector("#room .none") !== null`)
	p.do(key(kb.Escape))
	p.until(`document.getElementById("search").value === "" && document.querySelectorAll(".row").length > 2`)
	// What was typed is no command.
	if got := p.text("#test option:checked"); got != "failed: TestLeaderSurvivesCrash" {
		t.Errorf("searching has chosen %q", got)
	}
}

// The pointer finds what is drawn.
func TestHoverAndClick(t *testing.T) {
	p := open(t, raft(3, 0))
	p.find("raft.put")
	p.do(key(kb.Enter))
	p.until(`document.querySelector(".row.picked") !== null || !document.getElementById("details").hidden`)
	p.do(key(kb.Escape), key("f"))
	p.settled()
	x, y := p.middle()
	// Down through the lanes, where the call that was found is in the middle.
	top := y - eval[float64](p, `document.getElementById("chart").clientHeight / 2`)
	for dy := 30.0; ; dy += 4 {
		if dy > 400 {
			t.Fatal("the call is nowhere")
		}
		p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, top+dy))
		if eval[bool](p, `!document.getElementById("tip").hidden && document.getElementById("tip").textContent.includes("raft.put on node-1 in")`) {
			y = top + dy
			break
		}
	}
	p.shot("hover")
	p.do(key(kb.Escape), chromedp.MouseClickXY(x, y))
	p.until(`document.querySelector("#details .title")?.textContent.startsWith("raft.put on node-1 in")`)
	p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 5, 5))
	p.until(`document.getElementById("tip").hidden`)

	p.do(key("?"))
	p.until(`document.getElementById("keys").open`)
	p.shot("help")
	p.do(click("#keys button"))
	p.until(`!document.getElementById("keys").open`)
}

// Texts of events stay texts.
func TestHostile(t *testing.T) {
	p := open(t, func(f *os.File) error { return sample.Hostile(f) })
	p.do(click("#tab-all"))
	for range 60 {
		p.do(key("n"))
	}
	for range 30 {
		p.do(key(kb.ArrowDown))
	}
	p.find(`<script>`)
	p.do(key(kb.Enter))
	p.settled()
	p.shot("hostile")
	p.do(key(kb.Escape), key("t"))
	p.settled()
	x, y := p.middle()
	for dy := -150.0; dy < 150; dy += 10 {
		p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y+dy))
	}
	p.keep("hostile.pdf", run(p, chromedp.PrintToPDF()))
	if eval[bool](p, `"pwned" in window`) {
		t.Error("an event was executed")
	}
	if n := eval[int](p, `document.querySelectorAll("img, svg, b + b, script:not(#data):not([type=module])").length`); n != 0 {
		t.Errorf("%d elements came out of events", n)
	}
	if got := p.text("#notices"); !strings.Contains(got, "last line of the file is cut") || !strings.Contains(got, "4 lines of the file are no events") {
		t.Errorf("notices: %q", got)
	}
}

func TestEmpty(t *testing.T) {
	for name, file := range map[string]string{
		"nothing":        "",
		"a header":       `{"schema":"dist.events/1","package":"example.com/kv"}` + "\n",
		"half a header":  `{"schema":"dist.ev`,
		"one event":      `{"schema":"dist.events/1"}` + "\n" + `{"t":5,"kind":"log","node":"node-1","text":"alone"}` + "\n",
		"one cut call":   `{"schema":"dist.events/1"}` + "\n" + `{"t":5,"kind":"call","test":"TestA","node":"node-1","what":"f"}` + "\n" + `{"t":`,
		"all at an hour": `{"t":3600000000000,"dur":9000000000000,"kind":"test","test":"TestA","outcome":"failed"}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, func(f *os.File) error { _, err := f.WriteString(file); return err })
			p.do(key("n"), key("+"), key("-"), key("t"), key("0"), key(kb.ArrowDown), key("f"))
			p.settled()
			if p.text("#failures") == "" {
				t.Error("nothing is said")
			}
		})
	}
}

// Frames of a run of any size come fast enough to be followed by the eye.
func TestMany(t *testing.T) {
	if testing.Short() {
		t.Skip("draws many events")
	}
	for _, test := range []struct {
		events int
		most   float64 // ms a frame at the median; generous, as machines are shared
	}{{10_000, 100}, {200_000, 1000}} {
		t.Run(fmt.Sprint(test.events), func(t *testing.T) {
			p := open(t, raft(5, test.events))
			load := eval[float64](p, `performance.now()`)
			frame := eval[float64](p, `new Promise(async done => {
				const chart = document.getElementById("chart"), box = chart.getBoundingClientRect(), times = [];
				for (let k = 0; k < 30; k++) {
					const t = performance.now();
					chart.dispatchEvent(new WheelEvent("wheel", {deltaY: k < 15 ? -60 : 60, clientX: box.left + 700, clientY: box.top + 60, cancelable: true}));
					await new Promise(requestAnimationFrame);
					await new Promise(r => setTimeout(r)); // drawn by now
					times.push(performance.now() - t);
				}
				done(times.sort((a, b) => a - b)[15]);
			})`)
			search := eval[float64](p, `new Promise(done => {
				const input = document.getElementById("search"), t = performance.now();
				input.value = "commit index=77";
				input.dispatchEvent(new Event("input"));
				(function look() { document.getElementById("found").textContent ? done(performance.now() - t) : setTimeout(look); })();
			})`)
			t.Logf("%d events: there after %.0f ms, %.1f ms a frame (p50 of 30, at least one of the screen's), a search %.0f ms", test.events, load, frame, search)
			if frame > test.most {
				t.Errorf("a frame takes %.1f ms", frame)
			}
			p.shot(fmt.Sprint("many-", test.events))
			for range 5 {
				p.do(key("+"))
			}
			p.settled()
			p.shot(fmt.Sprint("many-zoomed-", test.events))
		})
	}
}

// Light and dark follow the system, paper is always light, and narrow windows
// have all there is.
func TestMedia(t *testing.T) {
	p := open(t, raft(3, 0))
	p.do(chromedp.EmulateViewport(1280, 800))
	corner := func() []int { // of the timeline, where it is empty
		p.settled()
		return eval[[]int](p, `(c => {
			const one = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
			one.drawImage(c, -4, -8);
			return [...one.getImageData(0, 0, 1, 1).data];
		})(document.getElementById("chart"))`)
	}
	p.do(scheme("light", ""))
	light := corner()
	p.shot("light")
	p.do(scheme("dark", ""))
	dark := corner()
	p.shot("dark")
	if light[0] < 200 || dark[0] > 60 {
		t.Errorf("light is drawn on %v, dark on %v", light, dark)
	}
	p.do(click("#failures .card"))
	p.settled()
	p.shot("dark-failure")
	p.do(scheme("dark", "print"))
	p.until(`document.querySelectorAll("#printed tr").length > 5`)
	if paper := corner(); paper[0] < 200 {
		t.Errorf("paper is drawn on %v", paper)
	}
	if !eval[bool](p, `document.getElementById("after").open && getComputedStyle(document.getElementById("search")).display !== "block"`) {
		t.Error("on paper something is folded")
	}
	p.do(scheme("light", ""))
	p.until(`!document.getElementById("after").open`)
	p.shot("failure")
	p.do(scheme("dark", ""))
	pdf := run(p, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize()))
	if len(pdf) < 10_000 {
		t.Errorf("a print of %d bytes", len(pdf))
	}
	p.keep("print.pdf", pdf)
	p.do(scheme("light", ""), chromedp.EmulateViewport(420, 900))
	p.settled()
	p.shot("narrow")
	if wide := eval[int](p, `document.documentElement.scrollWidth`); wide > 420 {
		t.Errorf("a window of 420 pixels has to be scrolled sideways, to %d", wide)
	}
}

// Without scripts there are the failures, in a table.
func TestWithoutScripts(t *testing.T) {
	p := open(t, raft(3, 0))
	p.do(noScripts, chromedp.Reload())
	p.keep("noscript.png", run(p, chromedp.CaptureScreenshot()))
	text := run(p, chromedp.Text(chromedp.CSS("body")))
	for _, want := range []string{"TestLeaderSurvivesCrash: failed", "node-1 crashed: exit status 2", "need JavaScript"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q: %s", want, text)
		}
	}
	if strings.Contains(text, "Whole test") {
		t.Error("what does nothing is shown")
	}
}

var noScripts = command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
