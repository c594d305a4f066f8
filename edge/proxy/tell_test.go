package proxy

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/edge/seen"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Guarantee: whoever watches learns whose key was refused and which endpoint did not take a method, so that it can be mended, and
// learns of none where none is known.
func TestWatchersLearnWhatWasRefused(t *testing.T) {
	t.Parallel()
	blocked := keyOf("tgk_blocked")
	blocked.Name, blocked.Team, blocked.Blocked = "old-portal", "search", true
	for name, want := range map[string]struct{ line, secret, code, endpoint, key, team string }{
		"blocked":      {"POST /safe", "tgk_blocked", "key_blocked", "safe", "old-portal", "search"},
		"unknown":      {"POST /safe", "tgk_nobody", "key_unknown", "safe", "", ""},
		"one endpoint": {"POST /none", testKey, "method_not_allowed", "none", "", ""},
		"two":          {"PUT /m", testKey, "method_not_allowed", "", "", ""},
		"nothing":      {"POST /nothing-like-it", testKey, "endpoint_not_found", "", "", ""},
	} {
		b := newBench(t, func(o *options) {
			o.keys = append(o.keys, blocked)
			for _, e := range o.endpoints {
				if e.GetName() == "none" {
					e.Methods = []string{"PUT"}
				}
			}
		})
		told := make(chan *controlv1.SeenRequest, 1)
		b.gateway.d.Seen = seen.New("edge-1", 1, func(data []byte) error {
			var batch eventv1.SeenBatch
			if err := proto.Unmarshal(data, &batch); err != nil {
				return err
			}
			for _, r := range batch.GetRequests() {
				told <- r
			}
			return nil
		}, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.gateway.d.Seen.Run(ctx) }()
		c := b.dial()
		c.send("%s HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n", want.line, want.secret)
		c.answer("POST")
		select {
		case r := <-told:
			if r.GetCode() != want.code || r.GetEndpoint() != want.endpoint || r.GetKey() != want.key || r.GetTeam() != want.team {
				t.Errorf("%s: %v", name, r)
			}
		case <-time.After(patience):
			t.Errorf("%s: nobody was told", name)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
