package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// exports are files over plain HTTP, for what has no client of the API: a browser, curl, a spreadsheet. They say the same as the
// methods, to whom the methods say it.
type exports struct {
	usage *usageService
	log   *slog.Logger
}

func (e *exports) handle(mux *http.ServeMux) {
	mux.HandleFunc("GET /export/usage.csv", e.answer(e.usageCSV))
	mux.HandleFunc("GET /export/requests.csv", e.answer(e.requests(controlv1.ExportFormat_EXPORT_FORMAT_CSV)))
	mux.HandleFunc("GET /export/requests.ndjson", e.answer(e.requests(controlv1.ExportFormat_EXPORT_FORMAT_NDJSON)))
}

// file is an answer that is being written. What fails before its first byte is answered as an error; what fails later breaks the
// connection off, so that nobody takes a part for the whole.
type file struct {
	w          http.ResponseWriter
	name, kind string
	begun      bool
}

func (f *file) write(ctx context.Context, data []byte) error {
	if !f.begun {
		f.begun = true
		f.w.Header().Set("Content-Type", f.kind)
		f.w.Header().Set("Content-Disposition", `attachment; filename="`+f.name+`"`)
		f.w.Header().Set("Cache-Control", "no-store")
		f.w.Header().Set("X-Content-Type-Options", "nosniff")
	}
	return sendWithin(ctx, func() error {
		if _, err := f.w.Write(data); err != nil {
			return err
		}
		return http.NewResponseController(f.w).Flush()
	})
}

func (e *exports) answer(write func(ctx context.Context, q *query, f *file) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f := &file{w: w}
		err := write(r.Context(), &query{values: r.URL.Query(), problems: problems("")}, f)
		switch {
		case err == nil:
		case f.begun:
			e.log.WarnContext(r.Context(), "export broken off", "path", r.URL.Path, "request_id", requestID(r.Context()), "err", err)
			panic(http.ErrAbortHandler)
		default:
			fail := classify(r.Context(), err)
			if fail.Kind() == fault.Internal {
				e.log.ErrorContext(r.Context(), "export failed", "path", r.URL.Path, "request_id", requestID(r.Context()), "err", err)
			}
			refuse(w, r, explained(fail))
		}
	}
}

// explained puts what is wrong with parameters into the message: a browser shows nothing else.
func explained(f *fault.Error) *fault.Error {
	for _, v := range f.Violations {
		f.Message += " " + v.Field + ": " + v.Reason
	}
	return f
}

// query reads the parameters of an export, each once.
type query struct {
	values   url.Values
	problems *registry.Problems
	known    []string
	said     []string // for the head of the file
}

func (q *query) text(name string) string {
	q.known = append(q.known, name)
	all := q.values[name]
	if len(all) > 1 {
		q.problems.Add(name, registry.Duplicate, "It is there %d times.", len(all))
	}
	if len(all) == 0 || all[0] == "" {
		return ""
	}
	q.said = append(q.said, name+"="+all[0])
	return all[0]
}

func (q *query) moment(name string) *timestamppb.Timestamp {
	text := q.text(name)
	if text == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		if at, err = time.Parse(time.DateOnly, text); err != nil {
			q.problems.Add(name, registry.Malformed, "%q is not a time: write it like 2026-11-01T00:00:00Z, or 2026-11-01.", text)
		}
	}
	return timestamppb.New(at)
}

func (q *query) number(name string, most int64) int64 {
	text := q.text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > most {
		q.problems.Add(name, registry.Range, "%q is not a whole number up to %d.", text, most)
	}
	return n
}

func (q *query) yes(name string) bool {
	text := q.text(name)
	if text != "" && text != "true" && text != "false" {
		q.problems.Add(name, registry.Malformed, "%q is neither true nor false.", text)
	}
	return text == "true"
}

// err tells of all that is wrong, and of parameters that there are not: a misspelt one would select everything.
func (q *query) err() error {
	for name := range q.values {
		if !slices.Contains(q.known, name) {
			q.problems.Add(name, registry.Unknown, "There is no such parameter: there are %s.", strings.Join(q.known, ", "))
		}
	}
	return q.problems.Err("the export")
}

// head is what a file of comma-separated values begins with: what it is and what selects it.
func (q *query) head(out *bytes.Buffer, title string, lines ...string) {
	fmt.Fprintf(out, "# %s\r\n", title)
	filters := "none"
	if len(q.said) > 0 {
		filters = strings.Join(q.said, " ")
	}
	zone := q.values.Get("time_zone")
	if zone == "" {
		zone = utc
	}
	for _, line := range append(lines, "filters: "+filters, "time zone: "+zone, "currency: USD, exact decimals") {
		fmt.Fprintf(out, "# %s\r\n", strings.Map(oneLine, line))
	}
}

// oneLine keeps a parameter from beginning a line of its own.
func oneLine(r rune) rune {
	if r < ' ' || r == 0x7f || r == '\u0085' || r == '\u2028' || r == '\u2029' {
		return ' '
	}
	return r
}

func (e *exports) requests(format controlv1.ExportFormat) func(context.Context, *query, *file) error {
	return func(ctx context.Context, q *query, f *file) error {
		m := &controlv1.RequestFilter{
			FromTime: q.moment("from"), ToTime: q.moment("to"), Key: q.text("key"), Endpoint: q.text("endpoint"), Team: q.text("team"),
			Customer: q.text("customer"), Tag: q.text("tag"), Model: q.text("model"), RequestId: q.text("request_id"), Outcome: q.text("outcome"),
			Unpriced: q.yes("unpriced"), Job: q.text("job"), Meter: q.text("meter"), Deployment: q.text("deployment"),
			Filters: q.filters("filter"), MinCost: q.amount("min_cost"), MinTime: q.length("min_time"),
		}
		if q.values.Get("status") != "" {
			status := uint32(q.number("status", 999))
			m.Status = &status
		} else {
			q.text("status")
		}
		if err := q.err(); err != nil {
			return err
		}
		now := time.Now()
		filter, err := e.usage.ownFilter(ctx, m, now)
		if err != nil {
			return err
		}
		if err := e.usage.store.Record(ctx, actor(ctx), "export_requests", "request", "", nil); err != nil { // like the method
			return err
		}
		f.name, f.kind = "requests.ndjson", "application/x-ndjson"
		var head bytes.Buffer
		if format == controlv1.ExportFormat_EXPORT_FORMAT_CSV {
			f.name, f.kind = "requests.csv", "text/csv; charset=utf-8"
			q.head(&head, "Requests", "from: "+time.UnixMilli(filter.GetFromUnixMs()).UTC().Format(exportTime),
				"to: "+time.UnixMilli(filter.GetToUnixMs()).UTC().Format(exportTime), "as of: "+now.UTC().Format(exportTime))
		}
		err = e.usage.export(ctx, filter, format, func(data []byte) error {
			err := f.write(ctx, append(head.Bytes(), data...))
			head.Reset()
			return err
		})
		if err == nil && !f.begun {
			return f.write(ctx, nil)
		}
		if err != nil && ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		return err
	}
}
