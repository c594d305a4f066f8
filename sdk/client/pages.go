package client

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Page is what a List method answers.
type Page interface {
	proto.Message
	GetNextPageToken() string
}

// All goes through everything that a List method has, however many pages that are, and reads a page when the one before it has
// been gone through. It ends with the first error.
//
//	for key, err := range client.All(ctx, tg.Keys.ListKeys, &controlv1.ListKeysRequest{Filter: "status:active"},
//		(*controlv1.ListKeysResponse).GetKeys) {
//
// What is created or deleted meanwhile may be there or not; everything else comes once.
func All[Q proto.Message, P Page, T any](ctx context.Context, list func(context.Context, Q) (P, error), req Q, items func(P) []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		q, ok := proto.Clone(req).(Q)
		if !ok || !q.ProtoReflect().IsValid() {
			yield(none, errors.New("a list needs a request, which may be empty"))
			return
		}
		token := q.ProtoReflect().Descriptor().Fields().ByName("page_token")
		if token == nil || token.Kind() != protoreflect.StringKind {
			yield(none, fmt.Errorf("%s asks for no pages", q.ProtoReflect().Descriptor().Name()))
			return
		}
		for {
			page, err := list(ctx, q)
			if err != nil {
				yield(none, err)
				return
			}
			for _, item := range items(page) {
				if !yield(item, nil) {
					return
				}
			}
			next := page.GetNextPageToken()
			switch next {
			case "":
				return
			case q.ProtoReflect().Get(token).String():
				yield(none, errors.New("the server answers with the same page again"))
				return
			}
			q.ProtoReflect().Set(token, protoreflect.ValueOfString(next))
		}
	}
}
