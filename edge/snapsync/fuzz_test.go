package snapsync

import (
	"log/slog"
	"testing"

	"tollgate/edge/admit"
	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/seal"
)

// Guarantee: no value, whatever its bytes, takes the place of a good one unless it is good and newer.
func FuzzApply(f *testing.F) {
	key, err := seal.Parse(seal.Generate())
	if err != nil {
		f.Fatal(err)
	}
	encode := func(revision int64, endpoints ...*eventv1.RouteEndpoint) []byte {
		data, err := contract.Encode(contract.Version{Epoch: 1, Revision: revision}, &eventv1.RouteSnapshot{Endpoints: endpoints})
		if err != nil {
			f.Fatal(err)
		}
		return data
	}
	good := encode(5, &eventv1.RouteEndpoint{Id: "ep_1", Name: "x", Path: "/x", Targets: []string{"http://h"}})
	f.Add(encode(4))
	f.Add(encode(6))
	f.Add(encode(6, &eventv1.RouteEndpoint{Id: "ep_1"}))
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, data []byte) {
		var routes routing.Holder
		s := New(Config{}, nil, key, &routes, &admit.Keys{}, nil, slog.New(slog.DiscardHandler))
		if err := s.apply(contract.ConfigRoutes, good, false); err != nil {
			t.Fatal(err)
		}
		before := routes.Current()
		err := s.apply(contract.ConfigRoutes, data, false)
		v := routes.Current().Version()
		if err != nil && routes.Current() != before || routes.Current() != before && !v.Newer(before.Version()) {
			t.Errorf("%x: %v replaced by %s", data, err, v)
		}
		_ = s.apply(contract.ConfigKeys(0), data, false)
		_ = s.apply(contract.ConfigHead, data, false)
	})
}
