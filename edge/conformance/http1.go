package conformance

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"strings"
)

// flow1 is an exchange of HTTP/1.1. The exchanges of a connection are read one after the other.
type flow1 struct {
	w      *wire
	server bool
	method string // of the request, by which an answer is read

	chunked bool // how the own body is framed
	open    bool // whether it has not ended

	body io.Reader // of the other side; nil while its head has not come
	tail []field
}

func (f *flow1) sendHead(h *head, open bool) {
	var b strings.Builder
	if f.server {
		fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", h.status, h.reason)
	} else {
		f.method = h.method
		fmt.Fprintf(&b, "%s %s %s\r\n", h.method, h.target, h.proto)
	}
	for _, l := range h.fields {
		fmt.Fprintf(&b, "%s: %s\r\n", l.name, l.value)
	}
	b.WriteString("\r\n")
	f.chunked = len(h.get("Transfer-Encoding")) > 0
	f.open = open
	f.w.text(b.String(), false)
}

func (f *flow1) sendBody(text string, bytewise bool) {
	if !f.chunked {
		f.w.text(text, bytewise)
		return
	}
	var b strings.Builder
	for _, p := range pieces(f.w.rng, text) {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(p), p)
	}
	f.w.text(b.String(), bytewise)
}

func (f *flow1) sendEnd(trailers []field) {
	if f.chunked && f.open {
		var b strings.Builder
		b.WriteString("0\r\n")
		for _, l := range trailers {
			fmt.Fprintf(&b, "%s: %s\r\n", l.name, l.value)
		}
		f.w.text(b.String()+"\r\n", false)
	}
	f.open = false
}

func (f *flow1) readHead(ctx context.Context) (*head, error) {
	defer f.w.within(ctx)()
	h, err := readHead1(f.w.r)
	if err != nil {
		return nil, err
	}
	if f.server || h.status >= 200 || h.status == 101 {
		return h, f.frame(h)
	}
	return h, nil
}

// readHead1 is strict: what does not end its lines with CRLF is no HTTP that anybody should send.
func readHead1(r *bufio.Reader) (*head, error) {
	h := &head{}
	for first := true; ; first = false {
		line, err := r.ReadString('\n')
		if err != nil {
			if line != "" {
				return nil, fmt.Errorf("in the middle of a head, after %s: %w", short(line), err)
			}
			return nil, err
		}
		text, ok := strings.CutSuffix(line, "\r\n")
		switch {
		case !ok:
			return nil, fmt.Errorf("a line that CRLF does not end: %q", line)
		case first:
			if err := h.firstLine(text); err != nil {
				return nil, err
			}
		case text == "":
			return h, nil
		default:
			name, value, ok := strings.Cut(text, ":")
			if !ok || name == "" || strings.ContainsAny(name, " \t") {
				return nil, fmt.Errorf("a header line that is none: %q", text)
			}
			h.fields = append(h.fields, field{name, strings.TrimSpace(value)})
		}
	}
}

func (h *head) firstLine(text string) (err error) {
	a, rest, ok := strings.Cut(text, " ")
	b, c, more := strings.Cut(rest, " ")
	if strings.HasPrefix(a, "HTTP/") {
		h.proto, h.reason = a, c
		h.status, err = strconv.Atoi(b)
		return err
	}
	if !ok || !more {
		return fmt.Errorf("a first line that is none: %q", text)
	}
	h.method, h.target, h.proto = a, b, c
	return nil
}

// frame prepares for the body that a head announces. No head may announce it in two ways.
func (f *flow1) frame(h *head) error {
	lengths, encodings := h.get("Content-Length"), h.get("Transfer-Encoding")
	if len(lengths)+len(encodings) > 1 {
		return fmt.Errorf("two framings: %q and %q", lengths, encodings)
	}
	switch {
	case !f.server && h.status == 101:
		f.body = f.w.r
	case !f.server && (f.method == "HEAD" || h.status == 204 || h.status == 304):
		f.body = strings.NewReader("")
	case len(encodings) > 0:
		f.body = &chunks{r: httputil.NewChunkedReader(f.w.r), f: f}
	case len(lengths) > 0:
		n, err := strconv.ParseInt(lengths[0], 10, 64)
		if err != nil {
			return err
		}
		f.body = &counted{f.w.r, n}
	case f.server:
		f.body = strings.NewReader("")
	default:
		f.body = f.w.r
	}
	return nil
}

// chunks reads a chunked body and the trailers behind it.
type chunks struct {
	r    io.Reader
	f    *flow1
	over bool
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.over {
		return 0, io.EOF
	}
	n, err := c.r.Read(p)
	if !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return n, err
	}
	for {
		line, err := c.f.w.r.ReadString('\n')
		if err != nil {
			return n, io.ErrUnexpectedEOF
		}
		text, ok := strings.CutSuffix(line, "\r\n")
		if !ok {
			return n, fmt.Errorf("a trailer line that CRLF does not end: %q", line)
		}
		if text == "" {
			c.over = true
			return n, io.EOF
		}
		name, value, _ := strings.Cut(text, ":")
		c.f.tail = append(c.f.tail, field{name, strings.TrimSpace(value)})
	}
}

// counted reads a body of a known length.
type counted struct {
	r    io.Reader
	left int64
}

func (c *counted) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if errors.Is(err, io.EOF) && c.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (f *flow1) readBody(ctx context.Context, p []byte) (int, error) {
	if f.body == nil {
		return 0, errors.New("no head came before the body")
	}
	defer f.w.within(ctx)()
	n, err := f.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		if ctx.Err() != nil {
			return n, fmt.Errorf("nothing more came: %w", err)
		}
		err = fmt.Errorf("%w: %w", errAborted, err)
	}
	return n, err
}

func (f *flow1) trailers() []field { return f.tail }

func (f *flow1) reset() { f.w.abort() }

func (f *flow1) ended(ctx context.Context) error {
	defer f.w.within(ctx)()
	_, err := io.Copy(io.Discard, f.w.r)
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		return errors.New("the connection is still there")
	}
	return nil
}
