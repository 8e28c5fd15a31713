package xme_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/xenonmp/xme"

// layers lists the module's packages, lowest first; a package imports lower layers only, never its own. "." is the
// root package, "*" stands for one folder. A new package is placed here.
var layers = [][]string{
	{"internal/sys", "internal/logmark", "internal/drain", "internal/latch", "internal/long", "internal/text"},
	{"internal/dump", "internal/life", "internal/region", "internal/ring", "internal/park", "internal/inherit"},
	{"internal/wire"},
	{"internal/post"},
	{"internal/link"},
	{"internal/proc"},
	{"xmelog"},
	{"."},
	{"shm"},
	{"manager"},
	{"monitor"},
	{"xmetest", "progress"},
	{"monitor/rpc/internal/xmev1"},
	{"monitor/rpc/internal/xmev1/xmev1connect"},
	{"monitor/rpc", "mpi"},
	{"scripts/procs"},
	{"cmd/*", "docs", "examples/*", "examples/*/*", "scripts", "scripts/*", "bench/peers/*"},
}

// outside says where imports from outside the module may stand. Standard packages not named here are free.
var outside = []struct {
	module string   // this path and all below it
	in     []string // only in these packages
	tests  bool     // and in every test file
}{
	{"golang.org/x/sys", []string{"internal/sys"}, true}, // the one door to the kernel
	{"golang.org/x/term", []string{"progress", "cmd/*"}, false},
	{"github.com/fxamacker/cbor/v2", []string{"internal/wire"}, false},
	{"github.com/alecthomas/kong", []string{"cmd/*"}, false},
	{"github.com/vbauerster/mpb/v8", []string{"progress", "examples/*"}, false},
	{"connectrpc.com/connect/v2", []string{"monitor/rpc", "monitor/rpc/internal/xmev1/xmev1connect", "cmd/*", "bench/peers/*"}, true}, // a floor of cmd/xme's bench too
	{"google.golang.org/protobuf", []string{"monitor/rpc", "monitor/rpc/internal/xmev1", "monitor/rpc/internal/xmev1/xmev1connect", "cmd/*", "bench/peers/*"}, true},
	{"go.uber.org/goleak", []string{"xmetest"}, true},
	{"github.com/google/go-cmp", nil, true},
	{"github.com/rogpeppe/go-internal", nil, true},

	{"syscall", []string{"internal/sys", "scripts/*"}, true},                                                                    // what checks the engine does not go through its door
	{"net/http", []string{"monitor/rpc", "cmd/*", "examples/*", "examples/*/*", "scripts", "scripts/*", "bench/peers/*"}, true}, // it triples the start of a worker
	{"net/rpc", []string{"cmd/*", "bench/peers/*"}, true},
	{"google.golang.org/grpc", []string{"bench/peers/*"}, false}, // a module of its own
	{"golang.org/x/tools", []string{"scripts/vet"}, false},       // likewise
	{"encoding/gob", []string{"cmd/*"}, true},
}

// An importSite is one import in one file; each file has one with an empty path besides, so that it is seen at all.
type importSite struct {
	pkg, file, path string // pkg is a folder, "." for the root package
	test            bool
}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, s := range readImports(t) {
		if fault := checkImport(s); fault != "" {
			t.Errorf("%s imports %s: %s", s.file, s.path, fault)
		}
	}
}

// TestImportsFindsViolations keeps TestImports able to fail.
func TestImportsFindsViolations(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		site importSite
		want string
	}{
		"upwards":             {importSite{pkg: "internal/wire", path: modulePath + "/internal/link"}, "not a lower layer"},
		"own layer":           {importSite{pkg: "internal/ring", path: modulePath + "/internal/life"}, "not a lower layer"},
		"internal to root":    {importSite{pkg: "internal/proc", path: modulePath}, "not a lower layer"},
		"downwards":           {importSite{pkg: "shm", path: modulePath + "/internal/wire"}, ""},
		"external test":       {importSite{pkg: "internal/wire", path: modulePath + "/xmetest", test: true}, ""},
		"to an unknown":       {importSite{pkg: "mpi", path: modulePath + "/util"}, "not in the layer table"},
		"example to internal": {importSite{pkg: "examples/pi", path: modulePath + "/internal/sys"}, "an example uses the public surface only"},
		"kernel":              {importSite{pkg: "internal/proc", path: "golang.org/x/sys/unix"}, "allowed only in [internal/sys]"},
		"kernel in a test":    {importSite{pkg: "internal/proc", path: "golang.org/x/sys/unix", test: true}, ""},
		"codec":               {importSite{pkg: ".", path: "github.com/fxamacker/cbor/v2"}, "allowed only in [internal/wire]"},
		"codec at home":       {importSite{pkg: "internal/wire", path: "github.com/fxamacker/cbor/v2"}, ""},
		"command line":        {importSite{pkg: "examples/pi", path: "github.com/alecthomas/kong"}, "allowed only in [cmd/*]"},
		"test library":        {importSite{pkg: "xmetest", path: "github.com/google/go-cmp/cmp"}, "allowed only in tests"},
		"test library there":  {importSite{pkg: "xmetest", path: "github.com/google/go-cmp/cmp", test: true}, ""},
		"not listed":          {importSite{pkg: "cmd/xme", path: "github.com/spf13/cobra"}, "not a listed dependency"},
		"web server":          {importSite{pkg: ".", path: "net/http/httptest"}, "allowed only in [monitor/rpc cmd/* examples/* examples/*/* scripts scripts/* bench/peers/*]"},
		"a name alike":        {importSite{pkg: ".", path: "net/httputil"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := checkImport(tc.site); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestEveryPackageHasALayer holds the table complete: a folder with Go files that has no place in it fails.
func TestEveryPackageHasALayer(t *testing.T) {
	t.Parallel()
	for _, s := range readImports(t) {
		if layerOf(s.pkg) < 0 {
			t.Errorf("%s: package %s is not in the layer table of deps_test.go", s.file, s.pkg)
		}
	}
}

// checkImport says what is wrong with an import, or nothing.
func checkImport(s importSite) string {
	if target, ok := inModule(s.path); ok {
		from, to := layerOf(s.pkg), layerOf(target)
		switch {
		case to < 0:
			return "not in the layer table"
		case matches(s.pkg, "examples/*", "examples/*/*") && strings.HasPrefix(target, "internal/"):
			return "an example uses the public surface only"
		case s.test: // the compiler refuses cycles, and external tests may use what stands above
			return ""
		case to >= from:
			return "not a lower layer"
		}
		return ""
	}
	for _, o := range outside {
		switch {
		case !below(s.path, o.module):
			continue
		case s.test && o.tests, matches(s.pkg, o.in...):
			return ""
		case len(o.in) == 0:
			return "allowed only in tests"
		}
		return "allowed only in [" + strings.Join(o.in, " ") + "]"
	}
	if host, _, _ := strings.Cut(s.path, "/"); strings.Contains(host, ".") {
		return "not a listed dependency"
	}
	return ""
}

// readImports parses every Go file of the tree, for all systems and with nested modules.
func readImports(t *testing.T) []importSite {
	t.Helper()
	var sites []importSite
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && file != "." && (strings.ContainsAny(d.Name()[:1], "._") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(file) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		file = filepath.ToSlash(file)
		site := importSite{pkg: path.Dir(file), file: file, test: strings.HasSuffix(file, "_test.go")}
		sites = append(sites, site)
		for _, spec := range parsed.Imports {
			site.path, err = strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			sites = append(sites, site)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sites
}

func inModule(importPath string) (pkg string, ok bool) {
	if importPath == modulePath {
		return ".", true
	}
	return strings.CutPrefix(importPath, modulePath+"/")
}

func layerOf(pkg string) int {
	return slices.IndexFunc(layers, func(layer []string) bool { return matches(pkg, layer...) })
}

func matches(pkg string, patterns ...string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, pkg)
		return err == nil && ok
	})
}

func below(importPath, module string) bool {
	return importPath == module || strings.HasPrefix(importPath, module+"/")
}
