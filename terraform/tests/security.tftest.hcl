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

run "closed" {
  assert {
    condition = alltrue([
      for rule in concat(
        [aws_vpc_security_group_ingress_rule.api_from_balancer],
        values(aws_vpc_security_group_ingress_rule.database),
        values(aws_vpc_security_group_ingress_rule.redis),
      ) : rule.referenced_security_group_id != null && rule.cidr_ipv4 == null && rule.cidr_ipv6 == null && rule.prefix_list_id == null
    ])
    error_message = "API, database and Redis are reached from BJR's own security groups only."
  }

  assert {
    condition = alltrue([
      for rule in concat(
        [aws_vpc_security_group_ingress_rule.api_from_balancer],
        values(aws_vpc_security_group_ingress_rule.balancer),
        values(aws_vpc_security_group_ingress_rule.database),
        values(aws_vpc_security_group_ingress_rule.redis),
      ) : rule.ip_protocol == "tcp" && rule.from_port == rule.to_port && contains([80, 443, 4000, 3306, 6379], rule.from_port)
    ])
    error_message = "A port is open that nothing of BJR listens on: SSH, for instance."
  }

  assert {
    condition     = toset([for rule in values(aws_vpc_security_group_ingress_rule.balancer) : rule.cidr_ipv4]) == toset(["203.0.113.0/24"])
    error_message = "The load balancer is open to more than allowed_cidr_blocks."
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.metrics) == 0
    error_message = "Metrics are reached without having been asked for."
  }

  assert {
    condition     = !aws_db_instance.bjr.publicly_accessible
    error_message = "The database has a public address."
  }

  assert {
    condition = alltrue([
      for template in values(aws_launch_template.bjr) :
      template.key_name == null && one(template.network_interfaces).associate_public_ip_address == "false"
    ])
    error_message = "An instance has a public address, or a key for SSH."
  }

  assert {
    condition = alltrue([
      for template in values(aws_launch_template.bjr) :
      one(template.metadata_options).http_tokens == "required" && one(template.metadata_options).http_put_response_hop_limit == 1
    ])
    error_message = "The metadata service answers version 1, or further than the instance itself."
  }
}

run "encrypted" {
  assert {
    condition     = aws_db_instance.bjr.storage_encrypted && aws_elasticache_replication_group.bjr.at_rest_encryption_enabled == "true"
    error_message = "Database or Redis are not encrypted at rest."
  }

  assert {
    condition     = aws_elasticache_replication_group.bjr.transit_encryption_enabled
    error_message = "Redis speaks in clear."
  }

  assert {
    condition = anytrue([
      for parameter in aws_db_parameter_group.bjr.parameter : parameter.name == "require_secure_transport" && parameter.value == "1"
    ])
    error_message = "The database takes connections in clear."
  }

  assert {
    condition = alltrue([
      for template in values(aws_launch_template.bjr) : one(one(template.block_device_mappings).ebs).encrypted == "true"
    ])
    error_message = "A volume is not encrypted."
  }

  assert {
    condition     = aws_lb_listener.https.protocol == "HTTPS" && aws_lb_listener.https.port == 443
    error_message = "There is no HTTPS."
  }

  assert {
    condition = (
      one(aws_lb_listener.http.default_action).type == "redirect"
      && one(one(aws_lb_listener.http.default_action).redirect).protocol == "HTTPS"
      && one(one(aws_lb_listener.http.default_action).redirect).status_code == "HTTP_301"
    )
    error_message = "HTTP does more than send on to HTTPS."
  }
}

run "secret_for_instances_only_by_their_role" {
  assert {
    condition = alltrue([
      for template in values(aws_launch_template.bjr) :
      !strcontains(base64decode(template.user_data), "the-database-password") && !strcontains(base64decode(template.user_data), "the-redis-password")
    ])
    error_message = "A secret is in the user data."
  }

  assert {
    condition = alltrue([
      for template in values(aws_launch_template.bjr) :
      strcontains(base64decode(template.user_data), "\nBJR_SECRET_ID=${var.secret_arn}\n")
    ])
    error_message = "Instances are not told which secret is theirs."
  }

  assert {
    condition = alltrue([
      for policy in values(aws_iam_role_policy.secret) : jsondecode(policy.policy).Statement == [
        { Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = [var.secret_arn] }
      ]
    ])
    error_message = "A role may read something else than the one secret."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.drain.policy).Statement[0] == {
      Effect   = "Allow"
      Action   = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
      Resource = ["arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:*:autoScalingGroupName/bjr-worker"]
    }
    error_message = "A worker may act on another group than its own."
  }

  assert {
    condition = toset([for attachment in values(aws_iam_role_policy_attachment.session_manager) : attachment.policy_arn]) == toset([
      "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    ]) && length(aws_iam_role_policy_attachment.further) == 0
    error_message = "A role has a managed policy beside that of the session manager."
  }
}

run "own_key" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  }

  assert {
    condition     = aws_db_instance.bjr.kms_key_id == var.kms_key_arn && aws_elasticache_replication_group.bjr.kms_key_id == var.kms_key_arn
    error_message = "Database or Redis are encrypted with another key."
  }

  assert {
    condition = alltrue([
      for policy in values(aws_iam_role_policy.secret) :
      jsondecode(policy.policy).Statement[1].Resource == [var.kms_key_arn]
      && jsondecode(policy.policy).Statement[1].Condition.StringEquals["kms:ViaService"] == "secretsmanager.eu-central-1.amazonaws.com"
    ])
    error_message = "A role may use the key for more than its secret."
  }
}

run "metrics_for_one_group" {
  variables {
    metrics_security_group_id = "sg-0123456789abcdef0"
  }

  assert {
    condition = length(aws_vpc_security_group_ingress_rule.metrics) == 2 && alltrue([
      for rule in values(aws_vpc_security_group_ingress_rule.metrics) :
      rule.referenced_security_group_id == "sg-0123456789abcdef0" && rule.cidr_ipv4 == null && rule.from_port == 9464
    ])
    error_message = "Metrics must be reached from that group alone."
  }

  assert {
    condition = alltrue([
      for template in values(aws_launch_template.bjr) : strcontains(base64decode(template.user_data), "\nMETRICS_BIND_ADDRESS=0.0.0.0\n")
    ])
    error_message = "Metrics listen on 127.0.0.1 only."
  }
}
