package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// mirror is what the stream has, as of the last acknowledgement.
type mirror struct {
	values  map[string]stored
	last    uint64 // sequence number of the stream's last message, also if that is gone
	foreign bool   // somebody else has written since
	sealing []byte // names the key under which the secrets in it are
	knows   uint32 // how much its publisher knew
}

type stored struct {
	sequence uint64
	version  contract.Version // zero if the value cannot be read
}

// readMirror reads the newest value of every subject.
func readMirror(ctx context.Context, stream jetstream.Stream) (*mirror, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	m := &mirror{values: map[string]stored{}, last: info.State.LastSeq}
	if info.State.Msgs == 0 {
		return m, nil
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{contract.ConfigSubjects},
		DeliverPolicy:  jetstream.DeliverLastPerSubjectPolicy,
		// Without a bound it would try for ever, past the context.
		MaxResetAttempts: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("read values: %w", err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return nil, fmt.Errorf("read values: %w", err)
		}
		v, err := contract.Peek(msg.Data())
		if err != nil {
			v = contract.Version{} // counts as lost
		}
		if msg.Subject() == contract.ConfigHead {
			var head eventv1.ConfigHead
			if _, err := contract.Decode(msg.Data(), &head); err == nil {
				m.sealing, m.knows = head.GetSealingKeyId(), head.GetKnows()
			}
		}
		m.values[msg.Subject()] = stored{meta.Sequence.Stream, v}
		if meta.NumPending == 0 {
			return m, nil
		}
	}
}

// same says whether the stream is as the mirror has it, as far as numbers tell.
func (m *mirror) same(ctx context.Context, js jetstream.JetStream) (bool, error) {
	stream, err := js.Stream(ctx, contract.StreamConfig)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read state: %w", err)
	}
	state := stream.CachedInfo().State
	return !m.foreign && state.LastSeq == m.last && state.Msgs == uint64(len(m.values)), nil
}

func (m *mirror) newest() (v contract.Version) {
	for _, s := range m.values {
		if s.version.Newer(v) {
			v = s.version
		}
	}
	return v
}

func (m *mirror) subjects() []string {
	out := make([]string, 0, len(m.values))
	for s := range m.values {
		out = append(out, s)
	}
	return out
}

// send publishes the values of one group and returns once all are acknowledged. Each publish
// expects the sequence number that the mirror has for its subject, so a publisher that lost its right
// without noticing cannot put an old value over a new one.
func (s *session) send(ctx context.Context, v contract.Version, group []value) error {
	ctx, cancel := context.WithTimeout(ctx, ackWithin)
	defer cancel()
	js := s.bus.JetStream()
	acks := make([]jetstream.PubAckFuture, len(group))
	for i, val := range group {
		data, err := val.encode(v)
		if err != nil {
			return err
		}
		// The answers are awaited below, all together: with many shards, one at a time would take as
		// many round trips.
		acks[i], err = js.PublishMsgAsync(&nats.Msg{Subject: val.subject, Data: data},
			jetstream.WithExpectStream(contract.StreamConfig),
			jetstream.WithExpectLastSequencePerSubject(s.mirror.values[val.subject].sequence))
		if err != nil {
			return fmt.Errorf("publish %s: %w", val.subject, err)
		}
	}
	for i, val := range group {
		select {
		case ack := <-acks[i].Ok():
			s.mirror.values[val.subject] = stored{ack.Sequence, v}
			// The number after the last one known is ours, unless somebody else took it.
			s.mirror.foreign = s.mirror.foreign || ack.Sequence != s.mirror.last+1
			s.mirror.last = max(s.mirror.last, ack.Sequence)
		case err := <-acks[i].Err():
			return fmt.Errorf("publish %s: %w", val.subject, err)
		case <-ctx.Done():
			return fmt.Errorf("publish %s: %w", val.subject, ctx.Err())
		}
	}
	return nil
}
