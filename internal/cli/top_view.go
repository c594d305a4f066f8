package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// topTick comes every second, because rates fall while nothing happens.
type topTick time.Time

// topLost says that the control plane does not answer at the moment; empty that it does again.
type topLost string

// topScreen is the full screen: what bubbletea calls with what happens, and draws.
type topScreen struct {
	state *topState
	now   func() time.Time

	width, height int
	order         string
	byKey         bool
	filter        string
	typing        bool // the filter is being typed
	lost          string
}

func newTopScreen(now func() time.Time) *topScreen {
	return &topScreen{state: newTopState(), now: now, order: topOrders[0]}
}

func tick() tea.Cmd { return tea.Tick(time.Second, func(t time.Time) tea.Msg { return topTick(t) }) }

// Init implements tea.Model.
func (*topScreen) Init() tea.Cmd { return tick() }

// Update implements tea.Model.
func (m *topScreen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m, m.key(msg)
	case *controlv1.WatchFleetResponse:
		m.state.fleet(msg)
		m.lost = ""
	case *controlv1.TailRequestsResponse:
		m.state.seen(msg, m.now())
	case topLost:
		m.lost = string(msg)
	case topTick:
		return m, tick()
	}
	return m, nil
}

func (m *topScreen) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	if name == "ctrl+c" {
		return tea.Quit
	}
	if m.typing {
		switch name {
		case "enter":
			m.typing = false
		case "esc":
			m.typing, m.filter = false, ""
		case "backspace":
			if r := []rune(m.filter); len(r) > 0 {
				m.filter = string(r[:len(r)-1])
			}
		default:
			m.filter += k.Text
		}
		return nil
	}
	switch name {
	case "q":
		return tea.Quit
	case "/":
		m.typing = true
	case "esc":
		m.filter = ""
	case "s":
		m.order = topOrders[(slices.Index(topOrders, m.order)+1)%len(topOrders)]
	case "k":
		m.byKey = !m.byKey
	}
	return nil
}

// View implements tea.Model.
func (m *topScreen) View() tea.View {
	v := tea.NewView(m.text())
	v.AltScreen = true
	return v
}

// text is the whole screen.
func (m *topScreen) text() string {
	var b strings.Builder
	status := fmt.Sprintf("tollgate top   rev %d   sorted by %s", m.state.revision, m.order)
	if m.lost != "" {
		status += "   ✗ " + m.lost
	}
	b.WriteString(status + "\n\n")
	m.table(&b, m.state.edgeTable(""), max(m.height/3, 4))
	b.WriteString("\n")
	what, all := "ENDPOINT", m.state.endpoints
	if m.byKey {
		what, all = "KEY", m.state.keys
	}
	used := strings.Count(b.String(), "\n")
	m.table(&b, rateTable(what, m.state.rows(all, m.order, m.filter, m.now())), max(m.height-used-2, 4))
	help := "\nq quit   / filter   s sort   k keys or endpoints"
	switch {
	case m.typing:
		help = "\n/" + m.filter + "▏   enter keep   esc end"
	case m.filter != "":
		help += "   filter: " + m.filter + " (esc ends it)"
	}
	if m.state.leftOut > 0 {
		help += fmt.Sprintf("   %d requests were too many to be told", m.state.leftOut)
	}
	b.WriteString(help)
	return b.String()
}

// table writes as many rows as there is room for, and counts the rest.
func (m *topScreen) table(b *strings.Builder, t table, lines int) {
	left := 0
	if room := lines - 1; m.height > 0 && len(t.rows) > room {
		left = len(t.rows) - room + 1
		t.rows = t.rows[:room-1]
	}
	_ = writeTable(b, t, true, m.width) // a Builder does not fail
	if left > 0 {
		fmt.Fprintf(b, "… and %d more\n", left)
	}
}
