package admin

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// whole describes both APIs. Each of its operations has the tag of the listeners that serve it.
//
//go:embed openapi.json
var whole []byte

// PublicOpenAPI is the OpenAPI 3.1 document of the public listener, and OpenAPI that of the admin listener: what each serves at /openapi.json. They
// hold the operations that their listener has, and of the components those that these need.
var (
	PublicOpenAPI = sync.OnceValue(func() []byte { return documentOf("public") })
	OpenAPI       = sync.OnceValue(func() []byte { return documentOf("admin") })
)

// documentOf is what the document says of one listener.
func documentOf(tag string) []byte {
	var doc map[string]any
	if err := json.Unmarshal(whole, &doc); err != nil {
		panic(fmt.Sprintf("the embedded document: %v", err))
	}
	tagged := func(v any) bool { return slices.Contains(v.(map[string]any)["tags"].([]any), any(tag)) }
	paths := doc["paths"].(map[string]any)
	for path, item := range paths {
		operations := item.(map[string]any)
		maps.DeleteFunc(operations, func(_ string, o any) bool { return !tagged(o) })
		for _, o := range operations {
			o.(map[string]any)["tags"] = []any{tag}
		}
		if len(operations) == 0 {
			delete(paths, path)
		}
	}
	doc["tags"] = slices.DeleteFunc(doc["tags"].([]any), func(t any) bool { return t.(map[string]any)["name"] != tag })
	keepUsed(doc)
	text, err := json.Marshal(doc)
	if err != nil {
		panic(fmt.Sprintf("the embedded document: %v", err))
	}
	return text
}

// keepUsed drops the components that nothing leads to from the paths.
func keepUsed(doc map[string]any) {
	components := doc["components"].(map[string]any)
	used := map[string]bool{} // "schemas/Error"
	var follow func(v any)
	follow = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				follow(e)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				kind, name, _ := strings.Cut(strings.TrimPrefix(ref, "#/components/"), "/")
				if !used[kind+"/"+name] {
					used[kind+"/"+name] = true
					follow(components[kind].(map[string]any)[name])
				}
			}
			if schemes, ok := v["security"].([]any); ok {
				for _, s := range schemes {
					for name := range s.(map[string]any) {
						used["securitySchemes/"+name] = true
					}
				}
			}
			for _, e := range v {
				follow(e)
			}
		}
	}
	follow(doc["paths"])
	for kind, all := range components {
		maps.DeleteFunc(all.(map[string]any), func(name string, _ any) bool { return !used[kind+"/"+name] })
	}
}
