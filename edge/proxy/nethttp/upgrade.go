package nethttp

import (
	"context"
	"errors"
	"io"
)

// upgraded is a connection that a target has switched to another protocol. The first bytes read are those
// that came right behind the answer.
type upgraded struct {
	io.ReadWriter
	body  *answerBody
	unbid func() bool // of the attempt's context, whose end closes the connection
}

func newUpgraded(ctx context.Context, b *answerBody) *upgraded {
	t := &upgraded{body: b}
	t.ReadWriter, _ = b.ReadCloser.(io.ReadWriter)             // Unusable has looked
	t.unbid = context.AfterFunc(ctx, func() { _ = b.Close() }) // whoever uses it finds out
	return t
}

// CloseWrite says that nothing more will be written. The target may still send.
func (t *upgraded) CloseWrite() error {
	if half, ok := t.body.ReadCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close makes Read and Write return.
func (t *upgraded) Close() error {
	t.unbid()
	return t.body.Close()
}
