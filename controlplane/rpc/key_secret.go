package rpc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"time"

	"tollgate/controlplane/access"
	"tollgate/controlplane/keyuse"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
)

// What keys look like: a prefix by which scanners for leaked credentials find them, and 256 random
// bits. The first and the last characters are kept to recognise a key by.
const (
	keyPrefix = "tgk_"
	keyBytes  = 32
	shown     = 8
	shownLast = 4
)

// KeyUses tells how often secrets were used that edges count.
type KeyUses interface {
	Of(hash [32]byte, since time.Time) keyuse.Use
}

// madeSecret is a secret with its text, which is empty for one that callers hold already.
type madeSecret struct {
	store.NewSecret

	text string
}

// secretFrom makes a secret, or takes over one of which the hash was given.
func secretFrom(imported []byte) (made madeSecret) {
	if len(imported) > 0 {
		copy(made.Hash[:], imported)
		return made
	}
	raw := make([]byte, keyBytes)
	rand.Read(raw) // never fails: the runtime ends the process instead
	made.text = keyPrefix + base64.RawURLEncoding.EncodeToString(raw)
	made.Hash, made.Prefix, made.Suffix = contract.KeyHash([]byte(made.text)), made.text[:shown], made.text[len(made.text)-shownLast:]
	return made
}

func (s *keyService) RotateKey(ctx context.Context, req *controlv1.RotateKeyRequest) (*controlv1.RotateKeyResponse, error) {
	overlap := registry.DefaultOverlap
	if d := req.GetOverlap(); d != nil {
		overlap = d.AsDuration()
	}
	made := secretFrom(req.GetSecretSha256())
	k, err := s.store.RotateKey(ctx, actor(ctx), keysOf(ctx, access.KeysWrite), req.GetKey(), req.GetEtag(), made.NewSecret, overlap)
	if err != nil {
		return nil, err
	}
	m, err := keyTo(&k)
	return &controlv1.RotateKeyResponse{Key: m, Secret: made.text}, err
}

func (s *keyService) EndKeyOverlap(ctx context.Context, req *controlv1.EndKeyOverlapRequest) (*controlv1.EndKeyOverlapResponse, error) {
	p := problems("")
	end := timeFrom(req.GetEndTime(), "end_time", "end", p)
	k, err := s.store.EndKeyOverlap(ctx, actor(ctx), keysOf(ctx, access.KeysWrite), req.GetKey(), end, p)
	if err != nil {
		return nil, err
	}
	m, err := keyTo(&k)
	return &controlv1.EndKeyOverlapResponse{Key: m}, err
}

func (s *keyService) GetKeyUse(ctx context.Context, req *controlv1.GetKeyUseRequest) (*controlv1.GetKeyUseResponse, error) {
	secrets, err := s.store.KeySecrets(ctx, keysOf(ctx, access.KeysRead), req.GetKey())
	if err != nil {
		return nil, err
	}
	out := &controlv1.GetKeyUseResponse{}
	var rotated time.Time // and counted from then on
	for _, secret := range secrets {
		if secret.Current {
			rotated = secret.Created
		}
		m := &controlv1.KeySecretUse{
			Current: secret.Current, Prefix: secret.Prefix, Suffix: secret.Suffix, CreateTime: timeTo(secret.Created),
		}
		if secret.Ends != nil {
			m.EndTime = timeTo(*secret.Ends)
		}
		if s.uses != nil && secret.Counted {
			u := s.uses.Of([32]byte(secret.SHA256), rotated)
			m.Requests, m.RequestsLastHour = u.Requests, u.LastHour
			m.FirstUseTime, m.LastUseTime = timeTo(milliTime(u.First)), timeTo(milliTime(u.Last))
			m.LastAddress, m.LastAgent, m.LastEdge = u.Address, u.Agent, u.Edge
		}
		out.Secrets = append(out.Secrets, m)
	}
	return out, nil
}

// milliTime is the zero time for 0.
func milliTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
