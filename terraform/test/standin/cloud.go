package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Made-up values of the form that AWS gives; others are the attribute's name and a number.
var fixed = map[string]string{
	"account_id": "123456789012", "partition": "aws", "region": "eu-central-1", "name": "eu-central-1", "dns_suffix": "amazonaws.com",
	"root_device_name": "/dev/xvda", "vpc_id": "vpc-0standin",
}

// What is another with each change of its object.
var renewed = map[string]bool{"latest_version": true, "version_id": true}

func fill(resource string) change {
	return func(name string, a attribute, value tftypes.Value) tftypes.Value {
		if value.IsKnown() {
			return value
		}
		return maker{resource, random}.make(name, a.Type.Type)
	}
}

func fillNull(resource string, suffix func(length int) string) change {
	return func(name string, a attribute, value tftypes.Value) tftypes.Value {
		if a.Computed && value.IsNull() {
			return maker{resource, suffix}.make(name, a.Type.Type)
		}
		return value
	}
}

type maker struct {
	resource string
	suffix   func(length int) string
}

func (m maker) make(name string, kind tftypes.Type) tftypes.Value {
	switch kind := kind.(type) {
	case tftypes.List:
		return tftypes.NewValue(kind, m.elements(kind.ElementType))
	case tftypes.Set:
		return tftypes.NewValue(kind, m.elements(kind.ElementType))
	case tftypes.Map:
		return tftypes.NewValue(kind, map[string]tftypes.Value{})
	case tftypes.Object:
		fields := map[string]tftypes.Value{}
		for name, kind := range kind.AttributeTypes {
			fields[name] = m.make(name, kind)
		}
		return tftypes.NewValue(kind, fields)
	}
	switch {
	case kind.Is(tftypes.Bool):
		return tftypes.NewValue(kind, false)
	case kind.Is(tftypes.Number):
		return tftypes.NewValue(kind, time.Now().UnixMilli())
	case name == "arn":
		return tftypes.NewValue(kind, fmt.Sprintf("arn:aws:standin:eu-central-1:123456789012:%s/%s", m.resource, m.suffix(8)))
	case name == "random_password":
		return tftypes.NewValue(kind, "standin-secret-"+m.suffix(32))
	case fixed[name] != "":
		return tftypes.NewValue(kind, fixed[name])
	}
	return tftypes.NewValue(kind, name+"-"+m.suffix(8))
}

// One object, or no plain value.
func (m maker) elements(kind tftypes.Type) []tftypes.Value {
	if _, isObject := kind.(tftypes.Object); isObject {
		return []tftypes.Value{m.make("", kind)}
	}
	return []tftypes.Value{}
}

// The same for the same question.
func digestOf(question *tfprotov6.DynamicValue) func(length int) string {
	sum := fmt.Sprintf("%x", sha256.Sum256(question.MsgPack))
	return func(length int) string { return sum[:length] }
}

func random(length int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	text := make([]byte, length)
	for i := range text {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		if err != nil {
			panic(err)
		}
		text[i] = letters[n.Int64()]
	}
	return string(text)
}

// Writes an object's state together with the write-only arguments, which only the configuration has.
func remember(b block, resource string, state, config *tfprotov6.DynamicValue) error {
	folder := os.Getenv("BJR_STANDIN_CLOUD")
	fields, err := strings(b, state)
	if folder == "" || err != nil || fields == nil {
		return err
	}
	given, err := strings(b, config)
	if err != nil {
		return err
	}
	for name, a := range b.Attributes {
		if a.WriteOnly && given[name] != "" {
			fields[name] = given[name]
		}
	}
	text, err := json.MarshalIndent(fields, "", "  ")
	if err != nil {
		return err
	}
	id := fields["id"]
	if fields["version_id"] != "" {
		id = fields["version_id"]
	}
	return os.WriteFile(filepath.Join(folder, resource+"."+filepath.Base(id)+".json"), text, 0o600)
}

func recallSecret(b block, config *tfprotov6.DynamicValue) (string, error) {
	fields, err := strings(b, config)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(os.Getenv("BJR_STANDIN_CLOUD"), "aws_secretsmanager_secret_version."+fields["version_id"]+".json"))
	if err != nil {
		return "", err
	}
	var stored map[string]string
	err = json.Unmarshal(text, &stored)
	return stored["secret_string_wo"], err
}

// The attributes that are text. Nil: no object.
func strings(b block, given *tfprotov6.DynamicValue) (map[string]string, error) {
	value, err := given.Unmarshal(b.schema().ValueType())
	if err != nil || value.IsNull() {
		return nil, err
	}
	var fields map[string]tftypes.Value
	if err := value.As(&fields); err != nil {
		return nil, err
	}
	result := map[string]string{}
	for name, field := range fields {
		var text string
		if field.IsKnown() && field.Type().Is(tftypes.String) && field.As(&text) == nil {
			result[name] = text
		}
	}
	return result, nil
}
