package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/content"
	faults "github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
)

// valid is a document that is valid OpenAPI.
type valid struct {
	validator validator.Validator
	model     *v3.Document
}

// read reads a document and refuses one that is not valid.
func read(document []byte) (*valid, error) {
	doc, err := libopenapi.NewDocument(document)
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	model, err := doc.BuildV3Model()
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	v, problems := validator.NewValidator(doc, config.WithFormatAssertions(), config.WithRejectUndeclaredRequestBody(),
		config.WithBodyDecoder("text/event-stream", content.DecoderFunc(part)), config.WithBodyDecoder("application/jsonl", content.DecoderFunc(part)))
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	if ok, wrong := v.ValidateDocument(); !ok {
		return nil, fmt.Errorf("the document is not valid OpenAPI: %w", joined(wrong))
	}
	return &valid{v, &model.Model}, nil
}

// part reads the data of one server-sent event, or one line: as JSON, except where its schema is just text.
func part(in *content.DecodeInput) (any, error) {
	data, err := io.ReadAll(in.Body)
	if err != nil || in.Schema != nil && slices.Contains(in.Schema.Type, "string") {
		return string(data), err
	}
	var value any
	return value, json.Unmarshal(data, &value)
}

// operations lists the operations as the document has them.
func (v *valid) operations() []Operation {
	var all []Operation
	for path, item := range v.model.Paths.PathItems.FromOldest() {
		for method := range item.GetOperations().KeysFromOldest() {
			all = append(all, Operation{strings.ToUpper(method), path})
		}
	}
	return all
}

func (v *valid) queryOf(o Operation) []string {
	var names []string
	item, _ := v.model.Paths.PathItems.Get(o.Path)
	described, _ := item.GetOperations().Get(strings.ToLower(o.Method))
	for _, p := range described.Parameters {
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

func (v *valid) checkRequest(request *http.Request) error {
	if ok, wrong := v.validator.ValidateHttpRequestSync(request); !ok {
		return joined(wrong)
	}
	return nil
}

func (v *valid) checkResponse(request *http.Request, response *http.Response) error {
	if ok, wrong := v.validator.ValidateHttpResponse(request, response); !ok {
		return joined(wrong)
	}
	return nil
}

// checkError holds a body against a schema of the document.
func (v *valid) checkError(schema string, body []byte) error {
	described, found := v.model.Components.Schemas.Get(schema)
	if !found {
		return fmt.Errorf("the document has no schema %s", schema)
	}
	if ok, wrong := schema_validation.NewSchemaValidator().ValidateSchemaBytes(described.Schema(), body); !ok {
		return fmt.Errorf("%s: %w", body, joined(wrong))
	}
	return nil
}

// joined tells all that is wrong, with the places of what does not fit a schema. It is never nil.
func joined(wrong []*faults.ValidationError) error {
	if len(wrong) == 0 {
		return errors.New("the validator does not say what is wrong")
	}
	var all []error
	for _, w := range wrong {
		all = append(all, fmt.Errorf("%s: %s", w.Message, w.Reason))
		for _, at := range w.SchemaValidationErrors {
			all = append(all, fmt.Errorf("at %s: %s", at.FieldPath, at.Reason))
		}
	}
	return errors.Join(all...)
}
