# Nothing of AWS is used: its provider is mocked, and the second one, which a test cannot mock, makes nothing here.
mock_provider "aws" {
  source = "./tests/mocks"
}

provider "aws" {
  alias                       = "secrets"
  region                      = "eu-central-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
}

# All of these must be refused, before anything is asked of AWS. A run fails unless each of its variables is.

run "refused" {
  command = plan

  variables {
    region                    = "Frankfurt"
    name                      = "My BJR"
    bjr_version               = "latest"
    ami_owners                = ["all"]
    architecture              = "i386"
    vpc_id                    = "default"
    public_subnet_ids         = ["subnet-0123456789abcdef0"]
    private_subnet_ids        = ["subnet-0123456789abcdef2", "subnet-0123456789abcdef2"]
    allowed_cidr_blocks       = []
    worker_egress_cidr_blocks = ["10.0.0.0"]
    metrics_security_group_id = "prometheus"
    hostname                  = "jobs"
    zone_id                   = "example.com"
    tls_policy                = "ELBSecurityPolicy-2016-08"
    api_min                   = 0
    api_settings              = { "web concurrency" = "2" }
    worker_min                = 1.5
    worker_concurrency        = 0
    worker_drain_seconds      = 3600
    worker_volume_gib         = 8
    worker_settings           = { REDIS_PASSWORD = "abc" }
    instance_policy_arns      = ["AdministratorAccess"]
    database_name             = "bjr; DROP"
    database_instance_class   = "m7g.large"
    database_engine_version   = "5.7"
    database_storage_gib      = 5
    database_backup_days      = 0
    redis_node_type           = "t4g.small"
    redis_nodes               = 1
    kms_key_arn               = "alias/bjr"
    secret_arn                = "bjr"
    secrets_version           = 0
    secret_recovery_days      = 0
    alarm_topic_arns          = ["me@example.com"]
  }

  expect_failures = [
    var.region,
    var.name,
    var.bjr_version,
    var.ami_owners,
    var.architecture,
    var.vpc_id,
    var.public_subnet_ids,
    var.private_subnet_ids,
    var.allowed_cidr_blocks,
    var.worker_egress_cidr_blocks,
    var.metrics_security_group_id,
    var.hostname,
    var.zone_id,
    var.tls_policy,
    var.api_min,
    var.api_settings,
    var.worker_min,
    var.worker_concurrency,
    var.worker_drain_seconds,
    var.worker_volume_gib,
    var.worker_settings,
    var.instance_policy_arns,
    var.database_name,
    var.database_instance_class,
    var.database_engine_version,
    var.database_storage_gib,
    var.database_backup_days,
    var.redis_node_type,
    var.redis_nodes,
    var.kms_key_arn,
    var.secret_arn,
    var.secrets_version,
    var.secret_recovery_days,
    var.alarm_topic_arns,
  ]
}

run "refused_too" {
  command = plan

  variables {
    name                = "bjr--two"
    allowed_cidr_blocks = ["everybody"]
    api_settings        = { LOG_LEVEL = "info\nX=1" }
    worker_settings     = { JOB_PATH = "$(reboot)" }
  }

  expect_failures = [
    var.name,
    var.allowed_cidr_blocks,
    var.api_settings,
    var.worker_settings,
  ]
}

# Variables that are checked against others, which must be right themselves.
run "refused_beside_another" {
  command = plan

  variables {
    certificate_arn          = "jobs.example.com"
    api_max                  = 1
    worker_max               = 1
    database_storage_max_gib = 50
    api_settings             = { SECRET_KEY_BASE = "abc" }
  }

  expect_failures = [
    var.certificate_arn,
    var.api_max,
    var.worker_max,
    var.database_storage_max_gib,
    var.api_settings,
  ]
}

run "no_certificate_and_no_zone" {
  command = plan

  variables {
    zone_id         = null
    certificate_arn = null
  }

  expect_failures = [var.certificate_arn]
}

run "secret_without_its_passwords" {
  command = plan

  variables {
    database_password = null
    redis_password    = null
  }

  expect_failures = [var.database_password, var.redis_password]
}

run "refused_settings_with_a_variable_of_their_own" {
  command = plan

  variables {
    api_settings    = { PORT = "8080" }
    worker_settings = { DRAIN_TIMEOUT_SECONDS = "3600" }
  }

  expect_failures = [var.api_settings, var.worker_settings]
}

run "refused_settings_that_outlast_the_unit" {
  command = plan

  variables {
    api_settings    = { LEGACY_DATABASE_URL = "mysql://a:b@c/d" }
    worker_settings = { KILL_GRACE_SECONDS = "60" }
  }

  expect_failures = [var.api_settings, var.worker_settings]
}
