//go:build !noconsole

package console

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Built says whether this binary has the console.
const Built = true

// builtFiles are the files of the console.
func builtFiles() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // "dist" is a valid path
	}
	return files
}
