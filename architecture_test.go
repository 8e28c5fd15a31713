package xme_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The table of packages in docs/architecture.md has every package, each in its layer.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| (\\d+) \\| (`.+?) \\| ").FindAllStringSubmatch(string(text), -1) {
		layer, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		for name := range strings.SplitSeq(m[2], ",") {
			shown[strings.Trim(name, " `")] = layer
		}
	}
	for i, layer := range layers {
		for _, pkg := range layer {
			switch pkg {
			case ".":
				pkg = "xme"
			case "examples/*/*", "scripts", "bench/peers/*": // as the others of their layer
				continue
			}
			if got, ok := shown[pkg]; !ok || got != i {
				t.Errorf("package %s is of layer %d; the page has it in %d (%v)", pkg, i, got, ok)
			}
			delete(shown, pkg)
		}
	}
	for pkg := range shown {
		t.Errorf("there is no package %s", pkg)
	}
}
