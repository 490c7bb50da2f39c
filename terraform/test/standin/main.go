// A stand-in for the AWS provider, for tests only: it has the provider's schema and no cloud. Plans fill in what AWS would
// compute with "known after apply", applies with made-up values. What it was given, write-only arguments too, is written
// into the folder BJR_STANDIN_CLOUD, a file for each object: a test can look at what AWS would have received.
//
// What it cannot show: whether AWS accepts a value, and what a change would really replace.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"path/filepath"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

func main() {
	// schema.json lies beside the program.
	program, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(program), "schema.json"))
	if err != nil {
		log.Fatal(err)
	}
	var schema providerSchema
	if err := json.Unmarshal(text, &schema); err != nil {
		log.Fatal(err)
	}
	server := func() tfprotov6.ProviderServer { return &standin{schema: schema} }
	if err := tf6server.Serve("registry.terraform.io/hashicorp/aws", server); err != nil {
		log.Fatal(err)
	}
}

// The methods that are not here answer with "not implemented": nothing that BJR's configuration does calls them.
type standin struct {
	tfprotov6.ProviderServer
	schema providerSchema
}

func (s *standin) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	response := &tfprotov6.GetMetadataResponse{}
	for name := range s.schema.Resource {
		response.Resources = append(response.Resources, tfprotov6.ResourceMetadata{TypeName: name})
	}
	for name := range s.schema.Data {
		response.DataSources = append(response.DataSources, tfprotov6.DataSourceMetadata{TypeName: name})
	}
	for name := range s.schema.Ephemeral {
		response.EphemeralResources = append(response.EphemeralResources, tfprotov6.EphemeralResourceMetadata{TypeName: name})
	}
	return response, nil
}

func (s *standin) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	return &tfprotov6.GetProviderSchemaResponse{
		Provider:                 s.schema.Provider.schema(),
		ResourceSchemas:          schemas(s.schema.Resource),
		DataSourceSchemas:        schemas(s.schema.Data),
		EphemeralResourceSchemas: schemas(s.schema.Ephemeral),
	}, nil
}

func (s *standin) GetResourceIdentitySchemas(context.Context, *tfprotov6.GetResourceIdentitySchemasRequest) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

func (s *standin) GetFunctions(context.Context, *tfprotov6.GetFunctionsRequest) (*tfprotov6.GetFunctionsResponse, error) {
	return &tfprotov6.GetFunctionsResponse{}, nil
}

func (s *standin) ValidateProviderConfig(_ context.Context, request *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: request.Config}, nil
}

func (s *standin) ConfigureProvider(context.Context, *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	return &tfprotov6.ConfigureProviderResponse{}, nil
}

func (s *standin) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

func (s *standin) ValidateResourceConfig(context.Context, *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

func (s *standin) ValidateDataResourceConfig(context.Context, *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}

func (s *standin) ValidateEphemeralResourceConfig(context.Context, *tfprotov6.ValidateEphemeralResourceConfigRequest) (*tfprotov6.ValidateEphemeralResourceConfigResponse, error) {
	return &tfprotov6.ValidateEphemeralResourceConfigResponse{}, nil
}

func (s *standin) UpgradeResourceState(_ context.Context, request *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	kind := s.schema.Resource[request.TypeName].schema().ValueType()
	value, err := request.RawState.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	state, err := tfprotov6.NewDynamicValue(kind, value)
	return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: &state}, err
}

func (s *standin) ReadResource(_ context.Context, request *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return &tfprotov6.ReadResourceResponse{NewState: request.CurrentState}, nil
}

// What the configuration leaves open and AWS fills in is unknown; what is write-only is in no state.
func (s *standin) PlanResourceChange(_ context.Context, request *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	block := s.schema.Resource[request.TypeName]
	isChanged, err := differ(block, request.PriorState, request.ProposedNewState)
	if err != nil {
		return nil, err
	}
	planned, err := rewrite(block, request.ProposedNewState, func(name string, a attribute, value tftypes.Value) tftypes.Value {
		if a.WriteOnly {
			return tftypes.NewValue(a.Type.Type, nil)
		}
		if a.Computed && (value.IsNull() || isChanged && renewed[name]) {
			return tftypes.NewValue(a.Type.Type, tftypes.UnknownValue)
		}
		return value
	})
	response := &tfprotov6.PlanResourceChangeResponse{PlannedState: planned}
	if isChanged && request.TypeName == "aws_secretsmanager_secret_version" {
		response.RequiresReplace = []*tftypes.AttributePath{tftypes.NewAttributePath().WithAttributeName("secret_string_wo_version")}
	}
	return response, err
}

func (s *standin) ApplyResourceChange(_ context.Context, request *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	block := s.schema.Resource[request.TypeName]
	state, err := rewrite(block, request.PlannedState, fill(request.TypeName))
	if err != nil {
		return nil, err
	}
	return &tfprotov6.ApplyResourceChangeResponse{NewState: state}, remember(block, request.TypeName, state, request.Config)
}

func (s *standin) ReadDataSource(_ context.Context, request *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	state, err := rewrite(s.schema.Data[request.TypeName], request.Config, fillNull(request.TypeName, digestOf(request.Config)))
	return &tfprotov6.ReadDataSourceResponse{State: state}, err
}

func (s *standin) OpenEphemeralResource(_ context.Context, request *tfprotov6.OpenEphemeralResourceRequest) (*tfprotov6.OpenEphemeralResourceResponse, error) {
	block := s.schema.Ephemeral[request.TypeName]
	if request.TypeName == "aws_secretsmanager_secret_version" {
		secret, err := recallSecret(block, request.Config)
		if err != nil {
			return nil, err
		}
		result, err := rewrite(block, request.Config, func(name string, a attribute, value tftypes.Value) tftypes.Value {
			if name == "secret_string" {
				return tftypes.NewValue(tftypes.String, secret)
			}
			return fillNull(request.TypeName, random)(name, a, value)
		})
		return &tfprotov6.OpenEphemeralResourceResponse{Result: result}, err
	}
	result, err := rewrite(block, request.Config, fillNull(request.TypeName, random))
	return &tfprotov6.OpenEphemeralResourceResponse{Result: result}, err
}

func (s *standin) CloseEphemeralResource(context.Context, *tfprotov6.CloseEphemeralResourceRequest) (*tfprotov6.CloseEphemeralResourceResponse, error) {
	return &tfprotov6.CloseEphemeralResourceResponse{}, nil
}
