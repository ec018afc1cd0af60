package codegen

import (
	"bytes"
	"fmt"
	"go/token"
	"reflect"
	"strings"

	"github.com/dave/jennifer/jen"

	"hipc/runtime/plan"
)

// PlanSource writes plan.go, in a package named after the model. It is laid out for diffs: names only, fields keyed and left out
// where they are zero, one element of a list a line, a step's operands on a line of their own. The text is read back with
// plan.Read, and what isn't the same plan then is an error: nothing is written that hiprun would refuse.
func PlanSource(p *plan.Plan) ([]byte, error) {
	f := jen.NewFile(Package(p.Model))
	for l := range strings.Lines(strings.TrimSpace(plan.Header)) {
		f.HeaderComment(strings.TrimSpace(strings.TrimPrefix(l, "//")))
	}
	f.ImportName(plan.Path, "plan")
	f.Var().Id("Plan").Op("=").Add(typed(reflect.ValueOf(*p)))
	var b bytes.Buffer
	if err := f.Render(&b); err != nil {
		return nil, fmt.Errorf("writing plan.go: %w", err)
	}
	q, err := plan.Read(b.Bytes())
	if err != nil {
		return nil, fmt.Errorf("plan.go as written can't be read: %w", err)
	}
	if !reflect.DeepEqual(p, q) {
		return nil, fmt.Errorf("plan.go as written is another plan: %s", difference(reflect.ValueOf(*p), reflect.ValueOf(*q), "Plan"))
	}
	return b.Bytes(), nil
}

// Package is a model's name as the name of a package: smollm2-135m-instruct is smollm2_135m_instruct.
func Package(model string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '_'
	}, model)
	if name == "" || name[0] >= '0' && name[0] <= '9' || name[0] == '_' {
		name = "m" + name
	}
	if token.IsKeyword(name) {
		name += "_"
	}
	return name
}

// newLine are the fields that begin a line within their struct.
var newLine = map[string]bool{"Step.In": true, "Bucket.Cost": true, "Bucket.Parts": true}

var list = jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}

// typed is a value with its type.
func typed(v reflect.Value) *jen.Statement {
	switch v.Kind() {
	case reflect.Struct:
		return jen.Qual(v.Type().PkgPath(), v.Type().Name()).Add(fields(v))
	case reflect.Slice:
		elem := v.Type().Elem()
		if elem.Kind() != reflect.Struct {
			values := make([]jen.Code, v.Len())
			for i := range values {
				values[i] = jen.Lit(v.Index(i).Interface())
			}
			return jen.Index().Id(elem.Name()).Values(values...)
		}
		values := make([]jen.Code, v.Len())
		for i := range values {
			values[i] = fields(v.Index(i))
		}
		if elem == reflect.TypeFor[plan.Slot]() { // offsets move with every change: a line a part is enough of them
			return jen.Index().Qual(elem.PkgPath(), elem.Name()).Values(values...)
		}
		return jen.Index().Qual(elem.PkgPath(), elem.Name()).Custom(list, values...)
	}
	return jen.Lit(v.Interface())
}

// fields is a struct's fields in braces.
func fields(v reflect.Value) *jen.Statement {
	var values []jen.Code
	t := v.Type()
	for i := range t.NumField() {
		name := t.Field(i).Name
		if f := v.Field(i); !f.IsZero() {
			s := jen.Null()
			if newLine[t.Name()+"."+name] {
				s = jen.Line()
			}
			values = append(values, s.Id(name).Op(":").Add(typed(f)))
		}
	}
	if t == reflect.TypeFor[plan.Plan]() {
		return jen.Custom(list, values...)
	}
	return jen.Values(values...)
}

// difference finds the first place where two values of a type differ.
func difference(a, b reflect.Value, at string) string {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
				return difference(a.Field(i), b.Field(i), at+"."+a.Type().Field(i).Name)
			}
		}
	case reflect.Slice:
		if a.Len() == b.Len() && a.IsNil() == b.IsNil() {
			for i := range a.Len() {
				if !reflect.DeepEqual(a.Index(i).Interface(), b.Index(i).Interface()) {
					return difference(a.Index(i), b.Index(i), fmt.Sprintf("%s[%d]", at, i))
				}
			}
		}
	}
	return fmt.Sprintf("%s is %#v, read %#v", at, a.Interface(), b.Interface())
}
