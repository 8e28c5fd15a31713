// Package shm is memory that a driver and its workers share.
package shm
