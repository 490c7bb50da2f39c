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

run "defaults" {
  assert {
    condition     = aws_autoscaling_group.api.min_size == 2 && aws_autoscaling_group.worker.min_size == 2
    error_message = "Two of each survive the loss of one."
  }

  assert {
    condition = alltrue([
      for group in [aws_autoscaling_group.api, aws_autoscaling_group.worker] :
      one(group.instance_refresh).strategy == "Rolling"
      && one(one(group.instance_refresh).preferences).min_healthy_percentage == 100
      && one(one(group.instance_refresh).preferences).auto_rollback
    ])
    error_message = "A new version must come a few instances at a time, and go again where it does not start."
  }

  assert {
    condition = alltrue([
      for group in [aws_autoscaling_group.api, aws_autoscaling_group.worker] : toset(group.vpc_zone_identifier) == toset(var.private_subnet_ids)
    ])
    error_message = "Instances belong into the private subnets."
  }

  assert {
    condition = [
      for hook in aws_autoscaling_group.worker.initial_lifecycle_hook :
      [hook.name, hook.lifecycle_transition, hook.default_result] if hook.heartbeat_timeout > 960
    ] == [["bjr-worker-drain", "autoscaling:EC2_INSTANCE_TERMINATING", "CONTINUE"]]
    error_message = "Workers must be given the time to drain."
  }

  assert {
    condition = {
      for service, image in data.aws_ami.bjr : service => {
        for filter in image.filter : filter.name => one(filter.values) if startswith(filter.name, "tag:")
      }
      } == {
      api    = { "tag:Service" = "bjr-api", "tag:Version" = "1.2.3" }
      worker = { "tag:Service" = "bjr-worker", "tag:Version" = "1.2.3" }
    }
    error_message = "Images are found by their tags Service and Version."
  }

  assert {
    condition     = alltrue([for image in values(data.aws_ami.bjr) : image.owners == tolist(["self"])])
    error_message = "Images of other accounts would be taken."
  }

  assert {
    condition     = one(aws_lb_target_group.api.health_check).path == "/version"
    error_message = "/health is 503 also where new API instances would mend nothing."
  }

  assert {
    condition     = aws_db_instance.bjr.multi_az && aws_db_instance.bjr.backup_retention_period == 14 && aws_db_instance.bjr.deletion_protection
    error_message = "The database must survive a zone, a mistake, and a slip."
  }

  assert {
    condition     = !aws_db_instance.bjr.skip_final_snapshot && can(regex("^bjr-final-[0-9]{14}$", aws_db_instance.bjr.final_snapshot_identifier))
    error_message = "The database must leave a snapshot behind, with a name of its own."
  }

  assert {
    condition = (
      aws_elasticache_replication_group.bjr.num_cache_clusters == 2
      && aws_elasticache_replication_group.bjr.automatic_failover_enabled
      && aws_elasticache_replication_group.bjr.multi_az_enabled
    )
    error_message = "Redis must have a replica that takes over."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.bjr) == 0
    error_message = "Nobody is there to be told of alarms."
  }
}

run "user_data" {
  variables {
    worker_drain_seconds = 300
    worker_settings      = { JOB_MEMORY_LIMIT_BYTES = "1073741824" }
  }

  assert {
    condition = sort([
      for line in split("\n", base64decode(aws_launch_template.bjr["worker"].user_data)) : split("=", line)[0] if can(regex("^[A-Z_]+=", line))
      ]) == sort([
      "AWS_REGION", "BJR_DATABASE", "BJR_DATABASE_HOST", "BJR_DATABASE_PORT", "BJR_DATABASE_TLS", "BJR_DATABASE_TLS_CA", "BJR_LIFECYCLE_HOOK",
      "BJR_SECRET_ID", "BJR_SECRET_VERSION", "DRAIN_TIMEOUT_SECONDS", "JOB_MEMORY_LIMIT_BYTES", "REDIS_HOST", "REDIS_PORT", "REDIS_TLS",
      "WORKER_CONCURRENCY",
    ])
    error_message = "A worker is told something else than it needs."
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.bjr["worker"].user_data), "\nDRAIN_TIMEOUT_SECONDS=300\n")
    error_message = "worker_drain_seconds does not reach the worker."
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.bjr["api"].user_data), "\nTRUSTED_PROXIES=1\n")
    error_message = "All users would count as one client: the load balancer."
  }

  assert {
    condition     = !strcontains(base64decode(aws_launch_template.bjr["api"].user_data), "JOB_MEMORY_LIMIT_BYTES")
    error_message = "The API is told settings of the workers."
  }
}

run "new_secrets_make_new_instances" {
  variables {
    secrets_version = 2
  }

  assert {
    condition = alltrue([
      for template in values(aws_launch_template.bjr) : strcontains(base64decode(template.user_data), "\nBJR_SECRET_VERSION=2\n")
    ])
    error_message = "Instances would go on with the old secrets."
  }

  assert {
    condition     = aws_db_instance.bjr.password_wo_version == 2 && aws_elasticache_replication_group.bjr.auth_token_wo_version == 2
    error_message = "Database or Redis would keep the old password."
  }
}

run "certificate_and_name_elsewhere" {
  variables {
    zone_id         = null
    certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/11111111-2222-3333-4444-555555555555"
  }

  assert {
    condition     = aws_lb_listener.https.certificate_arn == var.certificate_arn
    error_message = "The certificate that was given is not used."
  }

  assert {
    condition     = length(aws_acm_certificate.bjr) + length(aws_route53_record.bjr) + length(aws_route53_record.certificate) == 0
    error_message = "A certificate or a record was made all the same."
  }
}

run "own_certificate" {
  assert {
    condition     = aws_route53_record.certificate["jobs.example.com"].name == "_proof.jobs.example.com"
    error_message = "The certificate is not proved."
  }

  assert {
    condition     = aws_lb_listener.https.certificate_arn == aws_acm_certificate_validation.bjr[0].certificate_arn
    error_message = "The listener does not wait for the proof."
  }
}

run "alarms" {
  variables {
    alarm_topic_arns = ["arn:aws:sns:eu-central-1:123456789012:operations"]
    redis_nodes      = 3
  }

  assert {
    condition = toset(keys(aws_cloudwatch_metric_alarm.bjr)) == toset([
      "api-unhealthy", "api-errors", "database-load", "database-storage", "redis-memory-001", "redis-memory-002", "redis-memory-003",
    ])
    error_message = "An alarm is missing."
  }

  assert {
    condition     = alltrue([for alarm in values(aws_cloudwatch_metric_alarm.bjr) : alarm.alarm_actions == toset(var.alarm_topic_arns)])
    error_message = "An alarm tells nobody."
  }
}

run "restored" {
  variables {
    name              = "bjr-restored"
    database_snapshot = "bjr-final-20261127120000"
  }

  assert {
    condition     = aws_autoscaling_group.worker.name == "bjr-restored-worker" && aws_db_instance.bjr.identifier == "bjr-restored"
    error_message = "A second installation needs names of its own."
  }
}
