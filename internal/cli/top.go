package cli

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
)

// topMost is how many requests a second are looked at one by one. Edges count theirs in any case.
const topMost = 2000

func (a *app) topCommand() *cobra.Command {
	var every time.Duration
	var times int
	cmd := &cobra.Command{
		Use: "top", Short: "Watch edges, endpoints and what is spent, live on a full screen", Args: exactly(),
		Long: `Watch every edge with its breakers, and below the requests a second and what is spent a minute by endpoint or key, over the last
ten seconds. Where stdout is no terminal, the same is printed again and again.

Keys: q quits, / filters by name, s sorts, k changes between endpoints and keys.`,
		Example: "  tollgate top --count 1",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if times < 0 || every <= 0 {
				return usage(cmd, "--count is at least 0, and --every more than nothing.")
			}
			a.timeout = 0 // it goes on until somebody ends it
			return a.with(cmd, func(ctx context.Context, c clients) error {
				return a.top(ctx, c, every, times)
			})
		},
	}
	cmd.Flags().DurationVar(&every, "every", 2*time.Second, "how often it is printed where stdout is no terminal")
	cmd.Flags().IntVar(&times, "count", 0, "how many times it is printed; 0 for again and again")
	return cmd
}

// top follows both streams and shows what they tell.
func (a *app) top(ctx context.Context, c clients, every time.Duration, times int) error {
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	events := make(chan any)
	send := func(m any) {
		select {
		case events <- m:
		case <-ctx.Done():
		}
	}
	following.Go(func() { // ends with the context
		a.follow(ctx, send, func() error {
			stream, err := c.edges.WatchFleet(ctx, &controlv1.WatchFleetRequest{})
			return relay(stream, err, func(m *controlv1.WatchFleetResponse) { send(m) })
		})
	})
	following.Go(func() { // ends with the context
		req := &controlv1.TailRequestsRequest{MostPerSecond: topMost}
		a.follow(ctx, send, func() error {
			stream, err := c.requests.TailRequests(ctx, req)
			return relay(stream, err, func(m *controlv1.TailRequestsResponse) { send(m) })
		})
	})
	// What is refused is so at once, and then there is nothing to show.
	screen := newTopScreen(a.Now)
	for screen.state.nodes == nil && screen.state.revision == 0 {
		select {
		case m := <-events:
			if refused, is := m.(error); is {
				return refused
			}
			if lost, is := m.(topLost); is {
				return errors.New(string(lost))
			}
			screen.Update(m)
			if _, is := m.(*controlv1.WatchFleetResponse); is && screen.state.nodes == nil {
				screen.state.nodes = []*controlv1.Node{} // there is no edge
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if a.StdoutTerminal && times == 0 && a.forPeople() {
		return a.fullScreen(ctx, screen, events)
	}
	return a.repeat(ctx, screen, events, every, times)
}

// relay hands on what a stream tells, to its end.
func relay[T any](stream *connect.ServerStreamForClient[T], err error, to func(*T)) error {
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }() // what counts was received
	for stream.Receive() {
		to(stream.Msg())
	}
	if err := stream.Err(); err != nil {
		return err
	}
	return io.EOF
}

// follow keeps a stream going. What cannot get better by trying again is told as an error.
func (a *app) follow(ctx context.Context, send func(any), stream func() error) {
	for wait := tailPause; ; wait = min(2*wait, tailMostPause) {
		began := a.Now()
		err := stream()
		if ctx.Err() != nil {
			return
		}
		if refusesTail(err) {
			send(err)
			return
		}
		if !errors.Is(err, io.EOF) {
			send(topLost(a.describe(ctx, err).message))
		}
		if a.Now().Sub(began) > tailMostPause {
			wait = tailPause
		}
		if a.Pause(ctx, wait) != nil {
			return
		}
	}
}

func (a *app) fullScreen(ctx context.Context, screen *topScreen, events <-chan any) error {
	program := tea.NewProgram(screen, tea.WithContext(ctx), tea.WithInput(a.Stdin), tea.WithOutput(a.Stdout))
	ended := make(chan struct{})
	var handing sync.WaitGroup
	handing.Go(func() { // ends with the program
		for {
			select {
			case m := <-events:
				if err, is := m.(error); is {
					m = topLost(a.describe(ctx, err).message)
				}
				program.Send(m)
			case <-ended:
				return
			}
		}
	})
	_, err := program.Run()
	close(ended)
	handing.Wait()
	if ctx.Err() != nil {
		return nil //nolint:nilerr // ^C ends it as q does
	}
	return err
}

// repeat prints the tables for programs, and for people who keep them.
func (a *app) repeat(ctx context.Context, screen *topScreen, events <-chan any, every time.Duration, times int) error {
	ctx, cancel := context.WithCancel(ctx)
	var pausing sync.WaitGroup
	defer pausing.Wait()
	defer cancel()
	for n := 1; ; n++ {
		if err := a.printTop(screen); err != nil {
			return err
		}
		if n == times {
			return nil
		}
		paused := make(chan error, 1)
		pausing.Go(func() { paused <- a.Pause(ctx, every) }) // ends with the context
		for waiting := true; waiting; {
			select {
			case m := <-events:
				if err, is := m.(error); is {
					return err
				}
				screen.Update(m)
			case err := <-paused:
				if err != nil {
					return nil // whoever watched has seen enough
				}
				waiting = false
			}
		}
	}
}

// printTop prints both halves once.
func (a *app) printTop(m *topScreen) error {
	now := m.now()
	edges, rows := m.state.edgeTable(""), m.state.rows(m.state.endpoints, m.order, "", now)
	rates := rateTable("ENDPOINT", rows)
	if !a.forPeople() {
		data := &object{}
		data.set("time", now.UTC().Format(time.RFC3339))
		nodes, endpoints := []any{}, []any{}
		for _, n := range m.state.nodes {
			nodes = append(nodes, view(n))
		}
		for _, r := range rows {
			one := &object{}
			one.set("endpoint", r.name)
			one.set("requests", r.requests)
			one.set("errors", r.errors)
			one.set("spend", viewMoney(contract.MoneyToProto(r.spent)))
			one.set("seconds", topWindow)
			endpoints = append(endpoints, one)
		}
		data.set("edges", nodes)
		data.set("endpoints", endpoints)
		var names []string
		for _, r := range rows {
			names = append(names, r.name)
		}
		return a.print(result{data: data, names: names, table: rates})
	}
	if err := a.print(result{table: edges}); err != nil {
		return err
	}
	if len(rows) == 0 {
		return nil
	}
	return a.print(result{table: rates})
}
