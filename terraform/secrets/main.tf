# Made in AWS, handed on in memory, and in no state: ephemeral resources and write-only arguments.
#
# The database and Redis get what the secret holds, read back from it, not what was made a moment ago: an apply that is cut
# off in between, and made again, leaves no password that nobody knows.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "name" {
  type        = string
  description = "Begins the secret's name."
}

variable "database_username" {
  type        = string
  description = "Account of the database."
}

variable "kms_key_arn" {
  type        = string
  description = "Key that the secret is encrypted with. Null: AWS's own of the account."
}

variable "recovery_days" {
  type        = number
  description = "How long the deleted secret can be brought back."
}

variable "generation" {
  type        = number
  description = "One more makes all of it new."
}

ephemeral "aws_secretsmanager_random_password" "bjr" {
  for_each = toset(["signing_key", "database", "redis", "root", "admin"])

  # Letters and digits: they go through settings, JSON and shells as they are.
  password_length            = each.key == "signing_key" ? 64 : 40
  exclude_punctuation        = true
  include_space              = false
  require_each_included_type = true
}

resource "aws_secretsmanager_secret" "bjr" {
  name_prefix             = "${var.name}-"
  description             = "Settings of BJR that are secret; its instances read them"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_days
}

resource "aws_secretsmanager_secret_version" "bjr" {
  secret_id                = aws_secretsmanager_secret.bjr.id
  secret_string_wo_version = var.generation
  secret_string_wo = jsonencode({
    SECRET_KEY_BASE        = ephemeral.aws_secretsmanager_random_password.bjr["signing_key"].random_password
    BJR_DATABASE_USERNAME  = var.database_username
    BJR_DATABASE_PASSWORD  = ephemeral.aws_secretsmanager_random_password.bjr["database"].random_password
    REDIS_PASSWORD         = ephemeral.aws_secretsmanager_random_password.bjr["redis"].random_password
    INITIAL_ROOT_PASSWORD  = ephemeral.aws_secretsmanager_random_password.bjr["root"].random_password
    INITIAL_ADMIN_PASSWORD = ephemeral.aws_secretsmanager_random_password.bjr["admin"].random_password
  })
}

ephemeral "aws_secretsmanager_secret_version" "bjr" {
  secret_id  = aws_secretsmanager_secret_version.bjr.secret_id
  version_id = aws_secretsmanager_secret_version.bjr.version_id
}

output "arn" {
  description = "The secret."
  value       = aws_secretsmanager_secret.bjr.arn
}

output "database_password" {
  description = "As it stands in the secret."
  ephemeral   = true
  value       = jsondecode(ephemeral.aws_secretsmanager_secret_version.bjr.secret_string).BJR_DATABASE_PASSWORD
}

output "redis_password" {
  description = "As it stands in the secret."
  ephemeral   = true
  value       = jsondecode(ephemeral.aws_secretsmanager_secret_version.bjr.secret_string).REDIS_PASSWORD
}
