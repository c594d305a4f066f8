package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// field is one header line or trailer line.
type field struct{ name, value string }

// head is what comes before a body, of a request or of an answer, in whatever version of HTTP.
type head struct {
	method, target, proto string // of a request
	status                int    // of an answer
	reason                string
	fields                []field
}

// get is all values of a name, in their order.
func (h *head) get(name string) []string { return valuesOf(h.fields, name) }

func valuesOf(fields []field, name string) []string {
	var out []string
	for _, f := range fields {
		if strings.EqualFold(f.name, name) {
			out = append(out, f.value)
		}
	}
	return out
}

// errAborted is how a body ends that the other side broke off.
var errAborted = errors.New("broken off")

// flow is one exchange as one side sees it. Sending never waits for the other side: what is sent is
// queued. Reading waits, and ends when the context does.
type flow interface {
	// sendHead begins. Without open there is no body.
	sendHead(h *head, open bool)
	sendBody(text string, bytewise bool)
	sendEnd(trailers []field)
	// readHead is the next head: of the request, or of an answer, interim ones included.
	readHead(ctx context.Context) (*head, error)
	// readBody reads until p has something; io.EOF is a proper end, errAborted another one.
	readBody(ctx context.Context, p []byte) (int, error)
	// trailers are those that came, after the proper end.
	trailers() []field
	// reset breaks the exchange off.
	reset()
	// ended waits until the other side has broken it off.
	ended(ctx context.Context) error
}

// expect compares header lines with the lines of a step: "has NAME: VALUE" for all lines of a name in
// their order, "lacks NAME", "exactly" for no others than those.
func expect(fields []field, lines []string) error {
	var errs []error
	want := map[string][]string{}
	exactly := false
	for _, l := range lines {
		switch kind, rest, _ := strings.Cut(l, " "); kind {
		case "has":
			name, value, _ := strings.Cut(rest, ":")
			name = strings.ToLower(name)
			want[name] = append(want[name], strings.TrimSpace(unescape(value)))
		case "lacks":
			if got := valuesOf(fields, rest); len(got) > 0 {
				errs = append(errs, fmt.Errorf("%s: %q is there", rest, got))
			}
		case "exactly":
			exactly = true
		case "many":
			all, err := many(rest)
			errs = append(errs, err)
			for _, f := range all {
				want[strings.ToLower(f.name)] = []string{f.value}
			}
		}
	}
	for name, values := range want {
		if got := valuesOf(fields, name); !slices.Equal(got, values) {
			errs = append(errs, fmt.Errorf("%s: got %q, want %q", name, got, values))
		}
	}
	for _, f := range fields {
		if _, ok := want[strings.ToLower(f.name)]; exactly && !ok {
			errs = append(errs, fmt.Errorf("%s: %q was not to be there", f.name, f.value))
		}
	}
	return errors.Join(errs...)
}

// unescape lets header lines hold any byte, as \xNN.
func unescape(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	if out, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`); err == nil {
		return out
	}
	return s
}

// many are headers by their number, the beginning of their names and the length of their values: "100
// X-H 560" is X-H0 to X-H99.
func many(text string) (out []field, err error) {
	var n, length int
	var name string
	if _, err := fmt.Sscanf(text, "%d %s %d", &n, &name, &length); err != nil {
		return nil, fmt.Errorf("many %s: %w", text, err)
	}
	for i := range n {
		out = append(out, field{name + strconv.Itoa(i), strings.Repeat("v", length)})
	}
	return out, nil
}

// fieldsOf are the lines of a step that are header lines.
func fieldsOf(lines []string) (out []field, rest []string) {
	for _, l := range lines {
		if text, ok := strings.CutPrefix(l, "many "); ok {
			if all, err := many(text); err == nil {
				out = append(out, all...)
				continue
			}
		}
		name, value, ok := strings.Cut(l, ":")
		if !ok || strings.ContainsAny(name, " \"") {
			rest = append(rest, l)
			continue
		}
		out = append(out, field{name, strings.TrimSpace(unescape(value))})
	}
	return out, rest
}
