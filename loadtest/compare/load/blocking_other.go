//go:build !linux

package load

import (
	"net"
	"time"
)

func dialBlocking(address string) (net.Conn, error) {
	return (&net.Dialer{Timeout: patience}).Dial("tcp", address)
}

func precise() (release func()) { return func() {} }

func sleep(d time.Duration) { time.Sleep(d) }
