package wire

import "runtime/debug"

const modulePath = "github.com/xenonmp/xme"

// ModuleVersion is the version of this module in the program that runs, or the commit
// that the program was built from if it is the module's own.
func ModuleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	for _, m := range info.Deps {
		if m.Path == modulePath {
			if m.Replace != nil {
				m = m.Replace
			}
			return orDevel(m.Version)
		}
	}
	v := orDevel(info.Main.Version)
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && v == devel {
			v += " " + s.Value
		}
	}
	return v
}

const devel = "(devel)"

func orDevel(v string) string {
	if v == "" {
		return devel
	}
	return v
}
