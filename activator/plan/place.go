package plan

import (
	"slices"
)

// takesLaunches reports whether instances may be placed there, even if they must wait until it is there.
func (s *site) takesLaunches() bool {
	return !s.gone && !s.givenBack && s.condition.TakesLaunches()
}

// settle enters the instance among those who live there.
func (s *site) settle(i *instance) {
	if !slices.Contains(s.residents, i) {
		s.residents = append(s.residents, i)
		s.lived += i.GPUs
	}
}

func (s *site) leave(i *instance) {
	if at := slices.Index(s.residents, i); at >= 0 {
		s.residents = slices.Delete(s.residents, at, at+1)
		s.lived -= i.GPUs
	}
}

// before gives the reservations that come before that of the instance; all for one that has none.
func (s *site) before(i *instance) []*instance {
	if at := slices.Index(s.reserved, i); at >= 0 {
		return s.reserved[:at]
	}
	return s.reserved
}

// without gives a list without one of its instances; it takes the list apart.
func without(list []*instance, i *instance) []*instance {
	if at := slices.Index(list, i); at >= 0 {
		return slices.Delete(list, at, at+1)
	}
	return list
}
