package sys

import "os"

// ReadNow reads nothing here: pipes have no deadlines on Windows, and are read to
// their end.
func ReadNow(*os.File, []byte) (int, error) { return 0, nil }
