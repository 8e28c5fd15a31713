package wire

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Every kind of frame has its row in PROTOCOL.md, by its number.
func TestProtocolListsKinds(t *testing.T) {
	text, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	for k := Kind(1); k < kindEnd; k++ {
		if row := fmt.Sprintf("\n| %d %v |", k, k); strings.Count(string(text), row) != 1 {
			t.Errorf("PROTOCOL.md has no row, or several, that begin with %q", row[1:])
		}
	}
}
