package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// profileFor is how long the edge is watched.
const profileFor = 10 * time.Second

// profile keeps where the edge's CPU goes while it serves a scenario. It is taken beside the rounds, which it would disturb.
func (f *field) profile(ctx context.Context, s scenario) error {
	one := f.subjects(s)[0]
	job := f.job(s, one)
	job.For = profileFor + time.Second
	c, err := startLoad(ctx, job)
	if err != nil {
		return err
	}
	taken := make(chan error, 1)
	go func() { taken <- fetchProfile(ctx, f.edge.admin, f.o.profile) }()
	_, err = f.finish(ctx, c, one)
	return errors.Join(err, <-taken)
}

func fetchProfile(ctx context.Context, admin, file string) (err error) {
	url := fmt.Sprintf("http://%s/-/debug/pprof/profile?seconds=%d", admin, int(profileFor.Seconds()))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Timeout: 2 * profileFor}).Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the edge answered %s where a profile was asked for", resp.Status)
	}
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o644) //nolint:gosec // a profile holds names of functions, and is read by compilers
}
