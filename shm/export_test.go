package shm

// Park is how those wait who have no thread of their own.
var Park = park
