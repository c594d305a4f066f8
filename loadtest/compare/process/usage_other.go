//go:build !linux

package process

import (
	"errors"
	"time"
)

var errLinuxOnly = errors.New("what a process takes can be read on Linux only")

// CPU is what the process and all below it have used.
func (p *Process) CPU() (time.Duration, error) { return 0, errLinuxOnly }

// RSS is the memory of the process and all below it that is resident, in bytes.
func (p *Process) RSS() (int64, error) { return 0, errLinuxOnly }
