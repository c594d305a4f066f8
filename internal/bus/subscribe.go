package bus

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

// Subscribe has messages of a subject handled, one at a time. Members of a queue share them; an empty
// name stands for none. end ends it, and returns when no message is being handled any more.
func (c *Conn) Subscribe(subject, queue string, handle nats.MsgHandler) (end func() error, err error) {
	ended := make(chan struct{})
	sub, err := c.nc.QueueSubscribe(subject, queue, handle)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	sub.SetClosedHandler(func(string) { close(ended) })
	return func() error {
		if err := sub.Unsubscribe(); err != nil {
			return err // the connection is closed, and the handlers with it
		}
		<-ended
		return nil
	}, nil
}
