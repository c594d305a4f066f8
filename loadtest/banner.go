package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
)

// banner is what `tollgate dev` tells about itself once it serves.
type banner struct {
	gateways []string // base URLs, one of each edge
	control  string
	token    string
}

// lastWords end the banner.
const lastWords = "Stop with ^C"

// parseBanner reads the rows of the banner: a name, its value, and further values under it.
func parseBanner(text string) (banner, error) {
	var b banner
	row := ""
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || !strings.HasPrefix(line, "  ") {
			row = ""
			continue
		}
		value := fields[len(fields)-1]
		if len(fields) > 1 {
			row = strings.Join(fields[:len(fields)-1], " ")
		}
		switch row {
		case "Gateway":
			u, err := loopback(value)
			if err != nil {
				return banner{}, err
			}
			b.gateways = append(b.gateways, u)
		case "Control plane":
			u, err := loopback(value)
			if err != nil {
				return banner{}, err
			}
			b.control = u
		case "Admin token":
			b.token = value
		}
	}
	if len(b.gateways) == 0 || b.control == "" || b.token == "" {
		return banner{}, errors.New("tollgate dev printed no gateway, no control plane or no admin token")
	}
	return b, nil
}

// loopback checks that a URL is on this machine, and names it by number: a name may resolve to an
// address on which nothing listens.
func loopback(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || (u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1") || u.Port() == "" {
		return "", fmt.Errorf("tollgate dev printed %q where a loopback URL was expected", text)
	}
	return "http://127.0.0.1:" + u.Port(), nil
}

// bannerWriter takes what the stack prints.
type bannerWriter struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *bannerWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

func (w *bannerWriter) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// whole has no objection when the banner is whole.
func (w *bannerWriter) whole(context.Context) error {
	if text := w.text(); !strings.Contains(text, lastWords) {
		return fmt.Errorf("it printed %q", text)
	}
	return nil
}
