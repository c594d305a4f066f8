package proxy

import (
	"strings"
	"testing"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
)

const testTicket = "tgt_0123456789abcdef"

// oneTicket is good for one request as a key.
type oneTicket struct {
	as   string
	used bool
}

func (*oneTicket) Is(secret string) bool { return strings.HasPrefix(secret, "tgt_") }

func (o *oneTicket) Take(text string, _ time.Time) ([32]byte, string, error) {
	if text != testTicket || o.used {
		return [32]byte{}, "", fault.New(fault.KeyRevoked, "The ticket was used already.")
	}
	o.used = true
	return contract.KeyHash([]byte(o.as)), "console", nil
}

// Guarantee: a request with a ticket is that of the key, charged once as it would be with the secret; the ticket leaves neither where it
// stands nor where it is repeated, and buys no second request.
func TestTicketActsAsKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.gateway.d.Tickets = &oneTicket{as: testKey}
	for i, want := range []int{200, 401} {
		c := b.dial()
		told := b.vendor.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		c.send("POST /open/v1?key=%s HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer %s\r\nX-Api-Key: %s\r\nX-Note: see %s\r\nX-Other: yes\r\nContent-Length: 0\r\n\r\n",
			testTicket, testTicket, testTicket, testTicket)
		if m := c.answer("POST"); m.status() != want {
			t.Fatalf("request %d: %v", i, m)
		}
		if want != 200 {
			break
		}
		sent := <-told
		if text := sent.first + strings.Join(sent.headers, "\n"); strings.Contains(text, "tgt_") || header(sent.headers, "X-Other") != "yes" {
			t.Errorf("sent %s", text)
		}
		b.wantSettled(200, eventv1.SpendOutcome_SPEND_OUTCOME_OK, price)
	}
	b.spool.mu.Lock()
	defer b.spool.mu.Unlock()
	if len(b.spool.intents) != 1 || b.spool.intents[b.spool.order[0]].KeyID != keyOf(testKey).GetId() || b.money.spent != price {
		t.Errorf("%v, %s spent", b.spool.intents, b.money.spent)
	}
}

// Guarantee: what the key may not do, its ticket does not do either, and nothing is held or sent.
func TestTicketOfARefusedKey(t *testing.T) {
	t.Parallel()
	narrow := keyOf("tgk_narrow")
	narrow.Restricted, narrow.EndpointIds = true, []string{"ep_safe"}
	gone := keyOf("tgk_gone")
	gone.RevokeUnixMs = 1
	for secret, want := range map[string]string{"tgk_narrow": "key_not_allowed", "tgk_gone": "key_revoked", "tgk_unknown": "key_unknown"} {
		b := newBench(t, func(o *options) { o.keys = append(o.keys, narrow, gone) })
		b.gateway.d.Tickets = &oneTicket{as: secret}
		c := b.dial()
		c.send("POST /x HTTP/1.1\r\nHost: gw\r\nAuthorization: bearer %s\r\nContent-Length: 0\r\n\r\n", testTicket)
		if m := c.answer("POST"); !strings.Contains(m.body, `"`+want+`"`) || b.money.spent != money.Nanos(0) || len(b.spool.order) != 0 {
			t.Errorf("%s: %v", secret, m)
		}
	}
}
