package spool_test

import (
	"runtime"
	"syscall"
	"testing"

	"tollgate/edge/spool"
	"tollgate/internal/contract"
)

func cpu() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(1, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

func BenchmarkQ(b *testing.B) {
	for _, kind := range []string{"pair", "bare"} {
		b.Run(kind, func(b *testing.B) {
			s := benchSpool(b, spool.Mapped(b.TempDir()))
			i, end := benchIntent(), ok(1)
			if kind == "bare" {
				i = &spool.Intent{Request: i.Request, Attempt: 1, At: i.At, KeyID: "key_01", EndpointID: "ep_01", PriceVersion: 7, Amount: 1000, Draws: []contract.Draw{i.Draws[0]}}
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			b.ResetTimer()
			from := cpu()
			for range b.N {
				if err := request(s, i, end); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu()-from)/float64(b.N), "cpu-ns/op")
		})
	}
}
