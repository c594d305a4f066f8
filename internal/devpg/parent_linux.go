package devpg

import "syscall"

// dieWithParent has the kernel end the child together with its parent. SIGINT
// is the server's orderly shutdown.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }

func tieToParent(int) (release func(), err error) { return func() {}, nil }
