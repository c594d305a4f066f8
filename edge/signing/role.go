package signing

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// When credentials of a role are renewed.
const (
	renewBefore  = 5 * time.Minute  // their end
	lastUse      = 15 * time.Second // before their end: a request takes its time until it is checked
	askTimeout   = 5 * time.Second
	pauseInNeed  = time.Second      // after a failure, where requests fail without an answer
	pauseInStock = 30 * time.Second // where they need none yet
)

// role has the credentials of an assumed role. Only one request at a time asks for new ones; as long as the
// old ones are good, the others use those.
type role struct {
	now  func() time.Time
	ask  func(ctx context.Context) (aws.Credentials, error)
	turn chan struct{} // holds one while somebody asks

	held   atomic.Pointer[aws.Credentials] // nil until the first were given
	failed error                           // of the last time, or nil; for who has the turn
	at     time.Time                       // of the failure; for who has the turn
}

func newRole(now func() time.Time, ask func(ctx context.Context) (aws.Credentials, error)) *role {
	return &role{now: now, ask: ask, turn: make(chan struct{}, 1)}
}

// left is how long what is held is good.
func (r *role) left() time.Duration {
	held := r.held.Load()
	if held == nil {
		return 0
	}
	return held.Expires.Sub(r.now())
}

func (r *role) credentials(ctx context.Context) (aws.Credentials, error) {
	left := r.left()
	switch {
	case left > renewBefore:
		return *r.held.Load(), nil
	case left > lastUse:
		select {
		case r.turn <- struct{}{}:
		default:
			return *r.held.Load(), nil
		}
	default:
		select {
		case r.turn <- struct{}{}:
		case <-ctx.Done():
			return aws.Credentials{}, ctx.Err()
		}
	}
	defer func() { <-r.turn }()
	return r.renew(ctx)
}

// renew asks, unless somebody else has just done so. The turn is the caller's.
func (r *role) renew(ctx context.Context) (aws.Credentials, error) {
	left := r.left()
	good := left > lastUse
	pause := pauseInNeed
	if good {
		pause = pauseInStock
	}
	switch paused := r.failed != nil && r.now().Sub(r.at) < pause; {
	case left > renewBefore || paused && good:
		return *r.held.Load(), nil
	case paused:
		return aws.Credentials{}, r.failed
	}
	bounded, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	got, err := r.ask(bounded)
	switch {
	case err == nil:
		r.failed = nil
		r.held.Store(&got)
		return got, nil
	case ctx.Err() != nil: // the one who asked is gone, which says nothing to the next
		return aws.Credentials{}, ctx.Err()
	default:
		r.failed, r.at = err, r.now()
	}
	if good {
		return *r.held.Load(), nil
	}
	return aws.Credentials{}, err
}
