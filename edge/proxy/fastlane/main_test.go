package fastlane

import (
	"os"
	"testing"

	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }
