package sys

// Umask returns -1: there is no such thing here.
func Umask() int { return -1 }

// SetUmask does nothing here.
func SetUmask(int) {}
