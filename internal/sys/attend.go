package sys

import "sync/atomic"

// tells says that this process tells the scheduler each time that it has slept for a ring or a message.
var tells atomic.Bool

// TellWhenAwake has this process call Attend, in effect, whenever it has slept for a ring or a message; or no more.
func TellWhenAwake(on bool) { tells.Store(on) }
