package manager

// collections are a host's lists and maps.
type collections struct{}

func (c *collections) init() {}

func (c *collections) close() {}
