package rpc

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"

	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/contract"
)

const (
	exportPage  = 1000     // records that are asked for at a time
	exportPiece = 64 << 10 // bytes after which a piece is sent
)

// ExportRequests reads page after page, oldest first, and sends each before it asks for the next: a
// slow caller holds up nothing but its own call, and none is held in memory whole.
func (s *usageService) ExportRequests(ctx context.Context, req *controlv1.ExportRequestsRequest, stream *connect.ServerStream[controlv1.ExportRequestsResponse]) error {
	filter, err := s.ownFilter(ctx, req.GetFilter(), time.Now())
	if err != nil {
		return err
	}
	return s.export(ctx, filter, req.GetFormat(), func(data []byte) error {
		return sendWithin(ctx, func() error { return stream.Send(&controlv1.ExportRequestsResponse{Data: data}) })
	})
}

// export hands over a file in pieces of whole lines.
func (s *usageService) export(ctx context.Context, filter *ledgerv1.RequestFilter, format controlv1.ExportFormat, emit func([]byte) error) error {
	var piece bytes.Buffer
	write := writeNDJSON
	if format == controlv1.ExportFormat_EXPORT_FORMAT_CSV {
		write = writeCSV
		if err := writeRow(&piece, exportColumns); err != nil {
			return err
		}
	}
	send := func() error {
		if piece.Len() == 0 {
			return nil
		}
		defer piece.Reset()
		return emit(piece.Bytes())
	}
	names := idNames{}
	ask := &ledgerv1.ListRequestsRequest{Filter: filter, PageSize: exportPage, OldestFirst: true}
	for {
		page, err := s.ledger.listRequests(ctx, ask)
		if err != nil {
			return err
		}
		if err := find(ctx, s.store, names, events(page.GetRequests())); err != nil {
			return err
		}
		for _, r := range page.GetRequests() {
			if err := write(&piece, recordTo(r, names)); err != nil {
				return fmt.Errorf("write record %s: %w", r.GetPosition(), err)
			}
			if piece.Len() >= exportPiece {
				if err := send(); err != nil {
					return err
				}
			}
		}
		if err := send(); err != nil {
			return err
		}
		if ask.PageToken = page.GetNextPageToken(); ask.GetPageToken() == "" {
			return nil
		}
	}
}

// exportColumns are the columns of a CSV file, named and ordered like the fields of RequestRecord. New
// ones are added at the end. Amounts are exact decimals of US dollars, times are RFC 3339 in UTC with
// milliseconds, tags are joined by spaces, which no tag has in it, and so are counts, each as name=decimal, in
// the order of their names.
var exportColumns = []string{
	"position", "request_id", "attempt", "time", "duration_us", "key_id", "key_name", "endpoint_id", "endpoint_name",
	"team", "customer", "tags", "model", "status", "outcome", "cost_usd", "reserved_usd", "units", "price_version",
	"unpriced", "corrects", "edge", "meter", "counts", "job", "job_state", "deployment",
}

const exportTime = "2006-01-02T15:04:05.000Z"

func writeCSV(w *bytes.Buffer, r *controlv1.RequestRecord) error {
	cost, err := contract.MoneyFromProto(r.GetCost())
	if err != nil {
		return err
	}
	reserved, err := contract.MoneyFromProto(r.GetReserved())
	if err != nil {
		return err
	}
	return writeRow(w, []string{
		r.GetPosition(), r.GetRequestId(), strconv.FormatUint(uint64(r.GetAttempt()), 10),
		r.GetTime().AsTime().Format(exportTime), strconv.FormatInt(r.GetDurationUs(), 10),
		plain(r.GetKeyId()), plain(r.GetKeyName()), plain(r.GetEndpointId()), plain(r.GetEndpointName()),
		plain(r.GetTeam()), plain(r.GetCustomer()), plain(strings.Join(r.GetTags(), " ")), plain(r.GetModel()),
		strconv.FormatUint(uint64(r.GetStatus()), 10), r.GetOutcome(), cost.String(), reserved.String(),
		strconv.FormatInt(r.GetUnits(), 10), strconv.FormatInt(r.GetPriceVersion(), 10), strconv.FormatBool(r.GetUnpriced()),
		r.GetCorrects(), plain(r.GetEdge()),
		plain(r.GetMeter()), plain(joinCounts(r.GetCounts())), plain(r.GetJob()), r.GetJobState(), plain(r.GetDeployment()),
	})
}

func joinCounts(counts map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		pairs = append(pairs, name+"="+counts[name])
	}
	return strings.Join(pairs, " ")
}

// writeRow ends lines with CR LF, as RFC 4180 says.
func writeRow(w *bytes.Buffer, fields []string) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(fields); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// plain keeps spreadsheets from taking text for a formula: a target may call its model anything. What
// would be taken for one gets an apostrophe in front.
func plain(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}

// writeNDJSON writes the JSON form of the message on one line. The encoder puts in spaces at random,
// so that nobody depends on them; they are taken out, so that the same records give the same file.
func writeNDJSON(w *bytes.Buffer, r *controlv1.RequestRecord) error {
	raw, err := protojson.Marshal(r)
	if err != nil {
		return err
	}
	if err := json.Compact(w, raw); err != nil {
		return err
	}
	return w.WriteByte('\n')
}
