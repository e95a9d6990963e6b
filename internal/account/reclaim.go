package account

// list makes the charge known as one that may be reclaimed.
func (c *Charge) list() {
	if c.holder == nil || c.stage == running {
		return
	}
	o := c.token.Org
	o.mu.Lock()
	defer o.mu.Unlock()
	c.known = true
	c.listed, c.prev, c.next = true, nil, o.first
	if o.first != nil {
		o.first.prev = c
	}
	o.first = c
}

// unlist undoes list. When it returns, the holder is not called any more.
func (c *Charge) unlist() {
	if !c.known {
		return
	}
	o := c.token.Org
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop(c)
}

// drop is called with mu held.
func (o *Org) drop(c *Charge) {
	if !c.listed {
		return
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		o.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.listed, c.prev, c.next = false, nil, nil
}

// reclaim ends requests of the organisation that holds most above its share, the largest first, until n bytes are free or will be. Nothing is
// taken for an organisation that is above its share itself.
func (a *Accounts) reclaim(n int64, from *Org) {
	m := &a.memory
	share := m.share(m.holders.Load())
	if from.held.Load() > share {
		return
	}
	most := from
	a.orgs.Range(func(_, v any) bool {
		if o := v.(*Org); o.held.Load() > max(most.held.Load(), share) {
			most = o
		}
		return true
	})
	for most != from && m.coming.Load() < n && most.reclaimLargest(m) {
	}
}

func (o *Org) reclaimLargest(m *memory) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	var largest *Charge
	for c := o.first; c != nil; c = c.next {
		if largest == nil || c.sum.Load() > largest.sum.Load() {
			largest = c
		}
	}
	if largest == nil {
		return false
	}
	o.drop(largest)
	largest.reclaimed = largest.sum.Load()
	m.coming.Add(largest.reclaimed)
	m.reclaimed.Inc()
	largest.holder.Reclaim()
	return true
}
