package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// table is some of the results, for people. Its first column is text; the others are figures.
type table struct {
	title string
	head  []string
	rows  [][]string
}

const none = "–"

// tables are all results.
func (r *results) tables() []table {
	var list []table
	if len(r.scenarios) > 0 {
		list = append(list, r.cpuTable())
		for _, p := range r.scenarios {
			list = append(list, p.table())
		}
	}
	if len(r.features.order) > 0 {
		list = append(list, r.features.featureTable())
	}
	for _, one := range r.latency {
		list = append(list, one.table())
	}
	if len(r.silent) > 0 || len(r.memory) > 0 {
		list = append(list, r.memoryTable())
	}
	return list
}

// titleOf is how people write the name of a proxy. Other subjects have a name that they can read.
func titleOf(name string) string {
	for _, p := range peers {
		if p.name == name {
			return p.title
		}
	}
	if name == ours {
		return "Tollgate"
	}
	return name
}

func micros(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Microsecond)) }

// cpuTable has a row for each scenario and a column for each proxy.
func (r *results) cpuTable() table {
	var names []string
	for _, name := range proxyNames() {
		if r.versions[name] != "" {
			names = append(names, name)
		}
	}
	t := table{title: "CPU µs (× NGINX)", head: []string{""}}
	for _, name := range names {
		t.head = append(t.head, titleOf(name))
	}
	for _, p := range r.scenarios {
		row := []string{p.title + ", " + p.unit}
		for _, name := range names {
			switch {
			case len(p.turns[name]) == 0:
				row = append(row, none)
			case len(p.turns[reference]) == 0:
				row = append(row, micros(p.cpu(name)))
			default:
				row = append(row, fmt.Sprintf("%s (%.2f)", micros(p.cpu(name)), p.ratio(name, reference)))
			}
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// table has a row for each proxy.
func (p played) table() table {
	t := table{title: p.title, head: []string{"", "CPU µs per " + p.unit, "× NGINX", p.unit + "s/s", "p50 µs", "p99 µs"}}
	for _, name := range p.order {
		ratio := none
		if len(p.turns[reference]) > 0 {
			ratio = fmt.Sprintf("%.2f", p.ratio(name, reference))
		}
		list := p.turns[name]
		t.rows = append(t.rows, []string{
			titleOf(name), micros(p.cpu(name)), ratio, fmt.Sprintf("%.0f", p.perSecond(name)),
			fmt.Sprintf("%.0f", of(list, func(s slice) time.Duration { return s.p50 }).Seconds()*1e6),
			fmt.Sprintf("%.0f", of(list, func(s slice) time.Duration { return s.p99 }).Seconds()*1e6),
		})
	}
	return t
}

// featureTable says what is saved without each.
func (p played) featureTable() table {
	t := table{title: p.title, head: []string{"", "CPU µs per request", "× everything on", "× NGINX"}}
	for _, name := range p.order {
		ratio := none
		if len(p.turns[reference]) > 0 {
			ratio = fmt.Sprintf("%.2f", p.ratio(name, reference))
		}
		t.rows = append(t.rows, []string{titleOf(name), micros(p.cpu(name)), fmt.Sprintf("%.2f", p.ratio(name, everythingOn)), ratio})
	}
	return t
}

func (r rate) table() table {
	t := table{
		title: fmt.Sprintf("Latency at %d requests/s, open loop, %s", r.perSecond, r.title),
		head:  []string{"", "p50 µs", "p99 µs", "p99.9 µs", "p99 added µs"},
	}
	show := func(d time.Duration) string { return fmt.Sprintf("%.0f", d.Seconds()*1e6) }
	for _, name := range append([]string{direct}, proxyNames()...) {
		if r.late[name] == nil {
			continue
		}
		row := []string{titleOf(name), show(r.at(name, 50)), show(r.at(name, 99)), show(r.at(name, 99.9)), none}
		if name != direct {
			row[4] = show(r.at(name, 99) - r.at(direct, 99))
		}
		if r.behind[name] {
			row[0] += " (cannot keep up)"
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func (r *results) memoryTable() table {
	t := table{title: "Memory", head: []string{"", fmt.Sprintf("KB for each of %d silent streams", r.streams), "MB resident in the end"}}
	for _, name := range proxyNames() {
		for _, m := range r.memory {
			if m.name != name {
				continue
			}
			row := []string{titleOf(name), none, fmt.Sprintf("%.0f", float64(m.bytes)/(1<<20))}
			if perStream, ok := r.silent[name]; ok && !m.tls {
				row[1] = fmt.Sprintf("%.1f", float64(perStream)/(1<<10))
			}
			if m.tls {
				row[0] += ", for TLS"
			}
			t.rows = append(t.rows, row)
		}
	}
	return t
}

// bookLine says what the ledger was found to have.
func (r *results) bookLine() string {
	var lines []string
	for _, b := range r.booked {
		lines = append(lines, fmt.Sprintf("%d requests for $%s", b.sent.requests, b.owed))
	}
	if len(lines) == 0 {
		return ""
	}
	return "Callers sent, and the ledger has booked: " + strings.Join(lines, "; and without budgets ") + "."
}

// print writes everything for a terminal.
func (r *results) print(out io.Writer) {
	for _, t := range r.tables() {
		fmt.Fprintf(out, "\n%s\n", t.title)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{t.head}, t.rows...) {
			fmt.Fprintln(w, strings.Join(row, "\t"))
		}
		_ = w.Flush() // as the writes to out
	}
	fmt.Fprintf(out, "\n%s\n%s\n", r.machine, r.bookLine())
	for _, line := range r.left {
		fmt.Fprintln(out, line)
	}
}
