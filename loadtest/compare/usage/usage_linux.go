package usage

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is what a process and all below it have used, in user and in system mode. It is read from the clocks that the
// kernel has for processes: the same sum as utime and stime of /proc/PID/stat, in nanoseconds and not in ticks of 10 ms.
func CPU(root int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range tree(root) {
		d, err := cpu(pid)
		if err != nil {
			return 0, fmt.Errorf("CPU of process %d: %w", pid, err)
		}
		sum += d
	}
	return sum, nil
}

// cpu is that of one process with all its threads, also of those that have ended.
func cpu(pid int) (time.Duration, error) {
	const byScheduler = 2 // CPUCLOCK_SCHED of the kernel
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|byScheduler), &ts); err != nil {
		return 0, err
	}
	return time.Duration(ts.Nano()), nil
}

// RSS is the memory of a process and all below it that is resident, in bytes. Pages that several of them share count once
// for each, which differences do not show.
func RSS(root int) (int64, error) {
	var sum int64
	for _, pid := range tree(root) {
		raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
		if err != nil {
			return 0, fmt.Errorf("memory of process %d: %w", pid, err)
		}
		pages, err := resident(raw)
		if err != nil {
			return 0, fmt.Errorf("memory of process %d: %w", pid, err)
		}
		sum += pages * int64(os.Getpagesize())
	}
	return sum, nil
}

// resident is the second number of statm.
func resident(statm []byte) (int64, error) {
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0, fmt.Errorf("%q has no second number", statm)
	}
	return strconv.ParseInt(string(fields[1]), 10, 64)
}

// tree is a process and all below it.
func tree(root int) []int {
	parents := map[int]int{}
	entries, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range entries {
		raw, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		if pid, parent, ok := parentOf(raw); ok {
			parents[pid] = parent
		}
	}
	list := []int{root}
	for i := 0; i < len(list); i++ {
		for pid, parent := range parents {
			if parent == list[i] {
				list = append(list, pid)
			}
		}
	}
	slices.Sort(list)
	return list
}

// parentOf reads who a process is, and whose. Its name, in parentheses, may hold anything, further ones included.
func parentOf(stat []byte) (pid, parent int, ok bool) {
	open, shut := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || shut < open {
		return 0, 0, false
	}
	after := bytes.Fields(stat[shut+1:])
	if len(after) < 2 {
		return 0, 0, false
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(stat[:open])))
	if err != nil {
		return 0, 0, false
	}
	parent, err = strconv.Atoi(string(after[1]))
	return pid, parent, err == nil
}
