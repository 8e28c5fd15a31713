package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// folders are the public packages, by the name that programs use.
var folders = map[string]string{
	"xme": ".", "shm": "shm", "manager": "manager", "monitor": "monitor", "rpc": "monitor/rpc", "mpi": "mpi",
	"xmelog": "xmelog", "xmetest": "xmetest", "progress": "progress",
}

// goNames are the exported names of the public packages: of each its members, which are fields and methods; nil for what has none of its own.
type goNames map[string]map[string]map[string]bool

// selector is a name of a package's in code: not a part of a path or a longer name.
var selector = regexp.MustCompile(`(^|[^\w./])(xme|shm|manager|monitor|rpc|mpi|xmelog|xmetest|progress)\.([A-Z]\w*)(?:\[[^\]]*\])?(?:\.([A-Z]\w*))?`)

// missing returns the names in a piece of code that no package has.
func (g goNames) missing(code string) []string {
	var all []string
	for _, m := range selector.FindAllStringSubmatch(code, -1) {
		members, ok := g[m[2]][m[3]]
		switch {
		case !ok:
			all = append(all, m[2]+"."+m[3])
		case m[4] != "" && members != nil && !members[m[4]]:
			all = append(all, m[2]+"."+m[3]+"."+m[4])
		}
	}
	return all
}

// readSymbols parses the public packages, for all systems.
func readSymbols(root fs.FS) (goNames, error) {
	all := goNames{}
	for pkg, folder := range folders {
		p := pkgNames{names: map[string]map[string]bool{}, embeds: map[string][]string{}}
		files, err := fs.Glob(root, path.Join(folder, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			text, err := fs.ReadFile(root, f)
			if err != nil {
				return nil, err
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), f, text, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			for _, d := range parsed.Decls {
				p.add(d)
			}
		}
		for name := range p.embeds {
			p.promote(name, name, map[string]bool{})
		}
		all[pkg] = p.names
	}
	return all, nil
}

// pkgNames are one package's, unexported ones among them.
type pkgNames struct {
	names  map[string]map[string]bool
	embeds map[string][]string // of each type the types that it embeds
}

func (p *pkgNames) members(name string) map[string]bool {
	if p.names[name] == nil {
		p.names[name] = map[string]bool{}
	}
	return p.names[name]
}

func (p *pkgNames) add(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			p.names[d.Name.Name] = nil
			return
		}
		p.members(typeName(d.Recv.List[0].Type))[d.Name.Name] = true
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.ValueSpec:
				for _, n := range s.Names {
					p.names[n.Name] = nil
				}
			case *ast.TypeSpec:
				p.addType(s)
			}
		}
	}
}

func (p *pkgNames) addType(s *ast.TypeSpec) {
	if s.Assign.IsValid() { // its members are another's
		p.names[s.Name.Name] = nil
		return
	}
	members := p.members(s.Name.Name)
	var fields *ast.FieldList
	switch t := s.Type.(type) {
	case *ast.StructType:
		fields = t.Fields
	case *ast.InterfaceType:
		fields = t.Methods
	default:
		return
	}
	for _, f := range fields.List {
		for _, n := range f.Names {
			members[n.Name] = true
		}
		if f.Names == nil {
			members[typeName(f.Type)] = true
			p.embeds[s.Name.Name] = append(p.embeds[s.Name.Name], typeName(f.Type))
		}
	}
}

// promote gives a type the members of what it embeds.
func (p *pkgNames) promote(to, from string, seen map[string]bool) {
	for _, e := range p.embeds[from] {
		if seen[e] {
			continue
		}
		seen[e] = true
		for m := range p.names[e] {
			p.members(to)[m] = true
		}
		p.promote(to, e, seen)
	}
}

// typeName is the name of a type without its pointer, its package and its parameters.
func typeName(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.StarExpr:
		return typeName(t.X)
	case *ast.IndexExpr:
		return typeName(t.X)
	case *ast.IndexListExpr:
		return typeName(t.X)
	case *ast.SelectorExpr:
		return t.Sel.Name
	}
	return ""
}
