package rpc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/access"
	"tollgate/controlplane/declare"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// wanted is an object that a file asks for, while it is carried out.
type wanted struct {
	*declare.Object

	normal proto.Message // as the server would store it
	value  *string       // of a secret, if it was sent
	rotate bool          // whether that is a new one
	secret string        // of a key that was made
}

// changed are the fields that differ from what is there.
func (w *wanted) changed(now proto.Message) []string {
	return changedFields(w.normal, configForm(w.Kind, now))
}

// run is one way through a configuration, within one transaction.
type run struct {
	*configService

	in    *configuration
	owned map[string]store.Owned   // of this owner and of others, by kind and id
	now   map[string]proto.Message // what is there, by kind and name
	out   *outcome
	bad   []fault.Violation
	had   map[string]bool // what the owner owns, by kind and name
	lost  map[string]bool // names of objects with which something is wrong
}

// outcome is what was done, or would be.
type outcome struct {
	changes  []*controlv1.ConfigChange
	notes    []*controlv1.ConfigNote
	keys     map[string]string
	repriced []repricedEndpoint
}

// asFault finds what is wrong with an object in an error. That the database is away, or that time is over, is nothing that the
// object could be blamed for.
func asFault(err error) (*fault.Error, bool) {
	f, ok := errors.AsType[*fault.Error](err)
	if ok {
		switch f.Kind() {
		case fault.Internal, fault.Unavailable, fault.Timeout:
			return nil, false
		default:
		}
	}
	return f, ok
}

// carryOut makes the configuration so. Everything that is wrong is said at once, with its place.
func (s *configService) carryOut(ctx context.Context, in *configuration) (*outcome, error) {
	r := &run{configService: s, in: in, owned: map[string]store.Owned{}, now: map[string]proto.Message{}, out: &outcome{keys: map[string]string{}}, had: map[string]bool{}, lost: map[string]bool{}}
	r.out.notes = slices.Clone(in.notes)
	if err := s.store.Many(ctx); err != nil {
		return nil, err
	}
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	goners := r.goners()
	// What is in the way of others goes first; what others may still refer to goes last.
	early, late := splitGoners(goners)
	if err := r.remove(ctx, early); err != nil {
		return nil, err
	}
	var own []store.Owned
	for _, k := range declare.Kinds() {
		mine, err := r.make(ctx, k)
		if err != nil {
			return nil, err
		}
		own = append(own, mine...)
	}
	if err := r.remove(ctx, late); err != nil {
		return nil, err
	}
	if len(r.bad) > 0 {
		return nil, badConfiguration(r.bad)
	}
	if err := s.store.Own(ctx, actor(ctx), in.doc.Owner, own, goners); err != nil {
		return nil, err
	}
	return r.out, nil
}

// badConfiguration is all that is wrong. Where it is all of one kind, such as that others own it, it is a failure of that kind.
func badConfiguration(all []fault.Violation) error {
	code := fault.Code(all[0].Code)
	if code != fault.ManagedByFile && code != fault.PermissionDenied ||
		slices.ContainsFunc(all, func(v fault.Violation) bool { return fault.Code(v.Code) != code }) {
		code = fault.InvalidArgument
	}
	if len(all) == 1 {
		return hinted(fault.New(code, "In %s: %s", all[0].Field, all[0].Reason)).WithViolations(all...)
	}
	return hinted(fault.New(code, "%d things are wrong with the configuration, and nothing was done.", len(all))).WithViolations(all...)
}

// hinted says what helps where the general hint is for those who have no file.
func hinted(f *fault.Error) *fault.Error {
	if f.Code == fault.ManagedByFile {
		return f.WithHint("Apply with --take-over to have it managed by this file from now on, or leave it to the other.")
	}
	return f
}

func nameKey(k declare.Kind, name string) string { return string(k) + "/" + name }

// fewObjects is up to how many objects of a kind are read one by one rather than all that there are.
const fewObjects = 20

// read reads what is there of what the files name, and who owns it.
func (r *run) read(ctx context.Context) error {
	owned, err := r.store.Owned(ctx, r.in.doc.Owner)
	if err != nil {
		return err
	}
	names := map[declare.Kind][]string{}
	for _, o := range r.in.doc.Objects {
		names[o.Kind] = append(names[o.Kind], o.Name)
	}
	for _, o := range owned {
		r.owned[nameKey(declare.Kind(o.Kind), o.ID)] = o
		r.had[nameKey(declare.Kind(o.Kind), o.Name)] = true
	}
	for k, all := range names {
		if err := r.readKind(ctx, k, all); err != nil {
			return err
		}
	}
	var kinds, ids []string
	for _, o := range r.in.doc.Objects {
		if now := r.now[nameKey(o.Kind, o.Name)]; now != nil {
			kinds, ids = append(kinds, string(o.Kind)), append(ids, objectID(o.Kind, now))
		}
	}
	others, err := r.store.OwnedOf(ctx, kinds, ids)
	for _, o := range others {
		r.owned[nameKey(declare.Kind(o.Kind), o.ID)] = o
	}
	return err
}

func (r *run) readKind(ctx context.Context, k declare.Kind, names []string) error {
	kind := r.services.kind(k)
	if kind.list == nil || kind.get != nil && len(names) <= fewObjects {
		for _, name := range names {
			now, err := kind.get(ctx, name)
			if absent(err) {
				continue
			}
			if err != nil {
				return err
			}
			if k == declare.Settings || declare.NameOf(k, configForm(k, now)) == name { // not what has the name as an alias or an id
				r.now[nameKey(k, name)] = now
			}
		}
		return nil
	}
	all, err := listAll(ctx, kind)
	for _, now := range all {
		r.now[nameKey(k, declare.NameOf(k, now))] = now
	}
	return err
}

func listAll(ctx context.Context, kind configKind) (all []proto.Message, err error) {
	if kind.list == nil {
		one, err := kind.get(ctx, "")
		return []proto.Message{one}, err
	}
	for token := ""; ; {
		page, next, err := kind.list(ctx, token)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if token = next; token == "" {
			return all, nil
		}
	}
}

// make creates and updates the objects of a kind. What fails is tried again as long as others succeed: one may be in the way of
// another.
func (r *run) make(ctx context.Context, k declare.Kind) (own []store.Owned, err error) {
	var todo []*wanted
	for _, o := range r.in.doc.Objects {
		if o.Kind == k {
			todo = append(todo, &wanted{Object: o})
		}
	}
	if len(todo) > 0 && !allowed(ctx, r.services.kind(k).permission) {
		r.fail(todo[0].Object, fault.New(fault.PermissionDenied, "You may not change %s.", k.Section()))
		return nil, nil
	}
	kind := r.services.kind(k)
	first := map[string]error{}
	changes := map[string]*controlv1.ConfigChange{}
	order := todo
	for len(todo) > 0 {
		var again []*wanted
		for _, w := range todo {
			change, after, err := r.one(ctx, kind, w)
			if err != nil {
				if _, ok := asFault(err); !ok && !isViolation(err) {
					return nil, err
				}
				if first[w.Name] == nil {
					first[w.Name] = err
				}
				again = append(again, w)
				continue
			}
			changes[w.Name] = change
			settings, err := canonical(configForm(k, after))
			if err != nil {
				return nil, err
			}
			own = append(own, store.Owned{Kind: string(k), ID: objectID(k, after), Name: w.Name, Settings: settings})
		}
		if len(again) == len(todo) {
			for _, w := range again {
				r.fail(w.Object, first[w.Name])
			}
			break
		}
		todo = again
	}
	for _, w := range order {
		if c := changes[w.Name]; c != nil {
			r.out.changes = append(r.out.changes, c)
		}
		if w.secret != "" {
			r.out.keys[w.Name] = w.secret
		}
	}
	return own, nil
}

func isViolation(err error) bool {
	_, ok := errors.AsType[*protovalidate.ValidationError](err)
	return ok
}

// one creates or updates an object, if it is not as it should be.
func (r *run) one(ctx context.Context, kind configKind, w *wanted) (*controlv1.ConfigChange, proto.Message, error) {
	now := r.now[nameKey(w.Kind, w.Name)]
	change := &controlv1.ConfigChange{Change: controlv1.ChangeKind_CHANGE_KIND_NONE, Kind: string(w.Kind), Name: w.Name}
	key, isKey := now.(*controlv1.Key)
	if isKey && len(w.SHA256) > 0 {
		skip, err := r.sameSecret(ctx, w, key)
		if skip || err != nil {
			return change, now, err
		}
	}
	if isKey && key.GetRevokeTime() != nil {
		return nil, nil, fault.New(fault.FailedPrecondition, "The key %s was revoked, for good: give the new one another name.", w.Name)
	}
	r.complete(w, now)
	if now == nil {
		after, err := kind.create(ctx, w)
		if err != nil {
			return nil, nil, err
		}
		change.Change, change.Drift = controlv1.ChangeKind_CHANGE_KIND_CREATE, r.had[nameKey(w.Kind, w.Name)]
		change.Fields = fieldChanges(nil, &declare.Object{Kind: w.Kind, Name: w.Name, Message: declare.Minimal(w.Message, configNormal(w.Kind)), From: w.From})
		return change, after, nil
	}
	id := objectID(w.Kind, now)
	held, isOwned := r.owned[nameKey(w.Kind, id)]
	if isOwned && held.Owner != r.in.doc.Owner && !r.in.takeOver {
		return nil, nil, fault.New(fault.ManagedByFile, "The %s %s is managed by %s: apply with --take-over to have it managed by %s.", w.Kind, w.Name, held.Owner, r.in.doc.Owner)
	}
	before := configForm(w.Kind, now)
	if err := r.compareSecret(ctx, w, now); err != nil {
		return nil, nil, err
	}
	if proto.Equal(before, w.normal) && !w.rotate {
		return change, now, nil
	}
	after, err := kind.update(ctx, w, now)
	if err != nil {
		return nil, nil, err
	}
	next := configForm(w.Kind, after)
	change.Fields = fieldChanges(&declare.Object{Kind: w.Kind, Name: w.Name, Message: before}, &declare.Object{Kind: w.Kind, Name: w.Name, Message: next})
	if w.rotate {
		change.Fields = append(change.Fields, &controlv1.ConfigFieldChange{Path: "value", Before: "(changed)", After: "(changed)"})
	}
	if len(change.GetFields()) == 0 {
		return change, after, nil
	}
	change.Change = controlv1.ChangeKind_CHANGE_KIND_UPDATE
	change.Drift = isOwned && held.Owner == r.in.doc.Owner && drifted(w.Kind, held.Settings, before)
	if e, ok := before.(*controlv1.Endpoint); ok {
		n, _ := next.(*controlv1.Endpoint)
		r.out.repriced = append(r.out.repriced, repricedEndpoint{id, e.GetPrice(), n.GetPrice(), change})
	}
	return change, after, nil
}

// sameSecret compares a key that callers hold already with the one that is there. One that was revoked stays so, whatever files say:
// its callers were meant to be shut out.
func (r *run) sameSecret(ctx context.Context, w *wanted, key *controlv1.Key) (skip bool, err error) {
	note := func(text string) {
		r.out.notes = append(r.out.notes, &controlv1.ConfigNote{
			Level: controlv1.NoteLevel_NOTE_LEVEL_WARNING, File: w.Place.File, Line: int32(w.Place.Line), Path: "key " + w.Name, Text: text,
		})
	}
	if key.GetRevokeTime() != nil {
		note("It was revoked, and stays so.")
		return true, nil
	}
	hash, err := r.store.KeyHash(ctx, key.GetId())
	if err == nil && !bytes.Equal(hash, w.SHA256) {
		note("It has another secret here: it was given a new one since, or it is another key of that name.")
	}
	return false, err
}

// complete fills in what a file leaves to the server, and what was sent beside it.
func (r *run) complete(w *wanted, now proto.Message) {
	m := proto.Clone(w.Message)
	switch v := m.(type) {
	case *controlv1.CreateSecretRequest:
		if value, ok := r.in.secrets[w.Name]; ok && w.From != "" {
			w.value = &value
		}
		if was, ok := now.(*controlv1.Secret); ok && v.GetReference() == "" && w.value == nil {
			v.Reference = was.GetReference()
		}
	case *controlv1.Budget:
		if was, ok := now.(*controlv1.Budget); ok && v.GetTimeZone() == "" {
			v.TimeZone = was.GetTimeZone()
		}
	case *controlv1.Settings:
		if was, ok := now.(*controlv1.Settings); ok {
			whole, _ := configForm(declare.Settings, was).(*controlv1.Settings)
			for _, name := range w.Given {
				take(whole.ProtoReflect(), v.ProtoReflect(), []string{name})
			}
			m = whole
		}
	}
	w.normal = configNormal(w.Kind)(m)
}

// compareSecret finds out whether a value that was sent is the one that is stored. The one is opened for no longer than that takes.
func (r *run) compareSecret(ctx context.Context, w *wanted, now proto.Message) error {
	secret, ok := now.(*controlv1.Secret)
	if !ok || w.value == nil {
		return nil
	}
	w.rotate = true
	if secret.GetReference() != "" {
		return nil
	}
	envelope, err := r.store.SecretEnvelope(ctx, secret.GetName())
	if err != nil {
		return err
	}
	stored, err := r.vault.Open(secret.GetId(), envelope)
	if err != nil {
		return nil //nolint:nilerr // what cannot be opened any more is replaced by what was sent
	}
	w.rotate = subtle.ConstantTimeCompare(stored, []byte(*w.value)) != 1
	return nil
}

// drifted says whether an object is not as its file said when it was last applied.
func drifted(k declare.Kind, settings json.RawMessage, now proto.Message) bool {
	applied := k.New()
	if err := protojson.Unmarshal(settings, applied); err != nil {
		return false // written by another version, in a form of which this one knows nothing
	}
	return !proto.Equal(configNormal(k)(applied), now)
}

// canonical is an object as it is kept, to tell later whether it is still so.
func canonical(m proto.Message) (json.RawMessage, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write settings: %w", err)
	}
	return raw, nil
}

func fieldChanges(before, after *declare.Object) (out []*controlv1.ConfigFieldChange) {
	for _, c := range declare.Changes(before, after) {
		out = append(out, &controlv1.ConfigFieldChange{Path: c.Path, Before: c.Before, After: c.After})
	}
	return out
}

// goners are what the owner had and the files do not name any more.
func (r *run) goners() (out []store.Owned) {
	if !r.in.prune {
		return nil
	}
	named := map[string]bool{}
	for _, o := range r.in.doc.Objects {
		named[nameKey(o.Kind, o.Name)] = true
		if now := r.now[nameKey(o.Kind, o.Name)]; now != nil {
			named["id "+nameKey(o.Kind, objectID(o.Kind, now))] = true
		}
	}
	for key, o := range r.owned {
		if o.Owner == r.in.doc.Owner && !named["id "+key] && !named[nameKey(declare.Kind(o.Kind), o.Name)] {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b store.Owned) int {
		if d := declare.Kind(b.Kind).Rank() - declare.Kind(a.Kind).Rank(); d != 0 {
			return d
		}
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}

func splitGoners(all []store.Owned) (early, late []store.Owned) {
	for _, o := range all {
		switch declare.Kind(o.Kind) {
		case declare.Limit, declare.Budget, declare.Endpoint, declare.Price:
			early = append(early, o)
		default:
			late = append(late, o)
		}
	}
	return early, late
}

// remove deletes objects, or revokes them if they are keys. What is not there any more is gone all the same.
func (r *run) remove(ctx context.Context, all []store.Owned) error {
	for _, o := range all {
		k := declare.Kind(o.Kind)
		if k.Rank() < 0 {
			continue
		}
		kind := r.services.kind(k)
		object := &declare.Object{Kind: k, Name: o.Name}
		if !allowed(ctx, kind.permission) {
			r.fail(object, fault.New(fault.PermissionDenied, "You may not change %s.", k.Section()))
			continue
		}
		gone, err := isRevoked(ctx, k, kind, o.ID)
		if err == nil && !gone {
			err = kind.remove(ctx, o.ID)
		}
		switch {
		case gone:
			continue
		case absent(err):
			continue
		case err != nil:
			if _, ok := asFault(err); !ok {
				return err
			}
			r.fail(object, err)
			continue
		}
		if k != declare.Settings {
			r.out.changes = append(r.out.changes, &controlv1.ConfigChange{Change: controlv1.ChangeKind_CHANGE_KIND_DELETE, Kind: o.Kind, Name: o.Name})
		}
	}
	return nil
}

// isRevoked says whether a key is revoked already, which is as good as gone.
func isRevoked(ctx context.Context, k declare.Kind, kind configKind, id string) (bool, error) {
	if k != declare.Key {
		return false, nil
	}
	now, err := kind.get(ctx, id)
	if err != nil {
		return false, err
	}
	key, _ := now.(*controlv1.Key)
	return key.GetRevokeTime() != nil, nil
}

// fail notes what is wrong with an object, at its place in the file.
func (r *run) fail(o *declare.Object, err error) {
	if v, ok := errors.AsType[*protovalidate.ValidationError](err); ok {
		err = shape(v)
	}
	f, ok := asFault(err)
	if !ok {
		return
	}
	at := func(field string) string {
		p := o.At(fieldOf(o.Kind, field))
		where := p.String()
		if p.File == "" {
			where = string(o.Kind) + "/" + o.Name
		}
		if p.Path != "" {
			where += " " + p.Path
		}
		return where
	}
	if len(f.Violations) == 0 && (f.Code != fault.ObjectNotFound || !r.follows(f.Message)) {
		r.bad = append(r.bad, fault.Violation{Field: at(""), Code: string(f.Code), Reason: f.Message})
	}
	for _, v := range f.Violations {
		if v.Code == registry.Unknown && r.follows(v.Reason) {
			continue // it is there once what is wrong with it is put right
		}
		reason := strings.TrimPrefix(v.Reason, v.Field[lastDot(v.Field)+1:]+": ") // the field has a place of its own
		r.bad = append(r.bad, fault.Violation{Field: at(v.Field), Code: v.Code, Reason: reason})
	}
	r.lost[o.Name] = true
}

func lastDot(field string) int { return strings.LastIndexByte(field, '.') }

// follows says whether a reason names an object with which something is wrong itself.
func (r *run) follows(reason string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(reason, func(c rune) bool { return strings.ContainsRune(` ",:`, c) }), func(word string) bool {
		return r.lost[word] || r.lost[strings.TrimSuffix(word, ".")]
	})
}

// fieldOf is the field of an object by that of the request which held it.
func fieldOf(k declare.Kind, field string) string {
	for _, prefix := range []string{string(k) + ".", "price."} {
		if rest, ok := strings.CutPrefix(field, prefix); ok && rest != "" && (prefix != "price." || k == declare.Price) {
			return rest
		}
	}
	return field
}

// allowed says whether the caller may do something everywhere.
func allowed(ctx context.Context, p controlv1.Permission) bool {
	return access.From(ctx).Scope(p).Everywhere
}

// digest tells plans apart by what they do.
func (o *outcome) digest() ([]byte, error) {
	h := sha256.New()
	for _, c := range o.changes {
		if c.GetChange() == controlv1.ChangeKind_CHANGE_KIND_NONE {
			continue
		}
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("digest of plan: %w", err)
		}
		fmt.Fprintf(h, "%d ", len(raw))
		h.Write(raw)
	}
	return h.Sum(nil), nil
}

// anything says whether there is something to do.
func (o *outcome) anything() bool {
	return slices.ContainsFunc(o.changes, func(c *controlv1.ConfigChange) bool { return c.GetChange() != controlv1.ChangeKind_CHANGE_KIND_NONE })
}

func unique(all []string) []string {
	slices.Sort(all)
	return slices.Compact(all)
}
