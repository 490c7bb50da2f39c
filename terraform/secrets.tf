# One secret, made here unless a team keeps its secrets elsewhere.

locals {
  database_username = "bjr"
  secret_arn        = var.secret_arn != null ? var.secret_arn : module.secrets[0].arn
  # These two are ephemeral: they go to AWS and into no plan or state.
  database_password = var.secret_arn != null ? var.database_password : module.secrets[0].database_password
  redis_password    = var.secret_arn != null ? var.redis_password : module.secrets[0].redis_password
}

module "secrets" {
  source = "./secrets"
  count  = var.secret_arn == null ? 1 : 0

  providers = { aws = aws.secrets }

  name              = var.name
  database_username = local.database_username
  kms_key_arn       = var.kms_key_arn
  recovery_days     = var.secret_recovery_days
  generation        = var.secrets_version
}
