package console

import (
	"net/http"
	"net/url"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// waitersShown bounds the page.
const waitersShown = 200

// modelQueue is those who wait for one model, with what they are told.
type modelQueue struct {
	Model   string
	Outlook fleet.Outlook
	All     int
	Waiting []fleet.Waiting
}

func (v *visit) queue() error {
	list, all := v.c.Fleet.Waiting("", waitersShown)
	now := v.hub.look(fresh)
	find := v.find()
	var queues []*modelQueue
	for _, w := range list {
		if !find.has(w.Model, w.Org, w.Request) {
			continue
		}
		if len(queues) == 0 || queues[len(queues)-1].Model != w.Model {
			q := &modelQueue{Model: w.Model}
			if m := modelIn(now, w.Model); m != nil {
				q.Outlook, q.All = m.Outlook, m.Waiting
				q.Outlook.ETA = q.Outlook.ETA.Round(time.Second)
			}
			queues = append(queues, q)
		}
		q := queues[len(queues)-1]
		q.Waiting = append(q.Waiting, w)
	}
	return v.show(http.StatusOK, "queue", "Queue", map[string]any{
		"Queues": queues, "All": all, "Shown": len(list), "Q": find.q, "Self": v.base + "/queue?q=" + url.QueryEscape(find.q),
	})
}

// changeQueue puts a request or an organisation first, or ends its wait.
func (v *visit) changeQueue() error {
	model, org, request := v.FormValue("model"), v.FormValue("org"), v.FormValue("request")
	found := false
	v.act.On("model/" + model)
	v.act.Changes(nil, map[string]any{"org": org, "request_id": request})
	switch v.FormValue("action") {
	case "first":
		v.act.Is("queue.first")
		found = v.c.Fleet.ServeFirst(model, org, request)
	case "end":
		v.act.Is("queue.end")
		ended := v.c.Fleet.EndWaiting(model, org, request)
		v.act.Changes(nil, map[string]any{"org": org, "request_id": request, "ended": ended})
		found = ended > 0
	default:
		return &problem{http.StatusBadRequest, "What is to be done?", "A request can be put first, or ended."}
	}
	if !found {
		return &problem{http.StatusConflict, "It waits no more", "The request has been served, or its caller has left."}
	}
	v.c.Log.Info("an operator has changed the queue in the console", "action", v.FormValue("action"), "model", model, "org", org, "request", request)
	return v.Redirect(v.base+"/queue", http.StatusSeeOther)
}
