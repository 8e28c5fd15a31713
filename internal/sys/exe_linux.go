package sys

// Executable is the path that starts this very program again, also when its
// file has been replaced or deleted since.
func Executable() (string, error) { return "/proc/self/exe", nil }
