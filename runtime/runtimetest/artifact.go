package runtimetest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hipc/runtime/plan"
)

// Artifact writes a plan, packed weights and other members into a temporary folder, with a manifest that vouches for
// them.
func Artifact(t testing.TB, p *plan.Plan, weights []byte, members map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	text := []byte(plan.Header + "package toy\n\nimport \"hipc/runtime/plan\"\n\nvar Plan = " + literal(reflect.ValueOf(*p), true) + "\n")
	files := maps.Clone(members)
	files["plan.go"] = text
	m := &plan.Manifest{Format: plan.FormatVersion, Model: p.Model, Target: p.Target, Plan: plan.Digest("", text).SHA256,
		ModelText: plan.Digest("", nil).SHA256, Compilers: []plan.Compiler{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		m.Members = append(m.Members, plan.Digest(name, files[name]))
	}
	var hash plan.ChunkHash
	hash.Write(weights)
	m.Weights = &plan.WeightsFile{File: "weights.bin", Bytes: int64(len(weights)), Kinds: []plan.Kind{}, Chunks: hash.Sums()}
	files[m.Weights.File] = weights
	var err error
	if files[plan.ManifestName], err = m.Write(); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// literal spells a value as plan.go does.
func literal(v reflect.Value, typed bool) string {
	switch v.Kind() {
	case reflect.Struct:
		var fields []string
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				fields = append(fields, v.Type().Field(i).Name+": "+literal(v.Field(i), true))
			}
		}
		name := ""
		if typed {
			name = v.Type().String()
		}
		return name + "{" + strings.Join(fields, ", ") + "}"
	case reflect.Slice:
		var list []string
		for i := range v.Len() {
			list = append(list, literal(v.Index(i), false))
		}
		return "[]" + v.Type().Elem().String() + "{" + strings.Join(list, ", ") + "}"
	case reflect.String:
		return fmt.Sprintf("%q", v.String())
	}
	return fmt.Sprint(v.Interface())
}
