locals {
  api_port      = 4000
  metrics_port  = 9464
  database_port = 3306
  redis_port    = 6379
  worker_group  = "${var.name}-worker"
  drain_hook    = "bjr-worker-drain"

  services = {
    api = {
      instance_type = var.api_instance_type
      volume_gib    = 16
      settings = merge({
        PORT = tostring(local.api_port)
        # The load balancer.
        TRUSTED_PROXIES = "1"
      }, var.api_settings)
    }
    worker = {
      instance_type = var.worker_instance_type
      volume_gib    = var.worker_volume_gib
      settings = merge({
        WORKER_CONCURRENCY    = tostring(var.worker_concurrency)
        DRAIN_TIMEOUT_SECONDS = tostring(var.worker_drain_seconds)
        BJR_LIFECYCLE_HOOK    = local.drain_hook
      }, var.worker_settings)
    }
  }

  # What every instance is told. Names and addresses, no secrets.
  settings = merge({
    BJR_SECRET_ID = local.secret_arn
    # Nothing reads it. A new version of the secret makes other user data, and that new instances.
    BJR_SECRET_VERSION  = tostring(var.secrets_version)
    AWS_REGION          = var.region
    BJR_DATABASE_HOST   = aws_db_instance.bjr.address
    BJR_DATABASE_PORT   = tostring(local.database_port)
    BJR_DATABASE        = var.database_name
    BJR_DATABASE_TLS    = "true"
    BJR_DATABASE_TLS_CA = "/etc/bjr/database-ca.pem"
    REDIS_HOST          = aws_elasticache_replication_group.bjr.primary_endpoint_address
    REDIS_PORT          = tostring(local.redis_port)
    REDIS_TLS           = "true"
  }, var.metrics_security_group_id == null ? {} : { METRICS_BIND_ADDRESS = "0.0.0.0", METRICS_PORT = tostring(local.metrics_port) })
}

data "aws_ami" "bjr" {
  for_each = local.services

  owners      = var.ami_owners
  most_recent = true

  filter {
    name   = "tag:Service"
    values = ["bjr-${each.key}"]
  }

  filter {
    name   = "tag:Version"
    values = [var.bjr_version]
  }

  filter {
    name   = "architecture"
    values = [var.architecture]
  }

  filter {
    name   = "state"
    values = ["available"]
  }
}

resource "aws_launch_template" "bjr" {
  for_each = local.services

  name_prefix            = "${var.name}-${each.key}-"
  image_id               = data.aws_ami.bjr[each.key].id
  instance_type          = each.value.instance_type
  update_default_version = true
  user_data = base64encode(templatefile("${path.module}/user-data.sh.tftpl", {
    settings = merge(local.settings, each.value.settings)
  }))

  iam_instance_profile {
    arn = aws_iam_instance_profile.instances[each.key].arn
  }

  network_interfaces {
    associate_public_ip_address = false
    delete_on_termination       = true
    security_groups             = [aws_security_group.instances[each.key].id]
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = data.aws_ami.bjr[each.key].root_device_name

    ebs {
      volume_type           = "gp3"
      volume_size           = each.value.volume_gib
      encrypted             = true
      kms_key_id            = var.kms_key_arn
      delete_on_termination = true
    }
  }

  monitoring {
    enabled = true
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume", "network-interface"])

    content {
      resource_type = tag_specifications.value
      tags          = merge(var.tags, { Name = "${var.name}-${each.key}", Application = var.name, Version = var.bjr_version })
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_autoscaling_group" "api" {
  name                      = "${var.name}-api"
  min_size                  = var.api_min
  max_size                  = var.api_max
  vpc_zone_identifier       = var.private_subnet_ids
  target_group_arns         = [aws_lb_target_group.api.arn]
  health_check_type         = "ELB"
  health_check_grace_period = 300
  default_instance_warmup   = 60

  launch_template {
    id      = aws_launch_template.bjr["api"].id
    version = aws_launch_template.bjr["api"].latest_version
  }

  # One more at a time: a new instance answers before an old one goes. One that does not come up stops it all and takes it back.
  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage = 100
      max_healthy_percentage = 150
      auto_rollback          = true
    }
  }

  dynamic "tag" {
    for_each = merge(var.tags, { Application = var.name })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false
    }
  }

  depends_on = [aws_iam_role_policy.secret, aws_iam_role_policy_attachment.session_manager, aws_lb_listener.https]
}

resource "aws_autoscaling_group" "worker" {
  name                      = local.worker_group
  min_size                  = var.worker_min
  max_size                  = var.worker_max
  vpc_zone_identifier       = var.private_subnet_ids
  health_check_type         = "EC2"
  health_check_grace_period = 120
  default_instance_warmup   = 60

  launch_template {
    id      = aws_launch_template.bjr["worker"].id
    version = aws_launch_template.bjr["worker"].latest_version
  }

  # Part of the group from its first instance on. The image's agent says when the worker has drained; 960 seconds is what
  # its unit allows, and an instance that says nothing ends after this.
  initial_lifecycle_hook {
    name                 = local.drain_hook
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = 1080
    default_result       = "CONTINUE"
  }

  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage = 100
      max_healthy_percentage = 150
      auto_rollback          = true
    }
  }

  dynamic "tag" {
    for_each = merge(var.tags, { Application = var.name })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false
    }
  }

  depends_on = [aws_iam_role_policy.secret, aws_iam_role_policy.drain, aws_iam_role_policy_attachment.session_manager]
}

# Adds instances under load and takes them away again; a worker that is taken away drains.
resource "aws_autoscaling_policy" "load" {
  for_each = { api = aws_autoscaling_group.api.name, worker = aws_autoscaling_group.worker.name }

  name                   = "load"
  autoscaling_group_name = each.value
  policy_type            = "TargetTrackingScaling"

  target_tracking_configuration {
    target_value = 60

    predefined_metric_specification {
      predefined_metric_type = "ASGAverageCPUUtilization"
    }
  }
}
