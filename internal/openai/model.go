package openai

// Model is an entry of GET /v1/models.
type Model struct {
	ID         string     `json:"id"`
	Object     string     `json:"object"` // always "model"
	Created    int64      `json:"created"`
	OwnedBy    string     `json:"owned_by"`
	Pilotlight *ModelInfo `json:"pilotlight,omitempty"`
}

// ModelInfo is what Pilotlight adds to a model's OpenAI fields.
type ModelInfo struct {
	GPUs              int    `json:"gpus"`
	State             string `json:"state"`                // cold, starting, parked or hot
	PriceUSDPerSecond string `json:"price_usd_per_second"` // a decimal
	ContextLength     int    `json:"context_length"`       // tokens; 0 = not known
}

// ModelList is the answer to GET /v1/models.
type ModelList struct {
	Object string  `json:"object"` // always "list"
	Data   []Model `json:"data"`
}

// NewModelList wraps the models in a list, an empty one if there are none.
func NewModelList(models []Model) *ModelList {
	if models == nil {
		models = []Model{}
	}
	return &ModelList{Object: "list", Data: models}
}
