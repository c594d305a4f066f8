//go:build !linux

package usage

import (
	"errors"
	"time"
)

var errLinuxOnly = errors.New("what a process takes can be read on Linux only")

// CPU is what a process and all below it have used.
func CPU(int) (time.Duration, error) { return 0, errLinuxOnly }

// RSS is the memory of a process and all below it that is resident, in bytes.
func RSS(int) (int64, error) { return 0, errLinuxOnly }
