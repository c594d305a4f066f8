package telemetry

import "runtime/debug"

// version is set by release builds:
// -ldflags "-X tollgate/internal/telemetry.version=v1.2.3".
var version string

// Version names the build: the released version, else the commit it was built
// from, with "-dirty" if files had changed since, else "devel".
func Version() string {
	info, _ := debug.ReadBuildInfo()
	return versionOf(version, info)
}

func versionOf(released string, info *debug.BuildInfo) string {
	if released != "" {
		return released
	}
	if info == nil {
		return "devel"
	}
	var revision, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if revision != "" {
		return revision + dirty
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	return "devel"
}
