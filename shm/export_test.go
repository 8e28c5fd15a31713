package shm

import "github.com/xenonmp/xme/internal/park"

// Park is how those wait who have no thread of their own.
var Park = park.Park
