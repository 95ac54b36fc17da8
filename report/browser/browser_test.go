package browser

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/distkit/dist/report"
)

var shots = flag.String("shots", "", "write screenshots into this `directory`")

// chromium starts a browser for a test, or skips the test where there is none.
func chromium(t *testing.T) context.Context {
	t.Helper()
	var exe string
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if name == "" {
			continue
		}
		if p, err := exec.LookPath(name); err == nil {
			exe = p
			break
		}
	}
	if exe == "" {
		t.Skip("the page is not tested: there is no browser (install chromium, or name one in CHROMIUM)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(exe), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 800), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(time.Minute),
	)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	t.Cleanup(func() { chromedp.Cancel(ctx) }) // waits, before the directory goes
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", exe, err)
	}
	return ctx
}

// A tab is a page that is open, and what went wrong in it.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	console  []string
	requests []string
}

// open shows the page of a file of events.
func open(t *testing.T, write func(*os.File) error) *tab {
	t.Helper()
	ctx := chromium(t)
	dir := t.TempDir()
	events, err := os.Create(filepath.Join(dir, report.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	if err := write(events); err != nil {
		t.Fatal(err)
	}
	if _, err := events.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	run, err := report.Read(events)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "report.html")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Write(out, run, dir); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	p := &tab{t: t, ctx: ctx}
	err = chromedp.Listen(ctx, func(ev any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			text := ev.ExceptionDetails.Text
			if ev.ExceptionDetails.Exception != nil {
				text += " " + ev.ExceptionDetails.Exception.Description
			}
			p.console = append(p.console, text)
		case *runtime.EventConsoleAPICalled:
			for _, a := range ev.Args {
				p.console = append(p.console, fmt.Sprint(ev.Type, ": ", string(a.Value), a.Description))
			}
		case *log.EventEntryAdded:
			p.console = append(p.console, ev.Entry.Text)
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(ev.Request.URL, "file://") {
				p.requests = append(p.requests, ev.Request.URL)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	p.do(command(log.Enable, cdp.Empty{}), command(network.Enable, network.EnableParams{}), chromedp.Navigate("file://"+file))
	p.until(`document.getElementById("window").textContent !== ""`)
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.console) > 0 {
			t.Errorf("on the console: %q", p.console)
		}
		if len(p.requests) > 0 {
			t.Errorf("asked for: %q", p.requests)
		}
	})
	return p
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 2*time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// run does what has a result.
func run[T any](p *tab, a chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 2*time.Minute)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// command is a command of the browser's protocol.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (v chromedp.Void, err error) {
		_, err = cdp.Call(ctx, t, c, params)
		return v, err
	}
}

// eval evaluates an expression, which may be a promise.
func eval[T any](p *tab, js string) T {
	p.t.Helper()
	return run(p, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
}

// until waits for a condition to hold.
func (p *tab) until(js string) {
	p.t.Helper()
	if _, err := chromedp.Run(p.ctx, chromedp.Poll[chromedp.Void](js, chromedp.WithPollingTimeout(time.Minute))); err != nil {
		p.t.Fatalf("waiting for %s: %v", js, err)
	}
}

// text is the text of an element that is there.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return eval[string](p, fmt.Sprintf(`document.querySelector(%q).textContent`, selector))
}

// shot keeps a picture, if pictures are wanted.
func (p *tab) shot(name string) {
	p.t.Helper()
	if *shots == "" {
		return
	}
	eval[bool](p, `new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))`)
	p.keep(name+".png", run(p, chromedp.CaptureScreenshot()))
}

func (p *tab) keep(name string, b []byte) {
	p.t.Helper()
	if *shots == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*shots, name), b, 0o666); err != nil {
		p.t.Fatal(err)
	}
}

// scheme sets what the user prefers, light or dark, and for which medium the
// page is drawn.
func scheme(s, medium string) chromedp.Action[chromedp.Void] {
	return command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: medium, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s}},
	})
}
