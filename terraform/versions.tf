terraform {
  # Write-only arguments and ephemeral resources, which keep the secrets out of the state, came with 1.11.
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.66"
    }
  }

  # Where the state is: backend.hcl (see backend.hcl.example).
  backend "s3" {}
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge(var.tags, { Application = var.name })
  }
}

# The same once more, for what makes the secret: `terraform test` cannot mock a provider that has ephemeral resources to open.
provider "aws" {
  alias  = "secrets"
  region = var.region

  default_tags {
    tags = merge(var.tags, { Application = var.name })
  }
}
