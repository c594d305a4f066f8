package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// machine says in a line what everything ran on.
func machine(ctx context.Context) string {
	kernel, _ := exec.CommandContext(ctx, "uname", "-sr").Output() // unknown without
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo")
	return fmt.Sprintf("%s, %d cores, %s, %s, a load of %s before", processor(string(cpuinfo)), runtime.NumCPU(), strings.TrimSpace(string(kernel)),
		runtime.Version(), loadBefore())
}

// loadBefore is how many wanted a processor in the minute before: what a run shared the machine with.
func loadBefore() string {
	text, _ := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(text)); len(fields) > 0 {
		return fields[0]
	}
	return "unknown"
}

// processor is the name of the first one.
func processor(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// versions are those of what is compared, by name.
func (f *field) versions() map[string]string {
	list := map[string]string{}
	for _, p := range f.proxies {
		list[p.name] = p.version
	}
	return list
}
