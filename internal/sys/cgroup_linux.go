package sys

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A group is where a mount shows a control group of this process.
type group struct {
	v2    bool
	name  string // the kernel's name of what dir is
	mount string // the mount point, relative to the root directory
	dir   string // below the mount point; "." is its root

	// above says that dir is not the group itself but one above it: the mount was made outside of this process's
	// cgroup namespace, whose place in it has no name here.
	above bool
}

// A level is a group or one above it.
type level struct {
	dir  string // relative to the root directory
	name string // the kernel's name
}

// levels returns the group and all above it that its mount shows, innermost first.
func (g group) levels() []level {
	var all []level
	for dir, name := g.dir, g.name; ; dir, name = path.Dir(dir), up(name) {
		all = append(all, level{path.Join(g.mount, dir), name})
		if dir == "." {
			return all
		}
	}
}

// up is the name of the group above; path.Dir would lose a leading "..".
func up(name string) string { return name[:max(1, strings.LastIndexByte(name, '/'))] }

// groups finds this process's group in the hierarchy of the v1 controller and in the v2 hierarchy, once for each mount
// that shows it; an empty controller stands for v2 alone. fsys is the root directory.
func groups(fsys fs.FS, controller string) ([]group, error) {
	own, err := fs.ReadFile(fsys, "proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	mounts, err := fs.ReadFile(fsys, "proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	v1, v2 := "", ""
	for line := range strings.Lines(string(own)) {
		// number:controllers:path
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		switch {
		case len(f) < 3:
		case f[0] == "0" && f[1] == "":
			v2 = f[2]
		case controller != "" && listed(f[1], ",", controller):
			v1 = f[2]
		}
	}
	var found []group
	for line := range strings.Lines(string(mounts)) {
		m, ok := parseMount(strings.TrimSuffix(line, "\n"))
		if !ok {
			continue
		}
		own := ""
		switch {
		case m.kind == "cgroup2":
			own = v2
		case m.kind == "cgroup" && controller != "" && listed(m.options, ",", controller):
			own = v1
		}
		if own == "" {
			continue
		}
		if g, ok := m.shows(own); ok {
			found = append(found, g)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no mount shows this process's control group")
	}
	return found, nil
}

// A mount is a line of mountinfo.
type mount struct {
	kind    string // of file system
	root    string // the group that is the mount's root
	point   string // where it is mounted, relative to the root directory
	options string // of the file system: a v1 hierarchy's controllers among them
}

// parseMount reads a line of mountinfo, see proc_pid_mountinfo(5):
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
func parseMount(line string) (mount, bool) {
	front, back, ok := strings.Cut(line, " - ") // fields hold no spaces: they are escaped
	f, b := strings.Split(front, " "), strings.Split(back, " ")
	if !ok || len(f) < 6 {
		return mount{}, false
	}
	point := strings.Trim(unescape(f[4]), "/")
	return mount{kind: b[0], root: unescape(f[3]), point: point, options: b[len(b)-1]}, true
}

// unescape undoes the kernel's octal escapes of blanks and backslashes.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`, `\043`, "#").Replace(s)
}

// shows says where a mount shows the group name.
//
// Both the group and the mount's root are named from the cgroup namespace's root; what lies above that or beside it
// begins with "..".
func (m mount) shows(name string) (group, bool) {
	g := group{v2: m.kind == "cgroup2", name: name, mount: m.point}
	ups, rest := climb(name)
	rootUps, rootRest := climb(m.root)
	switch {
	case ups == rootUps && len(rest) >= len(rootRest) && slices.Equal(rest[:len(rootRest)], rootRest):
		g.dir = path.Join(append([]string{"."}, rest[len(rootRest):]...)...)
		return g, true
	case rootUps > ups && len(rootRest) == 0:
		g.dir, g.name, g.above = ".", m.root, true
		return g, true
	}
	return group{}, false
}

// climb splits a group's name into how many levels it climbs and the names behind.
func climb(name string) (ups int, rest []string) {
	rest = strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
	for len(rest) > 0 && rest[0] == ".." {
		ups, rest = ups+1, rest[1:]
	}
	return ups, rest
}

// listed reports whether a word is in a list.
func listed(list, separator, word string) bool {
	for w := range strings.SplitSeq(strings.TrimSpace(list), separator) {
		if w == word {
			return true
		}
	}
	return false
}
