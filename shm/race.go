//go:build race

package shm

const raceBuild = true
