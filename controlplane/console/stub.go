//go:build noconsole

package console

import (
	"embed"
	"io/fs"
)

//go:embed stub
var stub embed.FS

// Built says whether this binary has the console.
const Built = false

// builtFiles are one page that says why there is no more.
func builtFiles() fs.FS {
	files, err := fs.Sub(stub, "stub")
	if err != nil {
		panic(err) // "stub" is a valid path
	}
	return files
}
