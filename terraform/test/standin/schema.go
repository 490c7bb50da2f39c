package main

import (
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// schema.json, which tools/terraform/schema.ts writes.
type providerSchema struct {
	Provider  block
	Resource  map[string]block
	Data      map[string]block
	Ephemeral map[string]block
}

type block struct {
	Attributes map[string]attribute
	Blocks     map[string]nested
}

type attribute struct {
	Type                                    typeOf
	Required, Optional, Computed, WriteOnly bool
}

type nested struct {
	Nesting  string
	Min, Max int64
	Block    block
}

type typeOf struct{ tftypes.Type }

func (t *typeOf) UnmarshalJSON(text []byte) error {
	var err error
	t.Type, err = tftypes.ParseJSONType(text)
	return err
}

var nestings = map[string]tfprotov6.SchemaNestedBlockNestingMode{
	"list":   tfprotov6.SchemaNestedBlockNestingModeList,
	"set":    tfprotov6.SchemaNestedBlockNestingModeSet,
	"single": tfprotov6.SchemaNestedBlockNestingModeSingle,
}

func (b block) schema() *tfprotov6.Schema { return &tfprotov6.Schema{Block: b.schemaBlock()} }

func (b block) schemaBlock() *tfprotov6.SchemaBlock {
	result := &tfprotov6.SchemaBlock{}
	for name, a := range b.Attributes {
		result.Attributes = append(result.Attributes, &tfprotov6.SchemaAttribute{
			Name: name, Type: a.Type.Type, Required: a.Required, Optional: a.Optional, Computed: a.Computed, WriteOnly: a.WriteOnly,
		})
	}
	for name, n := range b.Blocks {
		result.BlockTypes = append(result.BlockTypes, &tfprotov6.SchemaNestedBlock{
			TypeName: name, Block: n.Block.schemaBlock(), Nesting: nestings[n.Nesting], MinItems: n.Min, MaxItems: n.Max,
		})
	}
	return result
}

func schemas(blocks map[string]block) map[string]*tfprotov6.Schema {
	result := map[string]*tfprotov6.Schema{}
	for name, b := range blocks {
		result[name] = b.schema()
	}
	return result
}

// Whether two objects differ in more than write-only arguments, which no state has. One that is made or destroyed is not changed.
func differ(b block, left, right *tfprotov6.DynamicValue) (bool, error) {
	kind := b.schema().ValueType()
	var values [2]tftypes.Value
	for i, given := range []*tfprotov6.DynamicValue{left, right} {
		readable, err := rewrite(b, given, func(_ string, a attribute, value tftypes.Value) tftypes.Value {
			if a.WriteOnly {
				return tftypes.NewValue(a.Type.Type, nil)
			}
			return value
		})
		if err != nil {
			return false, err
		}
		if values[i], err = readable.Unmarshal(kind); err != nil || values[i].IsNull() {
			return false, err
		}
	}
	return !values[0].Equal(values[1]), nil
}

type change func(name string, a attribute, value tftypes.Value) tftypes.Value

// Passes each attribute of an object, and of the blocks inside it, through `change`. No object stays none.
func rewrite(b block, given *tfprotov6.DynamicValue, change change) (*tfprotov6.DynamicValue, error) {
	kind := b.schema().ValueType()
	value, err := given.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	value, err = rewriteValue(b, value, change)
	if err != nil {
		return nil, err
	}
	result, err := tfprotov6.NewDynamicValue(kind, value)
	return &result, err
}

func rewriteValue(b block, value tftypes.Value, change change) (tftypes.Value, error) {
	if value.IsNull() || !value.IsKnown() {
		return value, nil
	}
	var fields map[string]tftypes.Value
	if err := value.As(&fields); err != nil {
		return value, err
	}
	for name, a := range b.Attributes {
		fields[name] = change(name, a, fields[name])
	}
	for name, n := range b.Blocks {
		field, err := rewriteNested(n, fields[name], change)
		if err != nil {
			return value, err
		}
		fields[name] = field
	}
	return tftypes.NewValue(value.Type(), fields), nil
}

func rewriteNested(n nested, value tftypes.Value, change change) (tftypes.Value, error) {
	if n.Nesting == "single" || value.IsNull() || !value.IsKnown() {
		return rewriteValue(n.Block, value, change)
	}
	var items []tftypes.Value
	if err := value.As(&items); err != nil {
		return value, err
	}
	for i := range items {
		item, err := rewriteValue(n.Block, items[i], change)
		if err != nil {
			return value, err
		}
		items[i] = item
	}
	return tftypes.NewValue(value.Type(), items), nil
}
