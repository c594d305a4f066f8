//go:build !linux

package devpg

import "syscall"

func dieWithParent(*syscall.SysProcAttr) {}

// tieToParent makes up for what only Linux's kernel does.
func tieToParent(pid int) (release func(), err error) { return watch(pid) }
