package main

import "time"

// meter follows this process's resident memory until it is stopped.
type meter struct {
	start, peak int64 // bytes
	reset       bool  // the kernel's own peak was set back to start
	quit, done  chan struct{}
}

// sampling is how often the meter looks. The kernel's own peak misses nothing, but not every kernel lets it be reset.
const sampling = 2 * time.Millisecond

// startMeter takes the start's value. It returns an error that wraps errAbsent where memory cannot be read.
func startMeter() (*meter, error) {
	m := &meter{quit: make(chan struct{}), done: make(chan struct{})}
	m.reset = resetPeakMemory()
	var err error
	if m.start, err = residentMemory(); err != nil {
		return nil, err
	}
	m.peak = m.start
	go m.follow()
	return m, nil
}

func (m *meter) follow() {
	defer close(m.done)
	tick := time.NewTicker(sampling)
	defer tick.Stop()
	for {
		if now, err := residentMemory(); err == nil {
			m.peak = max(m.peak, now)
		}
		select {
		case <-tick.C:
		case <-m.quit:
			return
		}
	}
}

// stop returns the peak since the start, in bytes.
func (m *meter) stop() int64 {
	close(m.quit)
	<-m.done
	if m.reset {
		m.peak = max(m.peak, peakMemory())
	}
	return m.peak
}
