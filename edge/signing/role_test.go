package signing

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/edge/routing"
	"tollgate/internal/fault"
	"tollgate/internal/testenv/sigv4"
)

const roleARN = "arn:aws:iam::123456789012:role/models"

// answerOf is what AssumeRole answers.
func answerOf(id string, ends time.Time) string {
	return `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>` +
		`<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/models/tollgate</Arn></AssumedRoleUser>` +
		`<Credentials><AccessKeyId>` + id + `</AccessKeyId><SecretAccessKey>secret-of-` + id + `</SecretAccessKey>` +
		`<SessionToken>token-of-` + id + `</SessionToken><Expiration>` + ends.UTC().Format(time.RFC3339) + `</Expiration></Credentials>` +
		`</AssumeRoleResult></AssumeRoleResponse>`
}

// service plays the one that gives roles.
type service struct {
	t      *testing.T
	asked  atomic.Int64
	refuse atomic.Pointer[string] // answered with status 403
	broken atomic.Pointer[error]
	wait   atomic.Pointer[chan struct{}] // before it answers
}

func (s *service) post(ctx context.Context, target *routing.Target, uri string, headers []Header, body []byte) (int, []byte, error) {
	n := s.asked.Add(1)
	r := sigv4.Received{Method: "POST", URI: uri, Headers: [][2]string{{"Host", target.Host}}, Body: body}
	for _, h := range headers {
		r.Headers = append(r.Headers, [2]string{h.Name, h.Value})
	}
	if says, err := sigv4.Verify(r, "static-secret"); err != nil || says.Service != "sts" || says.KeyID != "AKIASTATIC" || says.Region != "eu-west-1" {
		s.t.Errorf("%+v, %v", says, err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("Action") != "AssumeRole" || form.Get("RoleArn") != roleARN || form.Get("ExternalId") != "ext/1" || form.Get("RoleSessionName") == "" {
		s.t.Errorf("form %v, %v", form, err)
	}
	if wait := s.wait.Load(); wait != nil {
		select {
		case <-*wait:
		case <-ctx.Done():
			return 0, nil, ctx.Err()
		}
	}
	switch code := s.refuse.Load(); {
	case s.broken.Load() != nil:
		return 0, nil, *s.broken.Load()
	case code != nil:
		return 403, []byte(`<ErrorResponse><Error><Type>Sender</Type><Code>` + *code + `</Code><Message>User: arn:aws:iam::1:user/x is not authorized</Message></Error></ErrorResponse>`), nil
	default:
		return 200, []byte(answerOf(fmt.Sprintf("ASIA%d", n), time.Now().Add(time.Hour))), nil
	}
}

func withRole(t *testing.T) (*Signers, *service, *routing.Signing) {
	t.Helper()
	s := &service{t: t}
	return New(s.post), s, &routing.Signing{
		Service: "bedrock", Region: "eu-west-1", AccessKeyID: "AKIASTATIC", SecretAccessKey: "static-secret",
		RoleARN: roleARN, ExternalID: "ext/1", STS: &routing.Target{Scheme: "https", Host: "sts.eu-west-1.amazonaws.com"}, Key: "k",
	}
}

var anyRequest = &Request{Method: "GET", Scheme: "https", Host: "h.example", URI: "/"}

// by is whose credentials sign now.
func by(ctx context.Context, t *testing.T, s *Signers, with *routing.Signing) string {
	t.Helper()
	got, err := s.Sign(ctx, with, anyRequest)
	if err != nil {
		t.Fatal(err)
	}
	says, err := sigv4.Read(received(anyRequest, got))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sigv4.Verify(received(anyRequest, got), "secret-of-"+says.KeyID); err != nil || says.Token != "token-of-"+says.KeyID {
		t.Errorf("%+v, %v", says, err)
	}
	return says.KeyID
}

// Guarantee: a role is asked for once, and again five minutes before its credentials end, by one request;
// the others go on with what is there.
func TestRoleIsRenewedByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, sts, with := withRole(t)
		for range 3 {
			if got := by(t.Context(), t, s, with); got != "ASIA1" {
				t.Errorf("signed by %s", got)
			}
		}
		time.Sleep(55*time.Minute + time.Second)
		wait := make(chan struct{})
		sts.wait.Store(&wait)
		done := make(chan string)
		go func() { done <- by(t.Context(), t, s, with) }()
		synctest.Wait()
		if got := by(t.Context(), t, s, with); got != "ASIA1" {
			t.Errorf("meanwhile signed by %s", got)
		}
		close(wait)
		if got := <-done; got != "ASIA2" {
			t.Errorf("then signed by %s", got)
		}
		if got := by(t.Context(), t, s, with); got != "ASIA2" || sts.asked.Load() != 2 {
			t.Errorf("signed by %s, asked %d times", got, sts.asked.Load())
		}
	})
}

// Guarantee: requests that all need the first credentials ask once; one that leaves takes nobody's away.
func TestFirstCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, sts, with := withRole(t)
		wait := make(chan struct{})
		sts.wait.Store(&wait)
		leaving, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := s.Sign(leaving, with, anyRequest)
			left <- err
		}()
		synctest.Wait()
		done := make(chan string, 5)
		for range 5 {
			go func() { done <- by(t.Context(), t, s, with) }()
		}
		synctest.Wait()
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("the one who left got %v", err)
		}
		synctest.Wait()
		close(wait)
		for range 5 {
			if got := <-done; got != "ASIA2" {
				t.Errorf("signed by %s", got)
			}
		}
		if sts.asked.Load() != 2 {
			t.Errorf("asked %d times", sts.asked.Load())
		}
	})
}

// Guarantee: while roles cannot be had, old credentials are used as long as they are good, then requests are
// refused with the cause; a service in trouble is not asked by each of them.
func TestRoleCannotBeHad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, sts, with := withRole(t)
		by(t.Context(), t, s, with)
		code := "AccessDenied"
		sts.refuse.Store(&code)
		time.Sleep(56 * time.Minute)
		for range 10 {
			if got := by(t.Context(), t, s, with); got != "ASIA1" {
				t.Errorf("signed by %s", got)
			}
		}
		if sts.asked.Load() != 2 {
			t.Errorf("asked %d times", sts.asked.Load())
		}
		time.Sleep(4 * time.Minute)
		for range 10 {
			_, err := s.Sign(t.Context(), with, anyRequest)
			f := fault.From(err)
			if f.Code != fault.UpstreamUnreachable || f.Message != "AWS refused to let the role "+roleARN+" be assumed: AccessDenied." {
				t.Errorf("%v", err)
			}
		}
		if sts.asked.Load() != 3 {
			t.Errorf("asked %d times", sts.asked.Load())
		}
		time.Sleep(2 * time.Second)
		sts.refuse.Store(nil)
		if got := by(t.Context(), t, s, with); got != "ASIA4" {
			t.Errorf("signed by %s", got)
		}
	})
}

// Guarantee: what is said about a role that cannot be had shows no secret and nothing that AWS says in more
// than a word.
func TestWhatIsSaidOfRoles(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		answer string
		err    error
		want   string
	}{
		"refused":       {403, "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>secret text</Message></Error></ErrorResponse>", nil, "ExpiredToken."},
		"odd code":      {403, "<ErrorResponse><Error><Code>secret text</Code></Error></ErrorResponse>", nil, "status 403."},
		"no answer":     {0, "", errors.New("sts.example gave no answer: connection refused"), "could not be assumed: sts.example gave no answer: connection refused."},
		"another page":  {200, "<html>secret text</html>", nil, "the answer is not what AssumeRole answers."},
		"no token":      {200, strings.ReplaceAll(answerOf("A", time.Now().Add(time.Hour)), "token-of-A", ""), nil, "the answer has no whole credentials in it."},
		"line feed":     {200, strings.ReplaceAll(answerOf("A", time.Now().Add(time.Hour)), "token-of-A", "to&#10;ken"), nil, "the answer has no whole credentials in it."},
		"no end":        {200, strings.ReplaceAll(answerOf("A", time.Now().Add(time.Hour)), "<Expiration>", "<Expiration>secret"), nil, "the answer does not say when the credentials end."},
		"ended already": {200, answerOf("A", time.Now().Add(-time.Hour)), nil, "have ended already, by the clock of this edge."},
	} {
		_, _, with := withRole(t)
		s := New(func(context.Context, *routing.Target, string, []Header, []byte) (int, []byte, error) {
			return tc.status, []byte(tc.answer), tc.err
		})
		_, err := s.Sign(t.Context(), with, anyRequest)
		f := fault.From(err)
		if f.Status() != 502 || !strings.HasSuffix(f.Message, tc.want) || !strings.Contains(f.Message, roleARN) || strings.Contains(f.Message, "secret") {
			t.Errorf("%s: %d %q", name, f.Status(), f.Message)
		}
	}
}

// Guarantee: no answer makes credentials that could not stand in a request.
func FuzzGranted(f *testing.F) {
	f.Add([]byte(answerOf("ASIA1", instant)))
	f.Add([]byte("<AssumeRoleResponse/>"))
	f.Add([]byte("<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if got := refusal(403, answer); len(got) > 80 {
			t.Errorf("%q is too long to be shown", got)
		}
		got, err := granted(answer)
		if err != nil {
			return
		}
		for _, part := range []string{got.AccessKeyID, got.SecretAccessKey, got.SessionToken} {
			if part == "" || slices.ContainsFunc([]byte(part), func(c byte) bool { return c <= ' ' || c >= 0x7f }) {
				t.Errorf("credentials have %q", part)
			}
		}
		if got.Expires.IsZero() && !strings.Contains(string(answer), "0001") {
			t.Error("they never end")
		}
	})
}
