package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// Measures of the picture, in pixels.
const (
	pictureWidth = 860
	labelWidth   = 270
	barLeft      = labelWidth + 14
	barsWidth    = 500
	barHeight    = 9
	barStep      = 12
	groupGap     = 14
	topHeight    = 74
	bottomHeight = 30
	mostRatio    = 2.5 // longer bars are cut off, and say how long they are
	oneAt        = barLeft + barsWidth*2/5
	figureWidth  = 26
)

// style is light or dark as the reader's page is.
const style = `<style>
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 }
.small { font-size: 11px; fill: #59636e }
.line { stroke: #59636e; stroke-dasharray: 3 3 }
.tollgate { fill: #0969da }
.haproxy { fill: #8c959f }
.caddy { fill: #c8ced4 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.small { fill: #9198a1 }
.line { stroke: #9198a1 }
.tollgate { fill: #4493f8 }
.haproxy { fill: #7d8590 }
.caddy { fill: #454c54 }
}
</style>
`

// picture shows the CPU that each scenario takes, in parts of what NGINX takes.
func (r *results) picture() []byte {
	var groups bytes.Buffer
	y := topHeight
	names := r.pictured()
	for _, p := range r.scenarios {
		if len(p.turns[reference]) == 0 {
			continue
		}
		fmt.Fprintf(&groups, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", labelWidth, y+len(names)*barStep/2+4, html.EscapeString(p.title))
		for _, name := range names {
			drawBar(&groups, y, name, p.ratio(name, reference))
			y += barStep
		}
		y += groupGap
	}
	var out bytes.Buffer
	height := y + bottomHeight
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="CPU per request, in parts of what NGINX takes">`+"\n",
		pictureWidth, height, pictureWidth, height)
	out.WriteString(style)
	fmt.Fprintf(&out, `<text class="title" x="14" y="26">CPU per request, event or message; NGINX takes 1. Less is better.</text>`+"\n")
	x := barLeft
	for _, name := range names {
		title := titleOf(name)
		if name == ours {
			title += ", " + everythingOn
		}
		fmt.Fprintf(&out, `<rect class="%s" x="%d" y="44" width="12" height="12" rx="2"/><text x="%d" y="54">%s</text>`+"\n", name, x, x+18, title)
		x += 40 + 7*len(title)
	}
	fmt.Fprintf(&out, `<line class="line" x1="%d" x2="%d" y1="%d" y2="%d"/><text class="small" x="%d" y="%d" text-anchor="middle">NGINX</text>`+"\n",
		oneAt, oneAt, topHeight-6, y-groupGap+4, oneAt, y-groupGap+18)
	out.Write(groups.Bytes())
	fmt.Fprintf(&out, `<text class="small" x="14" y="%d">%s, %s</text>`+"\n", height-10, html.EscapeString(r.date.Format("2 January 2006")), html.EscapeString(r.machine))
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// pictured are the proxies that have bars.
func (r *results) pictured() (names []string) {
	for _, name := range proxyNames() {
		if name != reference && r.versions[name] != "" {
			names = append(names, name)
		}
	}
	return names
}

func drawBar(out *bytes.Buffer, y int, name string, ratio float64) {
	if ratio == 0 {
		return
	}
	width := int(math.Round(min(ratio, mostRatio) * barsWidth / mostRatio))
	fmt.Fprintf(out, `<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="2"/>`, name, barLeft, y, width, barHeight)
	more := ""
	if ratio > mostRatio {
		more = " →"
	}
	x := barLeft + width + 5
	if x < oneAt && x+figureWidth > oneAt {
		x = oneAt + 5 // beside the line, not on it
	}
	fmt.Fprintf(out, `<text class="small" x="%d" y="%d">%.2f%s</text>`+"\n", x, y+barHeight, ratio, more)
}
