package rpc

import (
	"context"
	"net/http"
	"slices"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/access"
	"tollgate/controlplane/declare"
	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// readPermission is what it takes to see objects of a kind.
func readPermission(k declare.Kind) controlv1.Permission {
	switch k {
	case declare.Secret:
		return access.SecretsRead
	case declare.Team, declare.Customer, declare.Tag, declare.Key:
		return access.KeysRead
	case declare.Budget, declare.Limit:
		return access.MoneyRead
	default:
		return access.ConfigRead
	}
}

func (s *configService) Export(ctx context.Context, req *controlv1.ExportRequest) (*controlv1.ExportResponse, error) {
	kinds, err := exportKinds(req.GetKinds())
	if err != nil {
		return nil, err
	}
	doc := &declare.Document{Owner: req.GetOwner()}
	owned, err := s.store.Owned(ctx, req.GetOwner())
	if err != nil {
		return nil, err
	}
	owners := map[string]string{}
	for _, o := range owned {
		owners[nameKey(declare.Kind(o.Kind), o.ID)] = o.Owner
	}
	seen := map[string]bool{}
	st, err := s.store.State(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range kinds {
		if !allowed(ctx, readPermission(k)) {
			continue
		}
		all, err := listAll(ctx, s.services.kind(k))
		if err != nil {
			return nil, err
		}
		for _, m := range all {
			if key, ok := m.(*controlv1.Key); ok && key.GetRevokeTime() != nil {
				continue
			}
			owner := owners[nameKey(k, objectID(k, m))]
			if req.GetOwner() != "" && owner != req.GetOwner() {
				continue
			}
			o := &declare.Object{Kind: k, Message: configForm(k, m)}
			if o.Name = declare.NameOf(k, o.Message); k == declare.Settings && proto.Equal(o.Message, configNormal(k)(k.New())) {
				continue // nobody has changed one
			}
			doc.Objects = append(doc.Objects, o)
			if owner != "" {
				seen[owner], doc.Owner = true, owner
			}
		}
	}
	if len(seen) > 1 {
		doc.Owner = "" // whoever applies all of it has to say whose it is
	}
	text, err := exportText(doc, req.GetOnto())
	if err != nil {
		p := problems("")
		p.Add("onto", registry.Malformed, "The file cannot be kept: %s", err)
		return nil, p.Err("the export")
	}
	return &controlv1.ExportResponse{Text: text, Revision: st.Current.Revision}, nil
}

func exportKinds(names []string) (out []declare.Kind, err error) {
	if len(names) == 0 {
		return declare.Kinds(), nil
	}
	for _, name := range names {
		k, ok := declare.KindOf(name)
		if !ok {
			p := problems("")
			p.Add("kinds", registry.Unknown, "There is no kind %q: there are %v.", name, declare.Kinds())
			return nil, p.Err("the export")
		}
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b declare.Kind) int { return a.Rank() - b.Rank() })
	return slices.Compact(out), nil
}

// exportText writes objects without what the server fills in the same.
func exportText(doc *declare.Document, onto []byte) ([]byte, error) {
	for _, o := range doc.Objects {
		o.Message = declare.Minimal(o.Message, configNormal(o.Kind))
		if b, ok := o.Message.(*controlv1.Budget); ok && b.GetTimeZone() == "UTC" {
			b.TimeZone = ""
		}
	}
	declare.Sort(doc.Objects)
	return declare.Export(doc, declare.SchemaID, onto, func(a, b *declare.Object) bool {
		one, other := configNormal(a.Kind)(a.Message), configNormal(b.Kind)(b.Message)
		return proto.Equal(one, other)
	})
}

// answerSchema answers with the form of tollgate.yaml, to anyone: editors ask for it.
func answerSchema(w http.ResponseWriter, _ *http.Request) {
	text, err := declare.Schema()
	if err != nil {
		answerText(w, http.StatusInternalServerError, "the schema cannot be made")
		return
	}
	w.Header().Set("Content-Type", "application/schema+json")
	_, _ = w.Write(text)
}
