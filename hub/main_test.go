package hub

import (
	"testing"

	"go.uber.org/goleak"
)

// Every goroutine ends with its test.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
