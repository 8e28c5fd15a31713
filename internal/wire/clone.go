package wire

import "github.com/xenonmp/xme/internal/sys"

// Clone duplicates a parcel that nobody has taken anything out of, so that the
// same encoded value can be sent again. A nil parcel's clone is nil.
func (p *Parcel) Clone() (*Parcel, error) {
	if p == nil {
		return nil, nil
	}
	c := &Parcel{}
	for _, it := range p.Items {
		f, err := sys.Hold(it.File, it.File.Name())
		if err != nil {
			c.Close()
			return nil, err
		}
		c.Items = append(c.Items, Item{ID: it.ID, File: f})
	}
	c.Regions = p.Regions.Clone()
	return c, nil
}
