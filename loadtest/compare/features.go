package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"tollgate/internal/gobuild"
)

// everythingOn is what the others are compared with: a key, four budgets held, a price from the answer's JSON, an intent on disk
// before the request leaves, all who watch told of it, metrics, and headers of the cost.
const everythingOn = "everything on"

// variant is an edge that differs in one feature.
type variant struct {
	title  string
	path   string      // another endpoint of the same edge
	public bool        // without a key
	edge   edgeOptions // another edge
	build  []string    // of another binary
	stack  bool        // another deployment, without budgets
}

var variants = []variant{
	{title: "without a key, and so without its and its team's budget", path: open, public: true},
	{title: "without the four budgets", stack: true, edge: edgeOptions{name: "edge-free"}},
	{title: "at a fixed price: nobody reads the answer", path: fixed},
	{title: "without intents on disk", build: []string{"-tags", "drop_intents"}, edge: edgeOptions{name: "edge-forgetful"}},
	{title: "without telling those who watch", edge: edgeOptions{name: "edge-unseen", yaml: "seen: false\n"}},
	{title: "with a line in the log for each request", edge: edgeOptions{name: "edge-talkative", logs: true}},
	{title: "without the fast lane", edge: edgeOptions{name: "edge-general", yaml: "fast_lane: false\n"}},
}

// playFeatures switches each feature off in turn, and the log of requests on, which nobody has here.
func (f *field) playFeatures(ctx context.Context, s scenario) (played, error) {
	if !slices.Contains(f.o.only, ours) {
		f.leave("%s: no edge runs", s.name)
		return played{}, nil
	}
	list := []subject{{name: everythingOn, proxy: f.subjects(s)[0].proxy, key: f.stacks[0].key}}
	for _, one := range f.subjects(s) {
		if one.name == reference {
			list = append(list, one)
		}
	}
	for _, v := range variants {
		one, err := f.variant(ctx, v)
		if errors.Is(err, errUnknownSetting) {
			f.leave("%s: %v", v.title, err)
			continue
		}
		if err != nil {
			return played{}, fmt.Errorf("%s: %w", v.title, err)
		}
		list = append(list, one)
	}
	return f.playRounds(ctx, s, list)
}

// variant starts what a variant needs.
func (f *field) variant(ctx context.Context, v variant) (subject, error) {
	s := f.stacks[0]
	one := subject{name: v.title, path: v.path, proxy: s.proxy(f.edge, v.title)}
	if v.stack {
		var err error
		if s, err = f.startStack(ctx, v.edge.name+"-stack", false); err != nil {
			return one, err
		}
	}
	if len(v.build) > 0 {
		v.edge.binary = filepath.Join(f.dir, "tollgate-"+v.edge.name)
		if err := gobuild.Build(ctx, v.edge.binary, gobuild.Tollgate, v.build...); err != nil {
			return one, err
		}
	}
	if v.edge.name != "" {
		e, err := s.startEdge(ctx, v.edge)
		if err != nil {
			return one, err
		}
		one.proxy = s.proxy(e, v.title)
		if err := s.awaitLive(ctx); err != nil {
			return one, err
		}
	}
	if !v.public {
		one.key = s.key
	}
	return one, nil
}
