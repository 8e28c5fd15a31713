//go:build !linux

package sys

import "errors"

// MemoryCgroup is not offered here.
func MemoryCgroup() (dir string, err error) { return "", errors.ErrUnsupported }

// Cgroup is not offered here: there is none.
type Cgroup struct{}

// NewCgroup is not offered here.
func NewCgroup(string, int64) (*Cgroup, error) { return nil, errors.ErrUnsupported }

// SetLimit is not offered here.
func (c *Cgroup) SetLimit(int64) error { return errors.ErrUnsupported }

// FD is not offered here.
func (c *Cgroup) FD() int { return -1 }

// OOMKills is not offered here.
func (c *Cgroup) OOMKills() (int, error) { return 0, errors.ErrUnsupported }

// Peak is not offered here.
func (c *Cgroup) Peak() (int64, error) { return 0, errors.ErrUnsupported }

// Close does nothing here.
func (c *Cgroup) Close() error { return nil }
