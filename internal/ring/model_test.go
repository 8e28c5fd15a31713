package ring_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The models quote the code that they stand for; what they quote is there.
func TestModelsQuoteTheCode(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("model/*.pml")
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	quote := regexp.MustCompile(`/\* ((?:\w+/)*\w+\.go): (.*?) \*/`)
	code := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		quotes := quote.FindAllStringSubmatch(string(text), -1)
		if len(quotes) < 15 {
			t.Errorf("%s: %d quotes", file, len(quotes))
		}
		for _, q := range quotes {
			name := q[1]
			if strings.Contains(name, "/") {
				name = filepath.Join("..", "..", filepath.FromSlash(name)) // from the module's root
			}
			if code[name] == "" {
				source, err := os.ReadFile(name)
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				code[name] = string(source)
			}
			if !strings.Contains(code[name], strings.TrimSpace(q[2])) {
				t.Errorf("%s quotes %s, which does not say: %s", file, q[1], q[2])
			}
		}
	}
}
