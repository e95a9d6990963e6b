package main

import (
	"fmt"

	"github.com/chromedp/chromedp"
)

// wantLivePlots has the charts of the page draw what has happened, and a drag on one set the time of all; a double click goes back.
func (b *browser) wantLivePlots(page string) {
	b.t.Helper()
	b.until("window.livePlots?.shown().every((p) => p.points > 2)")
	drag := `(() => {
		const over = document.querySelectorAll(".u-over")[1], box = over.getBoundingClientRect();
		const at = (kind, part, target) => target.dispatchEvent(new MouseEvent(kind, {bubbles: true, clientX: box.left + box.width * part, clientY: box.top + 40, button: 0, movementX: 9}));
		at("mouseenter", 0.25, over); at("mousedown", 0.25, over); at("mousemove", 0.5, over); at("mousemove", 0.75, over); at("mouseup", 0.75, document);
	})()`
	before := get(b, chromedp.Evaluate[[]window]("window.livePlots.shown()"))
	b.do(chromedp.Evaluate[chromedp.Void](drag))
	b.until(fmt.Sprintf("window.livePlots.shown().every((p) => p.max - p.min < %v)", 0.7*(before[0].Max-before[0].Min)))
	after := get(b, chromedp.Evaluate[[]window]("window.livePlots.shown()"))
	for _, w := range after {
		if w.Min != after[1].Min || w.Max != after[1].Max || w.Max-w.Min < 0.3*(before[0].Max-before[0].Min) {
			b.t.Errorf("%s: after a drag on one the charts show %+v, want half of the time, the same on all", page, after)
		}
	}
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll(".u-over")[2].dispatchEvent(new MouseEvent("dblclick", {bubbles: true}))`))
	b.until(fmt.Sprintf("window.livePlots.shown().every((p) => p.max - p.min >= %v)", before[0].Max-before[0].Min))
	b.do(chromedp.Click(`#spans button[data-span="300"]`))
	b.until("window.livePlots.shown().every((p) => p.max - p.min === 300)")
}

// window is the time that a chart shows, in seconds.
type window struct {
	Min, Max float64
	Points   int
}
