package browser

import (
	"os"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/distkit/dist/report/internal/sample"
)

func small(f *os.File) error { return sample.Run{Nodes: 3}.Write(f) }

func TestShots(t *testing.T) {
	p := open(t, small)
	p.do(chromedp.EmulateViewport(1280, 800))
	p.do(scheme("light", ""))
	p.shot("light")
	p.do(scheme("dark", ""))
	p.shot("dark")
	p.do(chromedp.KeyEvent("n"))
	p.until(`!document.getElementById("details").hidden`)
	p.shot("dark-failure")
	p.do(scheme("light", ""))
	p.shot("failure")
	p.do(chromedp.EmulateViewport(420, 900))
	p.shot("narrow")
	p.do(chromedp.KeyEvent(kb.Escape), chromedp.EmulateViewport(1280, 800))
	p.do(scheme("dark", ""))
	p.keep("print.pdf", run(p, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize())))
}

func TestTen(t *testing.T) {
	p := open(t, func(f *os.File) error { return sample.Run{Nodes: 5, Events: 10000}.Write(f) })
	p.do(scheme("light", ""))
	p.shot("ten")
	for range 4 {
		p.do(chromedp.KeyEvent("+"))
	}
	p.shot("ten-zoomed")
}

func TestHostile(t *testing.T) {
	p := open(t, func(f *os.File) error { return sample.Hostile(f) })
	p.shot("hostile")
}
